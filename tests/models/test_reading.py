"""No model and no way into one answers what is no history."""

import pytest
import torch
from models.small import DIFFUSIONS, ITEMS, make

from diffrec_lite import models
from diffrec_lite.data import pad
from diffrec_lite.models import MODELS
from diffrec_lite.models.reading import trusting

NO_HISTORY = [
    (torch.tensor([[3, 4, 0]]), "history 0 has a 0 behind its first item"),
    (torch.tensor([[3, 4, 5], [3, 0, 5]]), "history 1 has a 0 behind its first item"),
    (torch.tensor([[0, 4], [0, 0]]), "history 1 is empty"),
    (torch.tensor([[3, ITEMS + 1]]), f"item id {ITEMS + 1} is not in the catalogue"),
    (torch.tensor([[ITEMS + 1] + [1] * 20]), f"item id {ITEMS + 1} is not in the catalogue"),
    (torch.tensor([[-1, 3]]), "item id -1 is not in the catalogue"),
    (torch.tensor([[1.5, 2.0]]), "holds float32 numbers"),
    (torch.tensor([[True, True]]), "holds bool numbers"),
    (torch.tensor([3, 4]), r"must be \(B, L\), got \(2,\)"),
    (torch.zeros(0, 4, dtype=torch.long), "no history"),
    (torch.zeros(2, 0, dtype=torch.long), "history 0 is empty"),
    ([[3, 0, 4]], "history 0 has a 0 behind its first item"),
    ([[1], [2.5]], "history 1 holds float32 numbers"),
    ([[1], ["a"]], "history 1 does not consist of ids"),
    ([[1], [2**70]], "history 1 does not consist of ids"),
    ([1, 2], "a list of lists of item ids"),
]


@pytest.fixture(scope="module")
def every():
    return {name: make(name) for name in MODELS}


@pytest.mark.parametrize(("history", "message"), NO_HISTORY, ids=[message for _, message in NO_HISTORY])
def test_no_model_answers_what_is_no_history(every, history, message):
    for name, model in every.items():
        with pytest.raises(ValueError, match=message):
            model.score(history)
        with pytest.raises(ValueError, match=message):
            model.recommend(history, k=1)
        if name in DIFFUSIONS:
            with pytest.raises(ValueError, match=message):
                model.trajectory(history)  # at once, and not when the first state is asked for


def test_users_are_as_many_as_histories(every, histories):
    history = pad(histories)
    for name, model in every.items():
        for users in ([7], range(6), torch.arange(4)):
            with pytest.raises(ValueError, match="users for 5 histories"):
                model.score(history, users)
            with pytest.raises(ValueError, match="users for 5 histories"):
                model.recommend(history, k=1, users=users)
            if name in DIFFUSIONS:
                with pytest.raises(ValueError, match="users for 5 histories"):
                    model.trajectory(history, users=users)


def test_users_are_whole_numbers(every, histories):
    for model in every.values():
        for users in ([1.5] * 5, torch.ones(5), ["a"] * 5, [2**70] * 5, torch.ones(5, 1, dtype=torch.long)):
            with pytest.raises(ValueError, match="users"):
                model.score(pad(histories), users)


def test_a_model_reads_the_latest_of_what_it_gets(histories):
    for name in ("sasrec", "gru4rec", "diffurec", "dcrec"):
        model = make(name, max_len=3)
        assert torch.equal(model.score(pad(histories)), model.score(pad(histories, 3)))


def test_whole_numbers_of_any_type_are_ids(histories):
    model, history = make("sasrec"), pad(histories)
    for kind in (torch.int32, torch.int16, torch.uint8):
        assert torch.equal(model.score(history.to(kind)), model.score(history))
    assert torch.equal(model.score(histories), model.score(history))


def test_what_a_model_asks_of_itself_is_not_checked_again(histories, monkeypatch):
    model, looked = make("dcrec", samples=3), []
    whole = models.reading.readable
    monkeypatch.setattr(models.reading, "readable", lambda *args: looked.append(args) or whole(*args))
    model.score(pad(histories), steps=2)
    assert len(looked) == 1 and not model.trusts
    with trusting(model):
        model.score(pad(histories), steps=2)
    assert len(looked) == 1
    with pytest.raises(ValueError):
        model.score(pad(histories), steps=-1)
    assert not model.trusts  # also after a failure
