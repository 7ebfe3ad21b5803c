"""Notebook 09 says what the records say: no record, no sentence; other records, other sentences."""

import json
import re
from itertools import pairwise

import pytest

from diffrec_lite import models
from diffrec_lite.lessons import comparison as lesson
from diffrec_lite.training import results, tables

PRINTED = lesson.figures.printed("beauty", "NDCG@5")
explorer, figures = lesson.explorer, lesson.figures


def record(model, value, preset="repaired", changes=(), seed=0, val=None, width=0.002, dataset="beauty"):
    """A run.json in short: every metric has the same value, and 0.001 more when filtered."""
    metrics = {}
    for name in explorer.METRICS:
        metrics |= {name: value, f"{name} low": value - width, f"{name} high": value + width}
    words = f"diffrec-lite train {model} --dataset {dataset} --preset {preset} --seed {seed}"
    return {
        "model": model,
        "dataset": {"name": dataset, "users": 10, "items": 20, "interactions": 30},
        "seed": seed,
        "command": words + "".join(f" --set {change}" for change in changes),
        "config": {"num_items": 20, "d": 8, "heads": 1, "blocks": 1, "epochs": 3},
        "device": "cpu",
        "seconds": 12.5,
        "evaluation_seconds": 0.5,
        "val": {"NDCG@10": value if val is None else val},
        "test": metrics,
        "test_filtered": {name: number + 0.001 for name, number in metrics.items()},
    }


@pytest.fixture
def recorded(tmp_path):
    def write(*runs):
        for number, run in enumerate(runs):
            (tmp_path / f"run_{number:02}.json").write_text(json.dumps(run))
        return results.recorded(tmp_path)

    return write


def test_every_model_is_of_one_kind():
    assert {figures.kind(name) for name in models.MODELS} == set(figures.KINDS)
    assert [figures.kind(name) for name in ("gap", "sasrec", "hybrid")] == ["counting", "network", "diffusion"]


# ---------------------------------------------------------------- sentences


def test_without_records_nothing_is_said(recorded):
    assert list(figures.told([], ("beauty",))) == []
    assert list(figures.told(recorded(record("dcrec", 0.05)), ("beauty",))) == []  # no bar, no verdict
    assert figures.beside(recorded(record("dcrec", 0.05)), ("beauty",)).empty
    assert figures.taken_out(recorded(record("dcrec", 0.05))).empty


def test_the_bar_is_the_rule_that_is_best_on_validation_readers(recorded):
    families = recorded(record("gap", 0.04, val=0.05), record("markov", 0.05, val=0.04), record("sasrec", 0.09))
    assert figures.bar(families, "beauty").model == "gap" and figures.bar(families, "toys") is None


@pytest.mark.parametrize(
    ("share", "words"), [(0.8, "lies below that cell"), (1.01, "equals that cell"), (1.2, "lies above that cell")]
)
def test_the_sentence_on_counting_follows_the_number(recorded, share, words):
    value = share * PRINTED["DCRec"]
    said = [s for s in figures.told(recorded(record("gap", value)), ("beauty",)) if "DCRec" in s and "NDCG@5" in s]
    assert len(said) == 1 and said[0].endswith(f"it {words}.") and f"{share:.0%}" in said[0]


@pytest.mark.parametrize(("value", "word"), [(0.05, "clears"), (0.03, "is below"), (0.042, "the intervals meet")])
def test_a_trained_model_is_held_against_the_bar(recorded, value, word):
    runs = [record("gap", 0.04), record("markov", 0.03), record("dcrec", value), record("dcrec", 0.9, changes=["d=8"])]
    table = figures.beside(recorded(*runs), ("beauty", "toys"))
    assert list(table.index) == [("beauty", "gap (repaired)"), ("beauty", "dcrec (repaired)")]
    bar, ours = table.to_dict("records")
    assert bar["unfiltered"].startswith("0.0400") and bar["unfiltered"].endswith(": the bar")
    assert ours["unfiltered"].startswith(f"{value:.4f}") and ours["unfiltered"].endswith(f": {word}")
    assert ours["seen-filtered"] != ours["unfiltered"]


