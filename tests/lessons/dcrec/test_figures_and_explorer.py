"""The measurements, the figures and the explorer of notebook 08, and the records that they show."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.lessons import dcrec as lesson
from diffrec_lite.noise import Noise

RUNS = Path(__file__).parents[3] / "data" / "runs"
T = 8


@pytest.fixture(scope="module")
def books():
    return load("bookshop")


def build(books, **settings):
    torch.manual_seed(0)
    return models.build("dcrec", books.num_items, d=16, blocks=1, heads=2, T=T, max_len=12, **settings).eval()


@pytest.fixture(scope="module")
def record():
    return pd.read_csv(RUNS / "loss_balance.csv")


@pytest.fixture(scope="module")
def widget(record):
    return lesson.explorer.loss_balance(record, popularity=0.08)


def test_the_picture_is_named_by_its_balance_and_batch(widget):
    shown = "L_t: on, its target moves (printed), L_T: on (printed), weight of L_z: 1 × lambda (printed), lambda: 0.203"
    assert widget.shows() == f"{shown} (smooth at epoch 0), batch 161"


def test_apart_knows_both_ends_and_one_direction():
    same = torch.ones(50, 4)
    assert lesson.figures.apart(same + 1e-4 * torch.randn(50, 4))[0] < 1e-6
    assert lesson.figures.apart(torch.cat([torch.eye(4), -torch.eye(4)])) == pytest.approx((1, 1 / 4))
    line = torch.linspace(-1, 1, 9)[:, None] * torch.tensor([[1.0, 2.0, 0.0]])
    assert lesson.figures.apart(line) == pytest.approx((1, 1))
    half = torch.tensor([[1.0, 1.0], [1.0, -1.0]])  # the mean is half of the squared length
    assert lesson.figures.apart(half)[0] == pytest.approx(0.5)


def test_pulls_are_the_gradients_of_the_weighted_losses(books):
    model = build(books, ranking=3.0, lambda_schedule="fix", prior=0.0, item_dropout=0.0)
    batch = books.train.batch([5, 28, 49], 12)
    found = lesson.figures.pulls(model, batch, Noise(0, batch.users))
    assert found["L_T", "items"] == found["L_T", "network"] == 0
    model.loss(batch, Noise(0, batch.users))["ranking"].backward()
    assert found["L_z", "items"] == pytest.approx(0.3 * float(model.item_embedding.weight.grad.norm()), rel=1e-5)
    assert found["L_t", "items"] > 0


def test_detaching_the_target_takes_the_pull_off_the_books(books):
    batch = books.train.batch(range(0, 400, 5), 12)
    pull = [
        lesson.figures.pulls(build(books, detach_target=detach), batch, Noise(0, batch.users))["L_t", "items"]
        for detach in (False, True)
    ]
    assert pull[1] < 0.7 * pull[0]


def test_a_leak_is_the_same_for_every_history_where_the_answer_is_read_off(books):
    """The network is replaced by one that reads x_t alone, and then by one that reads the last book alone."""
    model, batch = build(books), books.val.batch(range(60), 12)
    model.denoise = lambda St, t, H0, valid, last: St[:, -1:]
    own, other = (lesson.figures.leak(model, batch, [1, T], shuffle) for shuffle in (False, True))
    assert torch.equal(own, other) and own[0].float().mean() < 2 < 20 < own[1].float().mean()
    erased = lesson.figures.leak(model, batch, [1], erase=True)
    assert erased.float().mean() > 20
    model.denoise = lambda St, t, H0, valid, last: H0[:, -1:]
    own, other = (lesson.figures.leak(model, batch, [1], shuffle) for shuffle in (False, True))
    assert torch.equal(other[0, 1:], lesson.figures.leak(model, batch, [T], shuffle=True)[0, 1:])
    assert not torch.equal(own, other)


def test_touched_counts_places(books):
    model, batch = build(books), books.train.batch([5, 28], 12)
    other = batch._replace(target=batch.target % 240 + 1)
    table = lesson.figures.touched(model, batch, 4, {"nothing": (batch, 4), "target": (other, 4), "step": (batch, 3)})
    assert table.loc["nothing"].eq(0).all()
    assert table.loc["target", ["S_0", "H_0", "S_t", "condition"]].tolist() == [1, 0, 1, 0]
    assert table.loc["step", ["S_0", "H_0", "S_t", "condition"]].tolist() == [0, 0, 6, 6]


def test_the_explorer_has_every_balance_and_starts_as_printed(widget, record):
    assert len(widget.data["states"]) == record.groupby(list(lesson.explorer.CONTROLS)).ngroups == 36
    assert widget.data["guided"][0] == {"text": "As printed", "state": widget.state[:-1]}
    assert widget.shown() is widget.data["states"][widget.data["reference"]]
    assert widget.data["batches"][widget.state[-1]] == record.batch.max()
    assert record["HR@5"].max() <= widget.data["top"]


def test_what_the_explorer_shows_is_what_the_record_says(widget, record):
    rows = record[(record.denoising == "target moves") & (record.prior == 1) & (record.ranking == 1)]
    rows = rows[(rows["lambda"] == 0.203) & (rows.batch == 161)]
    mean, low, high = widget.shown()["apart"][-1]
    assert mean == pytest.approx(rows["apart"].mean(), abs=1e-4)
    assert (low, high) == pytest.approx((rows["apart"].min(), rows["apart"].max()), abs=1e-4)
    items = rows[["L_T items", "L_t items", "L_z items"]]
    assert widget.shown()["items"][-1] == pytest.approx(items.div(items.sum(axis=1), axis=0).mean().tolist(), abs=1e-3)
    assert f"HR@5 {rows['HR@5'].mean():.3f}" in widget.shown()["said"][-1]
    for state in widget.data["states"].values():
        assert all(sum(shares) == pytest.approx(1, abs=3e-3) for on in ("items", "network") for shares in state[on])


def test_another_state_is_another_picture(widget):
    first = widget.picture()
    moved = lesson.explorer.LossBalance(data=widget.data, state=[2, 0, 1, 1, 3])
    assert moved.picture() != first and repr(moved) == repr(widget)


def test_the_record_says_what_notebook_08_says(record):
    end = record[record.batch == 161].groupby(list(lesson.explorer.CONTROLS))[["apart", "HR@5"]].mean()
    printed = end.loc[("target moves", 1, 1, 0.203)]
    assert printed["apart"] < 0.05 and printed["HR@5"] < 0.08
    assert end.loc[("target moves", 0, 1, 0.203), "apart"] < 0.05  # L_T is not what draws them together
    assert end.loc[("target is detached", 1, 1, 0.203), "apart"] > 0.8
    assert end.loc[("target moves", 0, 10, 0.1), "apart"] > 0.8  # L_z is heard
    alone = end.loc[("off", 0), "HR@5"]
    assert alone.max() - alone.min() < 0.01  # the weight of a single loss is nothing


def test_training_at_small_t_teaches_nothing_about_readers():
    leaks = pd.read_csv(RUNS / "leak.csv").groupby(["signal", "trained at"]).mean(numeric_only=True)
    small = leaks.loc[(1.0, "t <= T/4")]
    assert small["truth, own"] - small["truth, other"] < 0.01
    assert max(small["HR@5"], small["erased, own"]) < 0.08 < leaks.loc[(1.0, "t = T"), "HR@5"]


COLLAPSE = pd.read_csv(RUNS / "collapse.csv").set_index(["item_std", "detached", "positions", "epoch"]).sort_index()


def test_a_larger_start_collapses_later_and_only_while_the_target_moves():
    apart = COLLAPSE["apart"]
    assert apart[0.05, False, "before", 1] < 0.05 < 0.9 < apart[1.0, False, "before", 1]
    assert apart[1.0, False, "before", 4] < 0.7 < 0.9 < apart[1.0, True, "before", 4]


def test_books_are_drowned_by_the_position_that_they_share_and_without_it_their_rows_meet():
    printed, after = (COLLAPSE.loc[0.05, False, positions] for positions in ("before", "after"))
    assert printed["apart"][4] < 0.05 < 0.8 < printed["rows"][4]
    assert printed["position"][4] > 3 * printed["row"][4] and printed["position"][0] < printed["row"][0]
    assert after["apart"][4] < 0.05 and after["rows"][4] < 0.2
    assert printed["apart"][1] < 0.05 < 0.5 < after["apart"][1]
    for positions in ("before", "after"):
        assert COLLAPSE.loc[0.05, True, positions]["apart"][1:].min() > 0.9


def test_what_a_collapsed_model_still_knows_is_popularity_and_only_the_lengths_hold_it(books):
    popularity = models.build("popularity", books.num_items)
    popularity.fit_counts(books)
    floor = evaluate(popularity, books, "val").metrics["HR@5"]
    for positions in ("before", "after"):
        last = COLLAPSE.loc[0.05, False, positions].loc[12]
        assert last["HR@5"] < last["HR@5 inner"] == pytest.approx(floor, abs=0.002)
        assert COLLAPSE.loc[0.05, True, positions].loc[12, "HR@5"] > 3 * floor


def test_the_question_is_answered_by_the_record(record, widget):
    ask = widget.ask
    assert ask["options"][ask["right"]] == "either of the last two"
    looks = lesson.explorer.balance_of(record, **{**lesson.explorer.AS_PRINTED, "ranking": 10})
    assert f"L_z ten times as loud, {100 * looks.iloc[-1]['apart']:.0f} %" in ask["told"]
    other = record.copy()
    other.loc[other.ranking == 10, "apart"] = 0.1
    ask = lesson.explorer.asked(other)
    assert ask["options"][ask["right"]] == "L_t's target detached"
