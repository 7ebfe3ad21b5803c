"""The explorer of notebook 05: the trajectory player, with the full chain beside a skipped one on the same noise."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import pandas as pd
import torch

from diffrec_lite.data import SequenceDataset, pad
from diffrec_lite.metrics import ranks
from diffrec_lite.models import DiffusionRecommender
from diffrec_lite.widgets.player import Player, player
from diffrec_lite.widgets.trajectories import trajectory_data, typical


def counts(T: int) -> list[int]:
    """The numbers of steps to choose from: T, its half, quarter and eighth, two and one."""
    return sorted({max(1, n) for n in (T, T // 2, T // 4, T // 8, 2, 1)}, reverse=True)


def readers_to_show(model: DiffusionRecommender, dataset: SequenceDataset, users: Sequence[int]) -> dict[str, int]:
    """Three of `users`, chosen by rules: "typical", "won most" and "lost most", as user indices.

    All re-noise through all steps, seed 0. The typical reader's curves of rank and distance lie nearest the medians
    over `users`; the other two have the last rank that is best, and worst, as a multiple of the first prediction's.
    """
    data = trajectory_data(model, dataset, users, [model.diffusion.T], transition="renoise")
    chains = [data.states(r) for r in range(len(users))]
    gain = [log2(chain[1]["rank"] / chain[-1]["rank"]) for chain in chains]
    order = sorted(range(len(users)), key=gain.__getitem__)
    return {"typical": users[typical(data)], "won most": users[order[-1]], "lost most": users[order[0]]}


@torch.inference_mode()
def along_the_walk(
    model: DiffusionRecommender, dataset: SequenceDataset, users: Sequence[int], at: Sequence[int]
) -> pd.DataFrame:
    """The median reader's curves in numbers: all T steps, re-noised, seed 0, a row for each of the steps `at`, below T.

    "rank" of the true next book, "distance" from the prediction to it and "length" of the prediction are medians over
    `users`; the last two are given in the player's unit, the mean distance between two books. "distance, length kept"
    is what it would be, had each prediction the length of the reader's first one and only its direction changed.
    """
    history = pad([dataset.history(user)[:-1].tolist() for user in users], model.max_len)
    target = torch.stack([dataset.history(user)[-1] for user in users])
    vectors = model.item_vectors()
    truth, unit = vectors[target], torch.pdist(vectors[1:]).mean()
    first, rows = None, {}
    for t, _, x0_hat in model.trajectory(history, model.diffusion.T, users=users, transition="renoise"):
        if x0_hat is None:
            continue
        length = x0_hat.norm(dim=1, keepdim=True)
        first = length if first is None else first
        measured = {
            "rank": ranks(model.rounding(x0_hat, history), target).float(),
            "distance": (x0_hat - truth).norm(dim=1) / unit,
            "length": length / unit,
            "distance, length kept": (x0_hat * first / length - truth).norm(dim=1) / unit,
        }
        rows[t] = {name: float(values.median()) for name, values in measured.items()}
    return pd.DataFrame.from_dict({t: rows[t] for t in at}, orient="index").rename_axis("t")


def step_player(
    model: DiffusionRecommender, dataset: SequenceDataset, readers: Sequence[int], seeds: Sequence[int] = (0, 1, 2)
) -> Player:
    """Play `model` for some readers: all steps beside a quarter of them, by re-noising or by the posterior.

    One button more than in every player puts the two ways to move beside each other, at the end of all steps.
    """
    T = model.diffusion.T
    chains = [
        trajectory_data(model, dataset, readers, counts(T), seeds, transition, name)
        for transition, name in (("renoise", "re-noise"), ("posterior", "posterior"))
    ]
    both = [("re-noise", T), ("posterior", T)]
    panels = [("re-noise", T), ("re-noise", max(1, T // 4))]
    return player(*chains, panels=panels, more=[("Two ways to move", 0, both)])