def test_the_best_network_is_compared_with_the_best_diffusion_once_both_are_there(recorded):
    runs = [record("gap", 0.03), record("sasrec", 0.05), record("gru4rec", 0.06, val=0.01), record("dcrec", 0.04)]
    assert not any("sasrec" in s for s in figures.told(recorded(*runs[:2]), ("beauty",)))
    said = [s for s in figures.told(recorded(*runs), ("beauty",)) if "sasrec (repaired) was the best" in s]
    assert len(said) == 2 and all("the intervals do not meet" in s for s in said) and "0.0510" in said[1]


def test_a_model_with_changed_settings_may_be_the_best_and_one_without_its_noise_may_not(recorded):
    runs = [record("gap", 0.02), record("sasrec", 0.04), record("dcrec", 0.05, val=0.05)]
    runs.append(record("dcrec", 0.05, val=0.06, changes=["seen_bias=false"]))
    runs.append(record("hybrid", 0.05, val=0.09, changes=["share_at_T=1.0"]))
    said = [one for one in figures.told(recorded(*runs), ("beauty",)) if "of the diffusion models" in one]
    assert len(said) == 2 and all("of the diffusion models dcrec, seen_bias=false (repaired);" in one for one in said)


def test_a_run_without_diffusion_stands_beside_the_same_preset_with_it(recorded):
    families = recorded(
        record("diffurec", 0.05),
        record("diffurec", 0.051, changes=["delta=0.0"]),
        record("hybrid", 0.04, changes=["share_at_T=1.0"]),  # the hybrid as it is was not run
        record("sasrec", 0.06, changes=["d=8"]),
        record("diffurec", 0.09, changes=["d=8"]),
        record("diffurec", 0.07, changes=["delta=0.0", "d=8"]),
    )
    found = figures.taken_out(families)
    assert list(found.model) == ["diffurec (repaired)"] * 2 + ["diffurec, d=8 (repaired)"] * 2
    assert list(found.metric) == 2 * list(figures.METRICS) and set(found["what is switched off"]) == {"delta=0.0"}
    assert list(found.apart) == ["the intervals meet"] * 2 + ["the intervals do not meet"] * 2
    assert [text[:6] for text in found["without it"]] == ["0.0510"] * 2 + ["0.0700"] * 2


# ---------------------------------------------------------------- figures


def test_the_figure_of_the_cells_has_a_row_for_each_and_says_what_was_not_run(recorded):
    frame = tables.table_2(recorded(record("dcrec", 0.06))).frame
    ax = figures.cells(frame).axes[0]
    assert len(ax.get_yticks()) == len(frame) and len(ax.texts) == (frame.runs == 0).sum()
    drawn = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert drawn == pytest.approx(list((frame.ours / frame.published).dropna()))


def test_the_bars_show_both_protocols_and_the_printed_cells(recorded):
    ax = figures.bars(recorded(record("gap", 0.04), record("dcrec", 0.05)), ("beauty",), "NDCG@5").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gap (repaired)", "dcrec (repaired)"]
    marks = sorted(line.get_xdata()[0] for line in ax.lines if line.get_marker() in "o^")
    assert marks == pytest.approx([0.04, 0.041, 0.05, 0.051])
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {f"{name}, printed" for name in PRINTED}


# ---------------------------------------------------------------- the explorer


@pytest.fixture
def families(recorded):
    return recorded(
        record("gap", 0.04),
        record("dcrec", 0.05),
        record("sasrec", 0.06, changes=["loss=bce"]),
        record("markov", 0.3, dataset="bookshop"),
    )


def test_a_state_shows_one_data_set_and_one_protocol_best_first(families):
    data = explorer.chart(families)
    found = explorer.view(data, [0, 1, 1, 0])
    assert (found["dataset"], found["protocol"], found["metric"]) == ("beauty", "seen-filtered", "HR@5")
    assert [p["label"] for p in found["points"]] == [
        "sasrec, loss=bce (repaired)",
        "dcrec (repaired)",
        "gap (repaired)",
    ]
    assert found["points"][0]["score"] == [0.061, 0.059, 0.063] and found["points"][0]["cost"] == 12.5
    assert found["printed"] == lesson.figures.printed("beauty", "HR@5")
    assert explorer.view(data, [1, 0, 0, 0])["printed"] == {}  # nobody prints the bookshop


def test_the_axes_stay_when_the_protocol_changes_and_hold_every_mark(families):
    data = explorer.chart(families)
    for cost in range(len(explorer.COSTS)):
        one, other = (explorer.view(data, [0, protocol, 0, cost]) for protocol in (0, 1))
        assert one["x"] == other["x"] and one["y"] == other["y"]
        for p in one["points"] + other["points"]:
            assert one["x"][0] < p["cost"] < one["x"][1] and p["score"][2] <= one["y"][1]


