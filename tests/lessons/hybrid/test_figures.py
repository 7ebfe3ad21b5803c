"""The figures and the explorer of notebook 10 say what the models do."""

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.lessons import hybrid as lesson
from diffrec_lite.metrics import compare
from diffrec_lite.noise import Noise
from diffrec_lite.widgets.trajectories import trajectory_data, typical

SMALL = {"d": 8, "blocks": 1, "heads": 2, "T": 8, "sampling_steps": 1}
REPAIRED = {**SMALL, "stream": "guess", "signal": 0.1, "slot": True, "positions": "after", "rounding_by": "inner"}


@pytest.fixture(scope="module")
def books():
    return load("bookshop")


@pytest.fixture(scope="module")
def built(books):
    """One of each, untrained, with weights that are not zero where CondLN begins with zeros."""
    torch.manual_seed(0)
    made = {
        "hybrid": models.build("hybrid", books.num_items, **REPAIRED).eval(),
        "DCRec": models.build("dcrec", books.num_items, **REPAIRED).eval(),
        "DiffuRecSys": models.build("diffurecsys", books.num_items, **SMALL, delta=1.0, offset_mean=0.0).eval(),
    }
    for model in made.values():
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    return made


@pytest.fixture(scope="module")
def batch(books):
    return books.val.batch(range(12), 20)


def test_a_place_begins_with_the_book_before_it_in_the_hybrid_alone(built, batch):
    hybrid, dcrec = built["hybrid"], built["DCRec"]
    dcrec.load_state_dict(hybrid.state_dict())
    apart = lesson.figures.entering(hybrid, batch, 8) - lesson.figures.entering(dcrec, batch, 8)
    before, after = apart[:, -1, -2], apart[:, -1, -1]
    assert (before > 0.1).all() and before.mean() > after.mean() + 0.2


def test_near_the_clean_end_a_place_holds_the_book_that_follows(books, batch):
    torch.manual_seed(0)
    model = models.build("dcrec", books.num_items, **{**REPAIRED, "slot": False, "signal": 50.0}).eval()
    cosines = lesson.figures.entering(model, batch, 1)
    assert cosines.shape == (12, batch.history.shape[1], batch.history.shape[1] + 1)
    assert (cosines[:, -1, -1] > 0.99).all() and (cosines[:, -1, -2] < 0.99).all()


def test_what_is_heard_is_what_a_layer_norm_answers_to():
    x, change = torch.randn(2, 4, 3, 6, dtype=torch.float64)
    assert torch.allclose(lesson.figures.heard(torch.full((2, 3, 6), 0.7)), torch.zeros(2, 3), atol=1e-12)
    assert torch.allclose(lesson.figures.heard(lesson.figures.up_and_down(x).expand(2, 3, 6)), torch.ones(2, 3))
    rest = change - change.mean(-1, keepdim=True)
    assert torch.allclose(F.layer_norm(x + change, (6,)), F.layer_norm(x + rest, (6,)))
    assert torch.allclose(lesson.figures.heard(change), (rest.norm(dim=-1) / change.norm(dim=-1)) ** 2)


def test_a_shift_that_is_all_alike_reaches_dcrec_and_the_hybrid_not_at_all(built, batch):
    table = lesson.figures.pushed(built, batch, t=2, strengths=(0.0, 2.0)).set_index(["model", "shift", "strength"])
    assert (table.xs(0.0, level="strength")["score"] == 0).all()
    for name in ("hybrid", "DCRec"):
        alike, uneven = (table.loc[(name, shift, 2.0)] for shift in ("all alike", "up and down"))
        assert alike["score"] < 1e-5 and alike["loss"] < 1e-5
        assert uneven["score"] > 1e-2 and uneven["loss"] > 1e-3
    assert table.loc[("DiffuRecSys", "all alike", 2.0), "score"] > 1e-2


def test_the_scores_at_a_step_are_those_that_the_loss_is_made_of(built, batch):
    class Fixed(Noise):
        def integers(self, low, high, length=None):
            return torch.full((len(self.rows),), 5)

    for name, part in (("hybrid", "ranking"), ("DCRec", "ranking"), ("DiffuRecSys", "loss")):
        model = built[name]
        expected = F.cross_entropy(lesson.figures.scores_at(model, batch, 5), batch.target).item()
        found = model.loss(batch, Fixed(0, batch.users))[part].item()
        assert found == pytest.approx(expected, abs=1e-4), name


RECORD = pd.DataFrame(
    [
        ("hybrid", 0, 1, 0.4),
        ("hybrid", 1, 1, 0.5),
        ("hybrid", 0, 4, 0.1),
        ("hybrid", 1, 4, 0.1),
        ("other", 1, 1, 0.48),
        ("other", 0, 1, 0.39),
        ("other", 0, 4, 0.3),
        ("other", 1, 4, 0.3),
    ],
    columns=["variant", "seed", "steps", "HR@5"],
)


