"""The explorer and the figures of notebook 07, and the record behind them: what is said is what was recorded."""

import re

import numpy as np
import pandas as pd
import pytest
import sick_runs
import torch

from diffrec_lite.data import load
from diffrec_lite.data.shipped import shipped
from diffrec_lite.lessons import training as lesson
from diffrec_lite.widgets import style

GUIDES = {"loss": (5.48, "an even guess"), "val NDCG@10": (0.328, "counting")}
SICK = list(lesson.explorer.DISEASES)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return pd.read_csv(shipped("runs/sick_runs.csv"))


@pytest.fixture(scope="module")
def clinic(runs):
    return lesson.explorer.clinic(runs, SICK, GUIDES)


def last(runs, variant, signal):
    return lesson.figures.of_variant(runs[runs.seed == 0], variant)[signal].iloc[-1]


# ---------------------------------------------------------------- the record


def test_the_record_holds_what_its_tool_makes(runs):
    assert not runs.duplicated(["variant", "seed", "epoch"]).any()
    for variant in sick_runs.PATIENTS:
        assert len(runs[(runs.variant == variant) & (runs.seed == 0)]) == 16
    for variant in sick_runs.ABLATIONS:
        assert len(runs[runs.variant == variant]) == 3 * 16
    assert set(runs.variant) == {*sick_runs.PATIENTS, *sick_runs.ABLATIONS}


def test_the_loud_target_is_slow_at_first_and_reads_x_t_in_the_end():
    asked = pd.read_csv(shipped("runs/loud_target.csv")).pivot(index="epoch", columns=["history", "x_t"], values="HR@5")
    gained = {whose: asked[whose, "true"] - asked[whose, "noise"] for whose in ("own", "another's")}
    assert gained["own"].loc[:9].abs().max() < 0.01 < 0.1 < gained["own"].loc[16]
    assert gained["another's"].loc[:9].abs().max() < 0.01 < 0.1 < gained["another's"].loc[16]


def test_the_first_epoch_of_the_healthy_run_can_be_repeated(runs):
    torch.set_num_threads(1)
    again = next(sick_runs.curve(load("bookshop"), "healthy", [], 0))
    kept = runs[(runs.variant == "healthy") & (runs.seed == 0)].iloc[0]
    for signal in lesson.figures.SIGNALS:
        assert again[signal] == pytest.approx(kept[signal], abs=0.01)


def test_every_disease_shows_the_sign_that_the_explorer_names(runs):
    """A sentence of the clinic that the record contradicts fails here."""
    curves = {name: lesson.figures.of_variant(runs[runs.seed == 0], name) for name in ["healthy", *SICK]}
    even, healthy = np.log(240), curves["healthy"]
    high, low, long, overfit, leak, loud = (curves[name] for name in SICK)
    ndcg = "val NDCG@10"
    assert high.loss.iloc[1:].max() - high.loss.iloc[1:].min() < 0.2 and high.loss.iloc[-1] > healthy.loss.iloc[-1] + 1
    assert (high["gradient norm"] > healthy["gradient norm"]).all() and (high[ndcg].diff().dropna() < 0).any()
    assert (low.loss.diff().dropna() < 0).all() and (low[ndcg].diff().dropna() >= 0).all()
    assert low["gradient norm"].iloc[0] > 4 * low["gradient norm"].iloc[-1]
    assert long.loss.iloc[0] > even + 1 and abs(long[ndcg].iloc[-1] - healthy[ndcg].iloc[-1]) < 0.02
    assert all((c.loss < even).all() for name, c in curves.items() if name not in SICK[:1] + SICK[2:3])
    assert (overfit.loss.diff().dropna() < 0).all() and overfit.loss.iloc[-1] < healthy.loss.iloc[-1] - 0.1
    assert overfit[ndcg].idxmax() < 10 and overfit[ndcg].max() - overfit[ndcg].iloc[-1] > 0.01
    assert leak.loss.iloc[-1] < 0.01 and leak[ndcg].max() < 0.01
    assert (loud.loss.diff().dropna() < 0).all() and loud[ndcg].max() < GUIDES["val NDCG@10"][0]


# ---------------------------------------------------------------- the explorer


def test_every_curve_stays_inside_its_axes_or_is_clipped_at_the_floor(runs, clinic):
    parts = {name: name for name in runs.variant.unique() if name.startswith("no ")}
    for data in (clinic, lesson.explorer.switched_off(runs, parts, GUIDES)):
        for run in [*data["runs"], {"curves": data["healthy"]}]:
            for panel, curve in zip(data["panels"], run["curves"], strict=True):
                assert max(curve) <= panel["range"][1], (data["title"], panel["name"])
                if panel["scale"] == "linear":
                    assert min(curve) >= panel["range"][0], (data["title"], panel["name"])


