"""The bias on what was read."""

import pytest
import torch
from models.small import SMALL, make

from diffrec_lite.models.seen import SeenBias
from diffrec_lite.models.settings import SettingError


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


def test_by_age_the_last_item_has_a_number_of_its_own_and_so_has_each_before_it():
    """Wherever the padding stands: a prefix within a batch has its own on the right."""
    bias = SeenBias(ages=3)
    with torch.no_grad():
        bias.weight.copy_(torch.tensor([0.01, 0.02, 0.04]))
    history = torch.tensor([[0, 0, 3], [2, 4, 2], [5, 1, 0]])
    added = bias(torch.zeros(3, 6), history)
    expected = torch.tensor([[0, 0, 0, 1.0, 0, 0], [0, 0, 5.0, 0, 2.0, 0], [0, 1.0, 0, 0, 0, 2.0]])
    assert torch.allclose(added, expected)
    added.sum().backward()
    assert bias.weight.grad.tolist() == [300.0, 200.0, 100.0]


def test_numbers_that_are_alike_are_one_number():
    history, one, many = torch.randint(0, 6, (4, 5)), SeenBias(), SeenBias(ages=5)
    torch.nn.init.constant_(one.weight, -0.03)
    torch.nn.init.constant_(many.weight, -0.03)
    assert torch.equal(one(torch.zeros(4, 6), history), many(torch.zeros(4, 6), history))


@pytest.mark.parametrize("model", ["diffurec", "dcrec", "sasrec"])
def test_by_age_belongs_to_the_bias(model):
    assert make(model, seen_bias=True, seen_by_age=True).seen_bias.weight.shape == (SMALL["max_len"],)
    assert make(model, seen_bias=True).seen_bias.weight.shape == ()
    with pytest.raises(SettingError, match="set seen_bias=true"):
        make(model, seen_by_age=True)


def test_where_places_are_hidden_at_random_there_is_no_age():
    with pytest.raises(SettingError, match="BERT4Rec hides"):
        make("bert4rec", seen_bias=True, seen_by_age=True)