def test_changes_are_taken_seed_by_seed_and_their_interval_knows_the_spread():
    change = lesson.figures.changes(RECORD, steps=1, base="hybrid")
    assert change.index.tolist() == ["other"]
    assert change.loc["other"].tolist() == pytest.approx([-0.01, -0.02])
    found = lesson.figures.intervals(change, student=2.0).loc["other"]
    half = 2.0 * pd.Series([-0.01, -0.02]).std() / 2**0.5
    assert found.tolist() == pytest.approx([-0.015, -0.015 - half, -0.015 + half])


def test_p_of_three_seeds_is_that_of_students_table():
    """With two degrees of freedom t is 2.920, 4.303, 9.925 and 31.60 at p = .1, .05, .01 and .001."""
    t = pd.Series([2.920, -4.303, 9.925, 31.60])
    change = pd.DataFrame({0: t - 3**0.5, 1: t, 2: t + 3**0.5})  # a standard error of 1
    assert lesson.figures.student_p(change).tolist() == pytest.approx([0.1, 0.05, 0.01, 0.001], rel=1e-3)


@pytest.mark.parametrize(
    ("p", "remain"), [((0.01, 0.04, 0.03, 0.005), 2), ((0.02, 0.0001, 0.04), 3), ((0.03, 0.04), 0), ((0.05,), 1)]
)
def test_holm_asks_more_of_each_the_more_are_tested(p, remain):
    assert lesson.figures.holm(pd.Series(p)) == remain


def test_every_pair_is_compared_once_on_the_same_readers():
    a, b, c = torch.randint(1, 12, (3, 60))
    table = lesson.figures.duels({"a": a, "b": b, "c": c})
    assert table.index.tolist() == ["a - b", "a - c", "b - c"]
    assert table.loc["a - c"].tolist() == compare(a, c).loc["HR@5"].tolist()


def test_the_player_has_a_panel_for_each_model_on_the_same_noise(built, books):
    assert lesson.explorer.starts_apart(built, books, 3) == 0.0
    widget = lesson.explorer.model_player(built, books, [3, 8], seeds=(0,))
    assert [source["name"] for source in widget.sources] == list(built)
    assert [panel["steps"] for panel in widget.state["panels"]] == [1, 1, 1]
    assert widget.sources[0]["steps"] == [8, 2, 1]
    first, second = (data.states(1, 8)[4]["t"] for data in widget.trajectories[:2])
    assert first == second


def test_the_typical_reader_is_sought_over_all_models(built, books):
    users = range(40, 52)
    found = lesson.explorer.typical_reader(built, books, users)
    walks = [trajectory_data(model, books, users, [2], transition="renoise") for model in built.values()]
    assert found == users[typical(*walks)]
    assert {users[typical(walk)] for walk in walks} != {found}  # no single model decides it


def test_models_with_other_steps_cannot_share_a_player(built, books):
    other = models.build("dcrec", books.num_items, **{**SMALL, "T": 5})
    with pytest.raises(ValueError, match="same T to share a player, got 5, 8"):
        lesson.explorer.model_player({**built, "other": other}, books, [3])


def test_figures_are_drawn_with_a_line_or_a_dot_for_everything(built, batch):
    figures = lesson.figures
    change = figures.changes(RECORD, steps=1, base="hybrid")
    fig = figures.parts(change, figures.intervals(change, 2.0))
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == ["other"]
    table = figures.pushed(built, batch, t=2, strengths=(0.0, 1.0))
    assert [ax.get_title().partition(",")[0] for ax in figures.pushes(table).axes] == list(built)
    history = pd.DataFrame({"epoch": [1, 2], "val NDCG@10": [0.1, 0.2]})
    fig = figures.curves({"one": {"hybrid": history, "DCRec": history}, "two": {"SASRec": history}})
    assert [len(ax.lines) for ax in fig.axes] == [2, 1]
    begun = pd.DataFrame({("hybrid", 0): [0.1, 0.2], ("hybrid", 1): [0.1, 0.3], ("DCRec", 0): [0.0, 0.1]}, index=[0, 9])
    assert len(figures.beginnings(begun).axes[0].lines) == 3
    maps = {"a": torch.zeros(3, 4), "b": torch.ones(3, 4)}
    assert [ax.get_title() for ax in figures.meetings(maps).axes[:2]] == ["a", "b"]
    duels = figures.duels({"a": torch.tensor([1, 9, 3]), "b": torch.tensor([7, 2, 6])})
    assert [text.get_text() for text in figures.differences(duels).axes[0].get_yticklabels()] == ["a - b"]