def test_no_patient_is_named_before_the_guess_and_every_right_guess_is_told(clinic):
    assert [run["label"] for run in clinic["runs"]] == [f"Patient {letter}" for letter in "ABCDEF"]
    for run in clinic["runs"]:
        assert [told.startswith("Yes: ") for told in run["answers"]] == [
            place == run["right"] for place in range(len(SICK))
        ]
        assert all(told.startswith(("Yes: ", "Not that.")) for told in run["answers"])


def test_the_order_of_the_patients_changes_nothing_but_their_letters(runs, clinic):
    turned = lesson.explorer.clinic(runs, SICK[::-1], GUIDES)
    for run, other in zip(clinic["runs"], turned["runs"][::-1], strict=True):
        assert run["curves"] == other["curves"] and run["right"] == other["right"]


@pytest.mark.parametrize("epochs", [1, 7, 16])
def test_a_state_shows_the_epochs_so_far_and_their_numbers(runs, clinic, epochs):
    shown = lesson.explorer.view(clinic, 3, epochs)
    curve = lesson.figures.of_variant(runs[runs.seed == 0], SICK[3])
    assert [len(panel["run"]) for panel in shown["panels"]] == [epochs] * 3
    assert shown["panels"][1]["run"] == pytest.approx(curve["val NDCG@10"].iloc[:epochs].tolist())
    numbers = [float(number) for number in re.findall(r"\d+\.\d+", shown["readout"])]
    assert numbers[2] == pytest.approx(curve["val NDCG@10"].iloc[epochs - 1], abs=5e-4)
    assert f"After epoch {epochs}:" in shown["readout"]


@pytest.mark.parametrize(("run", "epochs"), [(-1, 3), (6, 3), (0, 0), (0, 17)])
def test_a_state_that_does_not_exist_is_refused(clinic, run, epochs):
    with pytest.raises(ValueError, match="there is no state"):
        lesson.explorer.view(clinic, run, epochs)


def test_an_ablation_is_the_mean_of_its_seeds_and_asks_for_no_diagnosis(runs):
    data = lesson.explorer.switched_off(runs, {"no dropout": "dropout"}, GUIDES)
    assert lesson.explorer.view(data, 0, 5)["label"] == "Without dropout"
    mean = runs[runs.variant == "no dropout"].groupby("epoch").loss.mean()
    assert data["runs"][0]["curves"][0] == pytest.approx(mean.tolist(), abs=1e-4) and data["choices"] == []


def test_the_explorer_has_a_picture_and_a_stable_text(clinic):
    widget = lesson.explorer.curves_explorer(clinic)
    shown, described = widget._repr_mimebundle_()
    assert widget.epochs == 3 and widget.guess == -1 and "0x" not in shown["text/plain"]
    assert described["image/png"]["alt"] == widget.alt and len(shown["image/png"]) > 1000


# ---------------------------------------------------------------- the figures


def test_a_variant_that_nobody_recorded_is_refused(runs):
    with pytest.raises(ValueError, match="there is no run 'cured'"):
        lesson.figures.of_variant(runs, "cured")


def test_the_signs_are_those_of_the_record(runs):
    table = lesson.figures.signs(runs, ["healthy", "no dropout"])
    curve = runs[(runs.variant == "no dropout") & (runs.seed == 0)].set_index("epoch")
    row = table.loc["no dropout"]
    assert row["loss, first epoch"] == curve.loss[1] and row["loss, last"] == curve.loss[16]
    assert row["NDCG@10, best"] == curve["val NDCG@10"][row["in epoch"]] == curve["val NDCG@10"].max()


def test_the_growing_picture_is_drawn_anew_with_each_row():
    growing = lesson.figures.Growing(3, GUIDES, {"loss": (3, 6), "val NDCG@10": (0, 0.5)}, "Two curves that grow.")
    before = growing._picture().data
    growing.add({"epoch": 1, "loss": 5.0, "val NDCG@10": 0.1})
    assert growing._picture().data != before and repr(growing._picture()) == "Figure: Two curves that grow."


def test_the_pipeline_shows_the_shapes_that_it_is_given():
    tensors = {name: torch.zeros(2, 7) for name in lesson.figures.PLACES} | {"loss": torch.tensor(1.0)}
    texts = [text.get_text() for text in lesson.figures.pipeline(tensors).axes[0].texts]
    assert "scores  (2, 7)" in texts and "loss  a number" in texts


def test_every_figure_draws(runs, clinic):
    ablations = [name for name in runs.variant.unique() if name.startswith("no ")]
    drawn = [
        lesson.figures.ward(runs, ["healthy", *SICK], GUIDES),
        lesson.figures.one_run(lesson.explorer.view(clinic, 0, 5)),
        lesson.figures.final_scores(runs, ["healthy", *ablations]),
    ]
    assert all(style.png(figure).startswith(b"\x89PNG") for figure in drawn)
