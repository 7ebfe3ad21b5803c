"""The survey's tables hold what the files say, and nothing else: no number without a record, no cause without a run."""

import io
import json
import math
import shlex

import pandas as pd
import pytest

from diffrec_lite.data.shipped import shipped
from diffrec_lite.training import ablations, results, tables
from diffrec_lite.training.results import FILTERED, Score
from diffrec_lite.training.table import NOT_PRINTED, NOT_RUN, Table, as_text


def record(model="dcrec", dataset="beauty", preset="paper", seed=0, value=0.06, width=0.003, changes=(), **more):
    """A run.json in short: every metric has the same value."""
    words = ["diffrec-lite", "train", model, "--dataset", dataset, "--preset", preset, "--seed", str(seed)]
    words += [word for change in changes for word in ("--set", change)]
    metrics = {}
    for name in tables.METRICS:
        metrics |= {name: value, f"{name} low": value - width, f"{name} high": value + width}
    sizes = {"name": dataset, "users": 10, "items": 20, "interactions": 30}
    run = {
        "model": model,
        "dataset": sizes,
        "seed": seed,
        "command": shlex.join(words),
        "device": "cpu",
        "seconds": 5.0,
    }
    filtered = {name: number + 0.001 for name, number in metrics.items()}
    return {**run, "test": metrics, "test_filtered": filtered, **more}


@pytest.fixture
def recorded(tmp_path):
    """A function that writes records into a folder and reads them as families."""

    def write(*runs):
        for number, run in enumerate(runs):
            (tmp_path / f"run_{number}.json").write_text(json.dumps(run))
        return results.recorded(tmp_path)

    return write


# ---------------------------------------------------------------- records


def test_runs_that_differ_in_their_seed_alone_are_one_family(recorded):
    found = recorded(
        record(seed=2, value=0.07),
        record(seed=0, value=0.05),
        record(seed=0, changes=["delta=0.0"]),
        record(preset="repaired"),
        {"model": "dcrec", "training": []},  # a measurement of speed
    )
    assert [(f.preset, f.changes, f.names) for f in found] == [
        ("paper", (), ("run_1", "run_0")),
        ("paper", ("delta=0.0",), ("run_2",)),
        ("repaired", (), ("run_3",)),
    ]
    score = found[0].score("HR@5")
    assert math.isclose(score.value, 0.06) and math.isclose(score.sd, 0.02 / math.sqrt(2)) and score.seeds == 2
    assert math.isclose(score.low, 0.047) and math.isclose(score.high, 0.073)
    assert math.isclose(found[0].score("HR@5", FILTERED).value, 0.061)
    assert found[2].score("HR@5").sd is None and found[1].label == "dcrec, delta=0.0"


@pytest.mark.parametrize("more", ["--epochs 2", "--epochs=2", "--split temporal", "--set d=8"])
def test_a_run_that_was_asked_for_something_else_is_not_the_preset(recorded, more):
    run = record(preset="repaired")
    families = recorded({**run, "command": f"{run['command']} {more}"})
    assert len(families) == 1 and results.find(families, "beauty", "dcrec", "repaired") is None


@pytest.mark.parametrize(
    ("more", "title"),
    [
        ((), "dcrec (narrow)"),
        (("share_at_T=1.0",), "dcrec, share_at_T=1.0 (narrow)"),
    ],
)
def test_all_that_the_preset_narrow_changes_is_that_preset(recorded, more, title):
    assert recorded(record(preset="repaired", changes=[*results.NARROW, *more]))[0].title == title
    assert recorded(record(preset="repaired", changes=[*results.NARROW[1:], *more]))[0].preset == "repaired"
    assert recorded(record(preset="quick", changes=[*results.NARROW, *more]))[0].preset == "quick"


def test_the_preset_is_quick_where_the_command_names_none(recorded):
    run = record()
    families = recorded({**run, "command": "diffrec-lite train dcrec --dataset beauty --out x"})
    assert families[0].preset == "quick" and families[0].changes == ()


# ---------------------------------------------------------------- Table II


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (None, "not run"),
        (0.0630, "replicated"),
        (0.0630 * 0.95, "replicated"),
        (0.0630 * 1.05, "replicated"),
        (0.0630 * 0.949, "below"),
        (0.0630 * 1.051, "above"),
        (0.0, "below"),
    ],
)
def test_a_cell_is_replicated_within_five_per_cent_and_else_below_or_above(ours, expected):
    assert tables.verdict(0.0630, ours) == expected


def row(families, preset, metric="HR@5", model="DCRec"):
    frame = tables.table_2(families).frame
    chosen = (frame["data set"] == "beauty") & (frame.metric == metric) & (frame.model == model)
    return frame[chosen & (frame.preset == preset)].iloc[0]


