"""ADRec: a step for each position in training, and one position that is denoised at inference."""

import pytest
import torch
from models.small import ITEMS, make
from torch.nn import functional as F

from diffrec_lite.data import pad
from diffrec_lite.noise import Noise


@pytest.mark.parametrize("changed", range(1, 12))
def test_each_position_knows_its_past_alone(changed, histories):
    model, history = make("adrec", quiet=1.0), torch.tensor([histories[-1]])
    other = history.clone()
    other[:, changed:] = other[:, changed:] % ITEMS + 1
    t = torch.full_like(history, 5)

    def denoised(items: torch.Tensor) -> torch.Tensor:
        xt = model.item_embedding(torch.cat([items[:, 1:], items[:, :1]], dim=1))
        return model.denoise(model.encode(items), xt, t, items != 0)

    moved = (denoised(history) - denoised(other)).abs().amax(-1)[0] > 1e-5
    assert not bool(moved[: changed - 1].any()) and bool(moved[changed - 1 :].all())


def test_at_inference_what_was_read_stands_clean_beside_the_noise(histories):
    model, history = make("adrec", quiet=1.0), pad(histories)
    states = list(model.trajectory(history, steps=2, seed=1))
    t, xt = states[0].t, states[0].xt
    known = model.item_embedding(history[:, 1:])
    times = F.pad(torch.zeros_like(history[:, 1:]), (0, 1), value=t)
    x0_hat = model.denoise(model.encode(history), torch.cat([known, xt[:, None]], 1), times, history != 0)[:, -1]
    assert torch.allclose(states[1].x0_hat, x0_hat, atol=1e-5)


def test_the_loss_is_ranking_and_denoising_at_every_position(batch):
    model, noise = make("adrec", quiet=1.0, denoising=0.7), Noise(0, batch.users, batch.positions)
    history = batch.history
    target = torch.cat([history[:, 1:], batch.target[:, None]], 1) * (history != 0)
    x0, t = model.item_embedding(target), noise.integers(1, model.diffusion.T, history.shape[1])
    assert len(t.unique()) > 5
    xt = model.diffusion.q_sample(x0, t, noise(x0))
    x0_hat = model.denoise(model.encode(history), xt, t, history != 0)
    real = target != 0
    ranking = F.cross_entropy((x0_hat @ model.item_embedding.weight.T)[real][:, 1:], target[real] - 1)
    error = (x0_hat - x0).square().mean(-1)[real].mean()
    parts = model.loss(batch, noise)
    assert parts["ranking"].item() == pytest.approx(ranking.item(), abs=1e-5)
    assert parts["denoising"].item() == pytest.approx(error.item(), abs=1e-5)
    assert parts["loss"].item() == pytest.approx((ranking + 0.7 * error).item(), abs=1e-5)
