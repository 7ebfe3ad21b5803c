"""Losses over a few drawn items: what is drawn, and that each is what its name says."""

import pytest
import torch
from torch.nn import functional as F

from diffrec_lite.models import negatives
from diffrec_lite.noise import Noise

TARGET = torch.tensor([[0, 3, 1], [5, 2, 4]])


def drawn(num_items: int, count: int, seed: int = 0) -> torch.Tensor:
    return negatives.draw(Noise(seed, [0, 1]), TARGET, num_items, count)


def test_other_items_are_drawn_evenly_and_never_the_target():
    found = drawn(5, 4_000)
    assert found.shape == (2, 3, 4_000)
    for row, target in zip(found.flatten(0, 1), TARGET.flatten(), strict=True):
        shares = torch.bincount(row, minlength=6)[1:] / len(row)
        others = [i - 1 for i in range(1, 6) if i != target]
        if target:
            assert shares[target - 1] == 0 and torch.allclose(shares[others], torch.full((4,), 0.25), atol=0.03)


def test_padding_on_the_left_draws_the_same_items():
    wider = F.pad(TARGET, (2, 0))
    assert torch.equal(negatives.draw(Noise(0, [0, 1]), wider, 50, 3)[:, 2:], drawn(50, 3))
    assert not torch.equal(drawn(50, 3), drawn(50, 3, seed=1))


@pytest.mark.parametrize("seed", range(3))
def test_each_loss_is_its_definition_written_out(seed):
    generator = torch.Generator().manual_seed(seed)
    positive, negative = torch.randn(2, 3, generator=generator), torch.randn(2, 3, 4, generator=generator)
    bce, bpr, softmax = [], [], []
    for b, p in (TARGET != 0).nonzero().tolist():
        own, others = positive[b, p], negative[b, p]
        bce.append(-torch.log(torch.sigmoid(own)) - torch.log(1 - torch.sigmoid(others)).sum())
        bpr.append(-torch.log(torch.sigmoid(own - others)).mean())
        softmax.append(-torch.log(own.exp() / (own.exp() + others.exp().sum())))
    assert len(bce) == 5
    for loss, rows in ((negatives.bce, bce), (negatives.bpr, bpr), (negatives.sampled_softmax, softmax)):
        assert loss(positive, negative, TARGET).item() == pytest.approx(torch.stack(rows).mean().item(), abs=1e-6)
