"""The bias on what was read."""

import pytest
import torch

from diffrec_lite.models.seen import SeenBias


def test_the_bias_of_what_was_read_counts_every_time():
    bias = SeenBias()
    with torch.no_grad():
        bias.weight.fill_(-0.02)
    history = torch.tensor([[0, 0, 3], [2, 4, 2]])
    added = bias(torch.zeros(2, 6), history)
    expected = torch.tensor([[0, 0, 0, -2.0, 0, 0], [0, 0, -4.0, 0, -2.0, 0]])
    assert torch.allclose(added, expected)
    added.sum().backward()
    assert bias.weight.grad.item() == pytest.approx(100 * 4)  # four items, in steps of 100; padding counts for nothing
