"""Recommending is a ranking that leaves out what it should, and refuses what is no history."""

import pytest
import torch
from models.small import ITEMS, make

from diffrec_lite.data import pad


def test_recommend_is_a_ranking(histories):
    model = make("sasrec")
    titles = [f"Book {i}" for i in range(ITEMS + 1)]
    table = model.recommend(histories, k=4, titles=titles)
    assert list(table.columns) == ["user_id", "item_id", "score", "rank", "title"]
    assert table["rank"].tolist() == [1, 2, 3, 4] * 5
    assert (table.groupby("user_id").score.diff().dropna() <= 0).all()
    assert table.title[0] == f"Book {table.item_id[0]}"
    best = model.score(pad(histories)).topk(4).indices
    assert table.item_id.tolist() == best.flatten().tolist()


def test_recommend_passes_on_users_steps_and_seed(histories):
    model, history = make("dcrec", stream="noised", sampling_steps=2), pad(histories)
    table = model.recommend(histories, k=ITEMS, users=[9, 8, 7, 6, 5], steps=3, seed=4)
    scores = model.score(history, [9, 8, 7, 6, 5], 3, 4)
    assert table.user_id.unique().tolist() == [9, 8, 7, 6, 5]
    assert table.score.tolist() == pytest.approx(scores.topk(ITEMS).values.flatten().tolist())
    assert table.score.tolist() != pytest.approx(model.recommend(histories, k=ITEMS).score.tolist(), abs=1e-3)


def test_recommend_leaves_the_mode_as_it_was_and_draws_no_dropout(histories):
    model = make("sasrec", dropout=0.5).train()
    one, other = model.recommend(histories), model.recommend(histories)
    assert one.equals(other) and model.training


def test_recommend_never_writes_into_the_model(histories, monkeypatch):
    model = make("popularity")
    monkeypatch.setattr(model, "score", lambda history, *_: model.share.expand(len(history), -1))
    before = model.share.clone()
    model.recommend(histories, filter_seen=True)
    assert torch.equal(model.share, before)


def test_recommend_can_leave_out_what_was_seen(histories):
    model = make("sasrec")
    table = model.recommend(histories, k=ITEMS, filter_seen=True)
    for user, history in enumerate(histories):
        mine = table[table.user_id == user]
        assert not set(mine.item_id) & set(history) and len(mine) == ITEMS - len(history)


@pytest.mark.parametrize("as_tensor", [False, True])
def test_what_max_len_cuts_off_was_seen_too(as_tensor, histories):
    model = make("sasrec", max_len=3)
    given = pad(histories) if as_tensor else histories
    table = model.recommend(given, k=ITEMS, filter_seen=True)
    for user, history in enumerate(histories):
        assert set(table[table.user_id == user].item_id) == set(range(1, ITEMS + 1)) - set(history)
    latest = model.recommend([history[-3:] for history in histories], k=ITEMS)  # and the scores are those of the latest
    assert model.recommend(given, k=ITEMS).equals(latest)


@pytest.mark.parametrize(
    ("history", "k", "message"),
    [
        ([[1, 31]], 3, "item id 31 is not in the catalogue"),
        ([[31] + [1] * 20], 3, "item id 31 is not in the catalogue"),  # also where max_len would cut it off
        ([[-1]], 1, "item id -1 is not in the catalogue"),
        ([[]], 3, "history 0 is empty"),
        ([], 3, "no history"),
        ([[1]], 0, "k must lie in 1 … 30, got 0"),
        ([[1]], 31, "k must lie in 1 … 30, got 31"),
        ([[3, 0]], 3, "history 0 has a 0 behind its first item"),
        ([[1], [3, 0, 4]], 3, "history 1 has a 0 behind its first item"),
        (torch.tensor([[0, 1], [3, 0]]), 3, "history 1 has a 0 behind its first item"),
        (torch.tensor([[0, 3, 0, 4]]), 3, "history 0 has a 0 behind its first item"),
        (torch.tensor([[0, 0]]), 3, "history 0 is empty"),
    ],
)
def test_recommend_refuses_what_is_no_history(history, k, message):
    with pytest.raises(ValueError, match=message):
        make("sasrec").recommend(history, k=k)


def test_recommend_refuses_weights_that_are_no_numbers(histories):
    model = make("sasrec")
    model.item_embedding.weight.data[3] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        model.recommend(histories)
