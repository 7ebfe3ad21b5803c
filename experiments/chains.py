"""Find out why more denoising steps harm a DCRec whose signal is as loud as the noise: data/runs/chains.csv.

    python experiments/chains.py            # two variants, three seeds, some three minutes on an idle core

Two models that differ in `signal` alone: 0.1, as repaired, and 1, as printed. Each is trained for six epochs at the
`quick` preset and ranked on the same 500 validation readers, in these ways:

- `plain`: the sampler as it is, at 1, 4 and 16 steps;
- `8 draws averaged`: `samples=8`;
- `own guess erased`: before each call of the network the target's place in x_t holds noise alone;
- `own history erased`: the other places are made from the known books, and not from what the network made of them;
- `true book in x_t`: one call at t = T / 4, on an x_t that was made from the true book, as in training.

`share_of_noise` is the share of the variance of 100 readers' predictions that four seeds of the sampler account for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from arms import fill
from torch import Tensor

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.lessons.step_skipping.figures import share_of_noise
from diffrec_lite.metrics import hit_rate, ranks
from diffrec_lite.models import DCRec
from diffrec_lite.noise import Noise
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import Recipe, settings

RECORD = Path(__file__).parents[1] / "data" / "runs" / "chains.csv"
MODEL, TRAINING = settings("dcrec", "quick", ["epochs=6"])
SIGNALS = (0.1, 1.0)
SEEDS = range(3)
READERS = 500


def trained(dataset: SequenceDataset, signal: float, seed: int) -> DCRec:
    torch.manual_seed(seed)
    model = models.build("dcrec", dataset.num_items, **{**MODEL, "signal": signal})
    list(fit(model, dataset, Recipe(**TRAINING, val_users=100), seed=seed))
    return model


@torch.inference_mode()
def measured(model: DCRec, dataset: SequenceDataset) -> Iterator[dict[str, Any]]:
    """A row for each way of using the model."""
    own = model.settings
    for steps in (1, 4, 16):
        history = dataset.test.batch(torch.arange(100), model.max_len).history
        seeds = [list(model.trajectory(history, steps, seed))[-1].x0_hat for seed in range(4)]
        share = share_of_noise(torch.stack(seeds))
        reached = evaluate(model, dataset, "val", steps=steps, users=READERS).metrics["HR@5"]
        yield {"way": "plain", "steps": steps, "HR@5": reached, "share_of_noise": share}
    model.settings = replace(own, samples=8)
    yield {
        "way": "8 draws averaged",
        "steps": 4,
        "HR@5": evaluate(model, dataset, "val", steps=4, users=READERS).metrics["HR@5"],
    }
    model.settings = own

    chosen = evaluate(model, dataset, "val", steps=1, users=READERS).users
    batch = dataset.val.batch(chosen, model.max_len)
    history, target = batch.history, batch.target
    noise = Noise(7, batch.users)
    known = model.known(history, model.clean(history))
    truth = torch.cat([known[:, :-1], model.item_vectors()[target][:, None]], dim=1)

    def no_guess(St: Tensor, t: int) -> Tensor:
        """The target's place holds noise of the right strength and nothing else."""
        empty = model.diffusion.q_sample(torch.zeros_like(St), t, noise(St, t))
        return torch.cat([St[:, :-1], empty[:, -1:]], dim=1)

    def known_history(St: Tensor, t: int) -> Tensor:
        return torch.cat([model.diffusion.q_sample(known, t, noise(St, t))[:, :-1], St[:, -1:]], dim=1)

    def from_truth(St: Tensor, t: int) -> Tensor:
        return model.diffusion.q_sample(truth, model.diffusion.T // 4, noise(St, t))

    def reached(change: Callable[[Tensor, int], Tensor], grid: list[int]) -> float:
        x_T, denoise = model.start(history, Noise(0, batch.users), grid)
        walk = model.diffusion.reverse(
            lambda St, t: denoise(change(St, t), t), x_T, grid, Noise(0, batch.users), own.transition
        )
        *_, last = walk
        return hit_rate(ranks(model.rounding(model.target_of(last.xt), history), target), 5)

    grid = model.diffusion.steps(4)
    yield {"way": "own guess erased", "steps": 4, "HR@5": reached(no_guess, grid)}
    yield {"way": "own history erased", "steps": 4, "HR@5": reached(known_history, grid)}
    yield {"way": "true book in x_t", "steps": 1, "HR@5": reached(from_truth, [model.diffusion.T // 4, 0])}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    torch.set_num_threads(1)
    dataset = load("bookshop")
    arms = [{"signal": signal, "seed": seed} for seed in SEEDS for signal in SIGNALS]
    fill(RECORD, arms, lambda arm: measured(trained(dataset, **arm), dataset), decimals=4)


if __name__ == "__main__":
    main()
