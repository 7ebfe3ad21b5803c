"""BERT4Rec sees both sides of what is hidden, and nothing of it."""

import torch
from models.small import ITEMS, make
from torch.nn import functional as F

from diffrec_lite.data import pad
from diffrec_lite.noise import Noise


def test_a_hidden_place_hears_of_both_sides_and_not_of_itself(histories):
    model, items = make("bert4rec"), torch.tensor([histories[-1]])
    hidden = torch.zeros_like(items, dtype=torch.bool)
    hidden[:, 5] = True
    before = model.fill(items, hidden)[:, 5]
    for changed in range(items.shape[1]):
        other = items.clone()
        other[:, changed] = other[:, changed] % ITEMS + 1
        moved = bool((model.fill(other, hidden)[:, 5] - before).abs().max() > 1e-5)
        assert moved == (changed != 5)


def test_the_score_is_what_stands_in_a_hidden_place_after_the_history(histories):
    model, history = make("bert4rec"), pad(histories)
    items = F.pad(history, (0, 1))
    hidden = torch.zeros_like(items, dtype=torch.bool)
    hidden[:, -1] = True
    expected = model.fill(items, hidden)[:, -1] @ model.item_embedding.weight.T
    assert torch.allclose(model.score(history)[:, 1:], expected[:, 1:], atol=1e-5)


def test_the_loss_is_about_hidden_items_alone(batch):
    """Written out: so many are hidden, each is compared, and each row hides at least one."""
    model, noise = make("bert4rec", hidden=0.2), Noise(3, batch.users, batch.positions)
    items = torch.cat([batch.history, batch.target[:, None]], dim=1)
    hidden = (noise.uniform(1, items.shape[1]) < 0.2) & (items != 0)
    hidden[~hidden.any(1), -1] = True
    assert bool(hidden.any(1).all()) and 5 <= int(hidden.sum()) < int((items != 0).sum())
    logits = (model.fill(items, hidden) @ model.item_embedding.weight.T)[hidden][:, 1:]
    total = F.cross_entropy(logits, items[hidden] - 1, reduction="sum") / (0.2 * batch.positions.sum())
    assert torch.allclose(model.loss(batch, noise)["loss"], total, atol=1e-5)
