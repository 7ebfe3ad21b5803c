"""The explorer and the figures of notebook 06: what they show is what the metrics say, in every state."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from diffrec_lite import metrics
from diffrec_lite.lessons import metrics as lesson
from diffrec_lite.widgets import style

BOOKS = 30
TITLES = ["", *(f"Book {i}" for i in range(1, BOOKS + 1))]


@pytest.fixture(scope="module")
def reader():
    scores = torch.arange(BOOKS, -1, -1.0)  # book 1 is the best, book 30 the worst, padding above all
    return lesson.explorer.ranking(scores, target=4, titles=TITLES, history=[9, 8], name="7")


def test_a_ranking_leaves_out_padding_and_target(reader):
    assert reader["others"][:4] == ["Book 1", "Book 2", "Book 3", "Book 5"]
    assert len(reader["others"]) == lesson.explorer.SHOWN
    assert (reader["target"], reader["rank"], reader["history"]) == ("Book 4", 4, ["Book 9", "Book 8"])


def test_a_tie_puts_the_target_last_among_its_equals():
    assert lesson.explorer.ranking(torch.zeros(BOOKS + 1), 2, TITLES, [], "7")["rank"] == BOOKS


@pytest.mark.parametrize("rank", [1, 5, 6, 20, 21, BOOKS])
@pytest.mark.parametrize("k", lesson.explorer.KS)
def test_each_state_shows_the_target_at_its_rank_and_its_gains(reader, rank, k):
    shown = lesson.explorer.view(lesson.explorer.lab([reader], BOOKS), 0, rank, k)
    assert [row["rank"] for row in shown["rows"]] == list(range(1, 21))
    assert [row["rank"] for row in shown["rows"] if row["target"]] == ([rank] if rank <= 20 else [])
    assert sum(row["inside"] for row in shown["rows"]) == k
    r = torch.tensor([rank])
    assert shown["HR"] == metrics.hit_rate(r, k)
    assert shown["NDCG"] == pytest.approx(metrics.ndcg(r, k), abs=1e-4)
    assert shown["MRR"] == pytest.approx(1 / rank, abs=1e-4)


def test_moving_the_target_keeps_the_order_of_the_others(reader):
    data = lesson.explorer.lab([reader], BOOKS)
    for rank in (1, 7, 15):
        rows = lesson.explorer.view(data, 0, rank, 5)["rows"]
        assert [row["title"] for row in rows if not row["target"]] == reader["others"][:19]


@pytest.mark.parametrize(("rank", "k"), [(0, 5), (BOOKS + 1, 5), (1, 7)])
def test_a_state_that_does_not_exist_is_refused(reader, rank, k):
    with pytest.raises(ValueError, match="rank must lie"):
        lesson.explorer.view(lesson.explorer.lab([reader], BOOKS), 0, rank, k)


def test_the_explorer_has_a_picture_and_a_stable_text(reader):
    widget = lesson.explorer.ranking_explorer([reader], BOOKS)
    shown, described = widget._repr_mimebundle_()
    assert widget.rank == 4 and "0x" not in shown["text/plain"]
    assert described["image/png"]["alt"] and len(shown["image/png"]) > 1000


@pytest.mark.parametrize(("k", "answer"), [(10, "from 1 to 2"), (2, "from 2 to 3")])
def test_the_answer_to_the_question_is_counted(k, answer):
    asked = lesson.explorer.asked(BOOKS, k)
    assert asked["options"][asked["right"]] == answer
    dearest = metrics.ndcg(torch.tensor([1]), k) - metrics.ndcg(torch.tensor([2]), k)
    assert f"{dearest:.3f}" in asked["told"]


def test_the_readers_needed_grow_with_the_square():
    one, half = lesson.figures.readers_needed([0.02, 0.01], {"alone": 0.5}, power=0.5)["alone"]
    assert one == math.ceil((1.96 * 0.5 / 0.02) ** 2) and abs(half - 4 * one) <= 4


@pytest.mark.parametrize("power", [0.5, 0.8])
def test_so_many_readers_have_the_power_that_was_asked_for(power):
    difference, spread, trials = 0.1, 0.7, 4000
    n = int(lesson.figures.readers_needed([difference], {"alone": spread}, power)["alone"].item())
    means = np.random.default_rng(0).normal(difference, spread / math.sqrt(n), size=trials)
    found = (means > 1.96 * spread / math.sqrt(n)).mean()
    assert abs(found - power) < 4 * math.sqrt(power * (1 - power) / trials)


def test_hit_curves_draw_the_hit_rate_at_each_k():
    r = torch.tensor([1, 3, 3, 9])
    line = lesson.figures.hit_curves({"Markov": r}, {5: "five"}, last=10).axes[0].lines[0]
    assert line.get_ydata().tolist() == [metrics.hit_rate(r, k) for k in range(1, 11)]


def test_a_model_has_its_one_colour_in_every_figure():
    table = pd.DataFrame({"readers": [2], "Markov": [0.1], "SASRec": [0.2]}, index=["01: up to 8"])
    found = {"Markov": (0.3, 0.2, 0.4), "SASRec": (0.4, 0.3, 0.5)}
    drawn = [
        lesson.figures.slices({"by length": table}, "HR@10"),
        lesson.figures.hit_curves({name: torch.tensor([1, 3]) for name in found}, {}, last=5),
        lesson.figures.intervals(found, {}, "NDCG@10"),
        lesson.figures.protocols({name: [both, both] for name, both in found.items()}, {}, "NDCG@10"),
    ]
    for figure in drawn:
        colours = {line.get_color() for line in figure.axes[0].lines}
        assert {style.look(name)["color"] for name in found} <= colours


def test_every_figure_draws(reader):
    table = pd.DataFrame({"readers": [2, 3], "Markov": [0.1, 0.2]}, index=["01: up to 8", "02: over 8"])
    state = lesson.explorer.view(lesson.explorer.lab([reader], BOOKS), 0, 3, 10)
    drawn = [
        lesson.figures.gain_curves(),
        lesson.figures.one_ranking(state, 10),
        lesson.figures.batch_sizes(pd.DataFrame({"x": [1.0], "y": [0.9], "z": [0.8]}, index=[32])),
        lesson.figures.intervals({"Markov": (0.3, 0.2, 0.4)}, {"a − b": (0.1, 0.0, 0.2)}, "NDCG@10"),
        lesson.figures.best_epoch({"last": np.array([0.1, 0.2]), "best": np.array([0.2, 0.3])}, 0.15, "NDCG@10"),
        lesson.figures.slices({"by length": table}, "HR@10"),
        lesson.figures.protocols({"Markov": [(0.3, 0.2, 0.4), (0.4, 0.3, 0.5)]}, {"oracle": 0.6}, "NDCG@10"),
    ]
    assert all(style.png(figure).startswith(b"\x89PNG") for figure in drawn)