def test_a_missing_record_is_not_run_and_nothing_is_guessed(recorded):
    frame = tables.table_2(recorded(record(preset="repaired"))).frame
    assert len(frame) == len(pd.read_csv(shipped("published/table_2.csv"))) * len(tables.PRESETS)
    missing = frame[frame.runs == 0]
    assert len(missing) == len(frame) - 2
    assert set(missing.verdict) == {NOT_RUN} and set(missing.cause) == {""}
    assert missing[[column for column in frame if column.startswith("ours")]].isna().all(axis=None)
    assert set(frame[frame.runs > 0].model + frame[frame.runs > 0].preset) == {"DCRecrepaired"}


def test_a_cell_shows_the_mean_of_its_runs_under_both_protocols(recorded):
    families = recorded(record(value=0.061), record(seed=1, value=0.065))
    found = row(families, "paper")
    assert math.isclose(found["ours"], 0.063) and math.isclose(found["ours, seen-filtered"], 0.064)
    assert found.published == 0.063 and found.verdict == "replicated" and found.runs == 2
    shown = tables.table_2(families).text()
    assert "0.0630 ± 0.0028" in set(shown.ours)


def test_the_cause_is_the_recipe_only_where_the_other_preset_differs_beyond_both_intervals(recorded):
    low, near, high = (
        record(preset=p, value=v) for p, v in (("paper", 0.03), ("repaired", 0.062), ("repaired", 0.033))
    )
    assert row(recorded(low, near), "paper").cause == "the recipe repaired: 0.0620 (run_1)"
    assert row(recorded(low, near), "repaired").cause == ""  # replicated: nothing to explain
    assert row(recorded(low, high), "paper").cause == ""  # the intervals meet
    assert row(recorded(low, high), "repaired").cause == ""


def test_the_cause_is_a_setting_where_the_same_preset_with_it_changed_differs(recorded):
    low, changed = record(value=0.03), record(value=0.05, changes=["seen_bias=false"])
    assert row(recorded(low, changed), "paper").cause == "with seen_bias=false: 0.0500 (run_1)"
    elsewhere = record(preset="repaired", value=0.05, changes=["seen_bias=false"])
    assert row(recorded(low, elsewhere), "paper").cause == ""  # two things differ


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
def test_of_several_causes_the_nearest_to_the_printed_number_is_named(recorded, order):
    runs = record(value=0.03), record(value=0.05, changes=["seen_bias=false"]), record(preset="repaired", value=0.06)
    families = recorded(*(runs[i] for i in order))  # 0.0630 is printed
    assert row(families, "paper").cause.startswith("the recipe repaired: 0.0600")


def test_a_worse_run_explains_no_low_cell_and_a_better_one_no_high_cell(recorded):
    families = recorded(record(value=0.05), record(preset="repaired", value=0.02))
    assert row(families, "paper").verdict == "below" and row(families, "paper").cause == ""
    families = recorded(record(value=0.09), record(preset="repaired", value=0.08))
    assert row(families, "paper").cause.startswith("the recipe") and row(families, "repaired").cause == ""


def test_a_variant_of_a_preset_fills_no_cell(recorded):
    assert row(recorded(record(changes=["d=8"])), "paper").verdict == NOT_RUN


def test_the_rows_that_the_survey_prints_under_movielens_are_compared_with_yelp(recorded):
    frame = tables.table_2(recorded(record(dataset="yelp"), record(dataset="ml-1m"))).frame
    cells = frame[(frame.model == "DCRec") & frame["survey's error"].str.contains("Yelp")]
    assert set(cells["data set"]) == {"yelp"} and (cells[cells.preset == "paper"].runs == 1).all()


# ---------------------------------------------------------------- the other tables


