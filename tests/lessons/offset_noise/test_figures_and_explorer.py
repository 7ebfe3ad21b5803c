"""The pure functions behind notebook 02's explorer and lesson.figures, and the recorded experiment."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from diffrec_lite.data import load
from diffrec_lite.lessons import offset_noise as lesson
from diffrec_lite.models import build
from diffrec_lite.widgets import style

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build("diffurec", 240, d=16, blocks=1, heads=2, T=8).eval()


def test_a_mean_shift_moves_the_centre_and_a_per_sample_offset_the_spread():
    plain, shift, sample = (
        lesson.explorer.clouds(*state) for state in ((0, "mean shift"), (2, "mean shift"), (2, "per sample"))
    )
    assert torch.allclose(shift["means"], plain["means"] + 2, atol=1e-5)
    assert torch.isclose(shift["means"].std(), plain["means"].std(), atol=1e-5)
    assert abs(float(sample["means"].mean())) < 0.3 and 1.8 < float(sample["means"].std()) < 2.2


def test_every_state_uses_the_same_noise():
    one, two = lesson.explorer.clouds(1, "mean shift"), lesson.explorer.clouds(0, "per sample")
    assert torch.allclose(one["noise"], two["noise"] + 1)


def test_ranks_at_strength_0_do_not_depend_on_the_form(model):
    history, target = torch.tensor([[3, 4, 5], [0, 7, 8]]), torch.tensor([6, 9])
    one, two = (lesson.explorer.ranks(model, history, target, 0.0, form) for form in lesson.explorer.FORMS)
    assert torch.equal(one["model"], two["model"]) and torch.equal(one["rounding"], two["rounding"])


def test_a_large_offset_spoils_rounding_and_a_small_lambda_hides_it(model):
    history, target = torch.randint(1, 241, (50, 4), generator=torch.Generator().manual_seed(1)), torch.arange(1, 51)
    plain = lesson.explorer.ranks(model, history, target, 0.0, "mean shift")
    moved = lesson.explorer.ranks(model, history, target, 5.0, "mean shift")
    assert moved["rounding"].float().mean() > plain["rounding"].float().mean() + 20
    assert (moved["model"] - plain["model"]).float().abs().mean() < 20


def test_the_explorer_has_every_state(model):
    explorer = lesson.explorer.noise_explorer(model, load("bookshop"), range(5))
    states = explorer.data["states"]
    assert [len(row) for row in states] == [len(lesson.explorer.FORMS)] * len(lesson.explorer.STRENGTHS)
    assert states[0][0]["noise"] == states[0][1]["noise"] != states[6][1]["noise"]
    assert "per sample, strength 5" in states[6][1]["text"]
    for row in states:
        for shown in row:
            assert sum(shown["rounding"]) == sum(shown["model"]) == 5
            assert sum(shown["noise"]) * 18 / len(shown["noise"]) == pytest.approx(1, abs=0.1)
    before = explorer.picture()
    assert explorer.shows().startswith("mean shift, strength 0.1;")
    explorer.state = [6, 1]
    assert explorer.picture() != before


def test_the_equation_shows_two_vectors_of_the_noise(model):
    data = lesson.explorer.noise_explorer(model, load("bookshop"), range(5)).data
    noise = lesson.explorer.clouds(2.0, "per sample")["noise"][:2, 0].tolist()
    assert noise == pytest.approx(
        [eps + 2 * zeta for eps, zeta in zip(data["eps"], data["zeta"], strict=True)], abs=0.02
    )
    assert data["zeta"][0] != data["zeta"][1]


@pytest.mark.parametrize(
    ("lost", "answer"),
    [
        ((15, 1), "those of x_t alone"),
        ((1, 15), "those of the model"),
        ((15, 15), "both"),
        ((1, 0), "neither"),  # one reader of twenty is not more than one in twenty
    ],
)
def test_the_answer_to_the_question_is_counted(monkeypatch, lost, answer):
    def ranks(model, history, target, strength, form):
        fallen = [2] * len(target)
        return {
            who: torch.tensor([*fallen[:n], *[1] * (20 - n)] if strength else [1] * 20)
            for who, n in zip(("rounding", "model"), lost, strict=True)
        }

    monkeypatch.setattr(lesson.explorer, "ranks", ranks)
    asked = lesson.explorer.asked(None, None, torch.arange(20))
    assert asked["options"][asked["right"]] == answer
    assert f"20 books stand on rank 1 without the shift and {20 - lost[0]} with it" in asked["told"]


def test_ranks_are_counted_in_whole_groups():
    ranks = torch.tensor([1, 1, 2, 3, 4, 5, 8, 9, 16, 17, 128, 129, 240])
    assert lesson.figures.rank_counts(ranks) == [2, 1, 2, 2, 2, 1, 0, 1, 2]
    assert lesson.figures.rank_groups()[:4] == ["1", "2", "3–4", "5–8"]
    assert lesson.figures.rank_groups()[-2:] == ["65–128", "129+"]


def test_no_axis_of_the_explorer_moves(model):
    history, target = torch.randint(1, 241, (20, 4), generator=torch.Generator().manual_seed(2)), torch.arange(1, 21)
    frames = [
        [(ax.get_xlim(), ax.get_ylim()) for ax in lesson.figures.state(found).axes]
        for found in (lesson.explorer.state(model, history, target, s, "mean shift") for s in (0.0, 5.0))
    ]
    assert frames[0] == frames[1]


def test_the_readout_counts_first_ranks():
    data = {"means": torch.zeros(3), "rounding": torch.tensor([1, 1, 2]), "model": torch.tensor([4, 1, 9])}
    text = lesson.explorer.readout(data, 0.5, "mean shift")
    assert "rank 1 for 2 of 3 readers by rounding x_t alone, for 1 by the model" in text


def test_every_figure_draws(model):
    noise = torch.randn(20, 8)
    difference = pd.DataFrame({"beauty": [0.001, -0.001]}, index=["HR@5", "NDCG@5"])
    change = pd.DataFrame({"mean 0.1": [0.01, -0.01], "per sample 0.1": [0.0, 0.02]}, index=[0, 1])
    summary = pd.DataFrame({"mean": change.mean(), "low": change.mean() - 0.1, "high": change.mean() + 0.1})
    for fig in (
        lesson.figures.forms({"plain": noise, "shifted": noise + 1}),
        lesson.figures.survival({"one": [1.0, 0.5, 0.1]}),
        lesson.figures.published(difference, (0.001, 0.004)),
        lesson.figures.recorded(change, summary, "HR@10"),
    ):
        assert style.png(fig).startswith(b"\x89PNG")


def test_the_record_holds_each_arm_with_each_seed():
    runs = pd.read_csv(DATA / "runs" / "offset_noise.csv")
    seeds = runs.seed.nunique()
    assert seeds >= 3 and runs.groupby("seed").arm.nunique().tolist() == [5] * seeds and len(runs) == 5 * seeds
    assert runs.filter(like="@").stack().between(0.01, 1).all()