def test_seconds_of_two_devices_are_never_compared(recorded):
    """A model's seconds are those on the device of most runs; without a run there it has none."""
    runs = [record("gap", 0.04), *(record("dcrec", 0.05, seed=seed) for seed in range(2)), record("sasrec", 0.06)]
    for run in (runs[2], runs[3]):
        run |= {"device": "cuda: fast", "seconds": 1.0, "evaluation_seconds": 0.1}
    families = recorded(*runs, record("bprmf", 0.03))
    data = explorer.chart(families)
    for cost, dcrec in ((0, 12.5), (1, 0.5)):
        found = explorer.view(data, [0, 0, 0, cost])
        assert {p["label"]: p["cost"] for p in found["points"]}["dcrec (repaired)"] == dcrec
        assert "sasrec" not in str(found["points"]) and "no run on cpu of sasrec (repaired)." in found["untimed"]
    assert len(explorer.view(data, [0, 0, 0, 2])["points"]) == 4 and not explorer.view(data, [0, 0, 0, 2])["untimed"]
    assert next(f for f in families if f.model == "dcrec").seconds() == {"cpu": 12.5, "cuda: fast": 1.0}


def test_weights_are_counted_in_the_model_itself(families):
    by_model = {family.model: explorer.weights(family) for family in families}
    assert by_model["gap"] == by_model["markov"] == 0
    built = models.build("dcrec", 20, d=8, heads=1, blocks=1)
    assert by_model["dcrec"] == sum(weight.numel() for weight in built.parameters())


def test_the_widget_needs_runs_and_has_a_picture_and_a_description(families):
    widget = explorer.cost_explorer(families)
    assert widget.picture().startswith(b"\x89PNG") and "accuracy against cost" in repr(widget).lower()
    json.dumps(widget.data, allow_nan=False)
    with pytest.raises(ValueError, match="no recorded run"):
        explorer.cost_explorer([])


def test_every_record_of_the_course_can_be_shown():
    families = results.recorded()
    data = explorer.chart(families)
    assert len(data["points"]) == len(families) > 0
    for dataset in range(len(data["choices"][0])):
        for cost in (0, 2):
            fig = figures.cost_chart(explorer.view(data, [dataset, 0, 0, cost]))
            fig.canvas.draw()
            lines = [text.get_window_extent() for text in fig.axes[1].texts]
            assert len(lines) > 1 and not any(a.overlaps(b) for a, b in pairwise(lines))
            assert lines[-1].y0 > 0  # the last one is not cut off


def test_the_question_is_answered_by_the_records(recorded):
    runs = [record("gap", 0.02), record("sasrec", 0.04), record("dcrec", 0.05)]  # all gain .001: the lowest most
    ask = explorer.cost_explorer(recorded(*runs)).ask
    assert ask["options"][ask["right"]] == "rule, no gradient"
    assert "network without diffusion, 2.5 %; diffusion model, 2.0 %" in ask["told"]
    runs[1]["test_filtered"] = {name: 2 * number for name, number in runs[1]["test"].items()}
    ask = explorer.cost_explorer(recorded(*runs)).ask
    assert ask["options"][ask["right"]] == "network without diffusion"


def test_the_best_model_is_chosen_on_the_validation_readers_of_all_its_seeds(recorded):
    runs = [record("gap", 0.02), record("sasrec", 0.04), record("diffurec", 0.05, val=0.06)]
    runs += [record("dcrec", 0.055, seed=0, val=0.07), record("dcrec", 0.055, seed=1, val=0.04)]  # lucky at first
    said = [
        sentence for sentence in figures.told(recorded(*runs), ("beauty",)) if "of the diffusion models" in sentence
    ]
    assert len(said) == 2 and all("of the diffusion models diffurec (repaired);" in sentence for sentence in said)
    beside = [sentence for sentence in figures.told(recorded(*runs), ("beauty",)) if "of these two" in sentence]
    assert [re.search(r"two (\w+) \(repaired\) was .* (\d+%) of its ([.\d]+);", one).groups() for one in beside] == [
        ("diffurec", "40%", "0.0500"),
        ("diffurec", "41%", "0.0510"),
    ]