def test_table_1_takes_our_counts_from_a_record_where_the_data_are_not_at_hand(recorded, monkeypatch, tmp_path):
    monkeypatch.setenv("DIFFREC_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr("diffrec_lite.data.archives.prepared_folder", lambda: tmp_path / "nothing")
    frame = tables.table_1(recorded(record())).frame.set_index("data set")
    assert frame.loc["beauty", "our users"] == 10 and frame.loc["beauty", "counted in"] == "record run_0"
    assert frame.loc["yelp", "counted in"] == tables.NOT_COUNTED and pd.isna(frame.loc["yelp", "our items"])
    assert frame.loc["beauty", "published users"] == 22363


def test_table_1_counts_the_prepared_data_where_they_are_at_hand(recorded, monkeypatch, tmp_path):
    rows = [f"u{user}\ti{item}\t{item}" for user in range(6) for item in range(5 + user % 2)]
    (tmp_path / "beauty.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n" + "\n".join(rows) + "\n")
    monkeypatch.setenv("DIFFREC_DATA", str(tmp_path))
    counted = tables.table_1(recorded(record())).frame.set_index("data set").loc["beauty"]
    assert list(counted[["our users", "our items", "our interactions", "counted in"]]) == [6, 6, 33, "prepared data"]
    told = tables.table_1(recorded(record()), prepared=False).frame.set_index("data set").loc["beauty"]
    assert told["counted in"] == "record run_0"


def test_table_3_puts_our_variant_beside_the_printed_one():
    frame = ablations.table_3().frame.set_index(["part", "variant"])
    conditions = pd.read_csv(shipped("runs/conditions.csv"))
    ours = conditions[(conditions.variant == "explicit only") & (conditions.steps == 1)]["HR@5"]
    found = frame.loc[("conditions", "explicit only")]
    assert math.isclose(found["our bookshop"], ours.mean()) and math.isclose(found["our bookshop sd"], ours.std())
    assert list(found[["published beauty", "published toys", "published yelp"]]) == [0.0599, 0.0633, 0.0349]
    assert frame.loc[("conditions", "both"), "published beauty"] == 0.0630
    losses = frame.loc["losses"]
    assert len(losses) == 7 and losses["our bookshop"].isna().all() and losses["published yelp"].isna().all()
    repairs = pd.read_csv(shipped("runs/dcrec_repairs.csv"))
    beauty = repairs[(repairs.dataset == "beauty") & (repairs.variant == "repaired") & (repairs.steps == 1)].iloc[0]
    assert frame.loc[("repairs", "repaired"), "our beauty high"] == beauty["HR@5 high"]
    assert set(frame.loc["repairs"].index) == set(repairs[repairs.dataset == "bookshop"].variant)


def test_table_4_matches_steps_by_their_share_of_the_whole_chain():
    assert [ablations.share(n, 32) for n in (32, 16, 4, 2, 1)] == ["T", "T/2", "T/8", "T/16", "one"]
    assert ablations.share(4, 50) == "4 of 50"
    frame = ablations.table_4_steps().frame.set_index("steps")
    chains = pd.read_csv(shipped("runs/chains.csv"))
    four = chains[(chains.way == "plain") & (chains.steps == 4) & (chains.signal == 1)]["HR@5"]
    assert math.isclose(frame.loc["T/8", "our bookshop, signal 1"], four.mean())
    assert frame.loc["T/8", "published beauty"] == 0.0625 and pd.isna(frame.loc["T", "our bookshop, signal 1"])


def test_table_4_shows_every_measurement_of_speed():
    record = json.loads(shipped("runs/bench.json").read_text())
    frame = ablations.table_4_cost([shipped("runs/bench.json")]).frame
    assert len(frame) == len(record["training"]) + len(record["inference"])
    assert list(frame["examples a second"]) == [way["per_second"] for way in record["training"] + record["inference"]]


def test_every_table_is_whole_in_csv_and_in_markdown():
    found = tables.all_tables(prepared=False)
    assert [t.name for t in found] == [
        "table_1", "table_2", "table_2_records", "table_3", "table_4_steps", "table_4_cost", "errata",
    ]  # fmt: skip
    for table in found:
        back = pd.read_csv(io.StringIO(table.csv()))
        assert list(back.columns) == list(table.frame.columns) and len(back) == len(table.frame) > 0
        lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
        assert len(lines) == len(table.frame) + 2
        assert not {"nan", "None", "<NA>"} & set(table.text().to_numpy().ravel())


def test_text_joins_a_number_with_what_is_around_it():
    frame = pd.DataFrame(
        {
            "published x": [0.5, None],
            "ours": [0.25, None],
            "ours sd": [0.01, None],
            "ours low": [0.2, None],
            "ours high": [0.3, None],
            "readers": [22363, None],
            "one run": [0.1, 12.34],
            "one run low": [0.05, None],
            "one run high": [0.15, None],
        }
    )
    shown = as_text(frame)
    assert list(shown.columns) == ["published x", "ours", "readers", "one run"]
    assert shown.iloc[0].tolist() == ["0.5000", "0.2500 ± 0.0100", "22,363", "0.1000 [0.0500, 0.1500]"]
    assert shown.iloc[1].tolist() == [NOT_PRINTED, NOT_RUN, NOT_RUN, "12.3"]
    cell = Table("x", "X", "", pd.DataFrame({"a": ["b|c"]})).markdown()
    assert "b\\|c" in cell


def test_a_score_says_whether_it_is_one_run_or_several():
    assert str(Score(0.06, None, 0.05, 0.07, 1)) == "0.0600 [0.0500, 0.0700]"
    assert str(Score(0.06, 0.002, 0.05, 0.07, 3)) == "0.0600 ± 0.0020 (3 seeds)"
