"""BPR-MF: a reader is the mean of what was read."""

import pytest
import torch
from models.small import ITEMS, make

from diffrec_lite import models
from diffrec_lite.data import Batch
from diffrec_lite.noise import Noise


def test_the_order_of_a_history_does_not_matter_unless_it_fades():
    history, turned = torch.tensor([[0, 0, 3, 7, 9]]), torch.tensor([[0, 0, 9, 3, 7]])
    forgets, fades = make("bprmf"), make("bprmf", decay=0.5)
    assert torch.allclose(forgets.score(history)[:, 1:], forgets.score(turned)[:, 1:], atol=1e-6)
    assert not torch.allclose(fades.score(history)[:, 1:], fades.score(turned)[:, 1:], atol=1e-3)


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_a_score_is_the_mean_of_what_was_read_times_the_item_and_its_popularity(decay):
    model, history = make("bprmf", decay=decay), torch.tensor([[0, 3, 7, 9]])
    weights = torch.tensor([decay**2, decay, 1.0])
    mean = (weights[:, None] * model.item_embedding.weight[[3, 7, 9]]).sum(0) / weights.sum()
    expected = model.output.weight @ mean + model.popularity[:, 0]
    assert torch.allclose(model.score(history)[0, 1:], expected[1:], atol=1e-5)
    every = model.encode(torch.tensor([[0, 3, 7]]))[0, -1]
    assert torch.allclose(model.encode(history)[0, 2], every, atol=1e-6)


def test_it_learns_what_the_readers_of_an_item_want():
    model = models.build("bprmf", ITEMS, d=16, item_dropout=0.0)
    history = torch.tensor([[0, 1], [0, 2], [0, 3], [0, 4], [0, 5]])
    batch = Batch(torch.arange(5), history, torch.tensor([6, 7, 8, 9, 10]), torch.ones(5, dtype=torch.long))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(300):
        optimiser.zero_grad()
        model.loss(batch, Noise(step, batch.users))["loss"].backward()
        optimiser.step()
    assert model.eval().score(history).argmax(1).tolist() == batch.target.tolist()
