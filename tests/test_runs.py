"""The recorded tables are whole, and say what the package says that they say."""

import json
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

import follow
import full_scale
import paired
import pandas as pd
import pytest
import repairs as repairs_script
import repeat
import results
import torch

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.metrics import COVERAGE, DEBIASED, names
from diffrec_lite.training.recipe import Recipe, settings
from diffrec_lite.training.results import find, recorded

RUNS = Path(__file__).parents[1] / "data" / "runs"
SINGLE = ("signal", "detach_target", "loss weights")  # each of these alone revives the printed DCRec


@pytest.fixture(scope="module")
def repairs() -> pd.DataFrame:
    return pd.read_csv(RUNS / "dcrec_repairs.csv")


@pytest.fixture(scope="module")
def bookshop(repairs) -> pd.DataFrame:
    """Mean HR@5 over the seeds: a row for each variant, a column for each number of steps."""
    rows = repairs[repairs.dataset == "bookshop"]
    return rows.pivot_table(index="variant", columns="steps", values="HR@5", aggfunc="mean")


def test_the_repairs_are_measured_on_every_seed_and_at_one_step_and_four(repairs):
    rows = repairs[repairs.dataset == "bookshop"]
    assert not rows.duplicated(["variant", "seed", "steps"]).any()
    assert set(rows.groupby("variant").seed.nunique()) == {3} and set(rows.groupby("variant").steps.nunique()) == {2}
    assert (repairs["HR@5 low"] <= repairs["HR@5"]).all() and (repairs["HR@5"] <= repairs["HR@5 high"]).all()


def test_three_repairs_revive_the_printed_model_alone_and_the_others_do_not(bookshop):
    printed, rows = bookshop[1]["as printed"], bookshop[1].filter(like="as printed with ")
    revived = set(rows[rows > 3 * printed].index)
    assert revived == {f"as printed with {name}" for name in SINGLE}
    assert rows.drop(list(revived)).max() < 1.5 * printed


def test_of_the_repaired_model_only_the_seen_bias_is_missed_at_one_step_and_the_signal_at_four(repairs, bookshop):
    rows = repairs[(repairs.dataset == "bookshop") & (repairs.variant == "repaired")]
    margin = (rows["HR@5 high"] - rows["HR@5"]).max()
    single = [f"repaired without {name}" for name in repairs_script.GROUPS]
    lost = bookshop.loc["repaired"] - bookshop.loc[single]
    assert set(lost[lost[1] > margin].index) == {"repaired without seen_bias"}
    assert set(lost[lost[4] > margin].index) == {"repaired without seen_bias", "repaired without signal"}
    assert abs(bookshop[4]["repaired"] - bookshop[1]["repaired"]) < margin


def test_the_repaired_model_fails_without_the_three_that_revive_the_printed_one(bookshop):
    assert set(SINGLE) == set(repairs_script.REVIVING)
    without_all = bookshop.loc[f"repaired without {', '.join(repairs_script.REVIVING)}"]
    assert (without_all < 0.3 * bookshop.loc["repaired"]).all()


def test_the_repaired_dcrec_is_above_counting_and_the_printed_one_is_not(bookshop):
    dataset = load("bookshop")
    markov = models.build("markov", dataset.num_items)
    markov.fit_counts(dataset)
    counted = evaluate(markov, dataset, "val").metrics["HR@5"]
    assert bookshop[1]["as printed"] < counted < bookshop[1]["repaired"]


RECORDS = sorted(RUNS.glob("*_*_[0-9].json"))


@pytest.mark.parametrize("metric", ["HR@5", "NDCG@5"])
@pytest.mark.parametrize("changes", [(), ("share_at_T=1.0",)], ids=["with diffusion", "without"])
@pytest.mark.parametrize("data", ["beauty", "toys"])
def test_the_results_say_the_hybrids_means_over_its_seeds(data, changes, metric):
    page = (results.ROOT / "RESULTS.md").read_text(encoding="utf-8")
    said = page.split("### The hybrid reaches")[1].split("### Rules and SASRec")[0]
    hybrid = find(recorded(RUNS), data, "hybrid", "repaired", changes)
    assert f"{hybrid.score(metric).value:.4f}".removeprefix("0") in said


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_a_record_is_flat_and_has_everything_that_a_comparison_needs(path):
    record = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert path.stem.startswith(f"{record['dataset']['name']}_{record['model']}_")
    assert path.stem.endswith(f"_{record['seed']}") and record["command"].startswith("diffrec-lite train ")
    assert {"config", "versions", "device", "precision", "seconds", "history", "commit"} <= set(record)
    for split in ("val", "val_filtered", "test", "test_filtered"):
        assert set(names()) <= set(record[split])
        for name in names():
            assert record[split][f"{name} low"] <= record[split][name] <= record[split][f"{name} high"]
        if "ties" in record["dataset"]:  # older records do not say how ties are ordered, nor have what came with it
            assert 0 < record[split][COVERAGE] <= 1
            assert record[split][f"{DEBIASED} low"] <= record[split][DEBIASED] <= record[split][f"{DEBIASED} high"]
            assert record[split]["held_out"] == record["dataset"]["split"]


@pytest.mark.parametrize("page", results.PAGES)
def test_a_page_says_what_the_records_say(page):
    text = (results.ROOT / page).read_text(encoding="utf-8")
    assert "<!-- / -->" in text and results.written(text, recorded()) == text
    assert results.written(text.replace("\n<!-- / -->", "| a row | of old |\n<!-- / -->"), recorded()) == text


def test_a_row_of_the_results_holds_its_records_numbers():
    rows = [line.strip("| \n").split(" | ") for line in (results.ROOT / "RESULTS.md").read_text("utf-8").splitlines()]
    rows = [row for row in rows if len(row) == 8 and row[-1].startswith("`") and "`, `" not in row[-1]]
    real = [path for path in RECORDS if not path.stem.startswith("bookshop")]
    assert 20 < len(rows) <= len(real)
    for row in rows:
        record = json.loads((RUNS / f"{row[-1].strip('`')}.json").read_text(encoding="utf-8"))
        for cell, name in zip(row[1:3], ("HR@5", "NDCG@5"), strict=True):
            assert cell == "{:.4f} [{:.4f}, {:.4f}]".format(
                *(record["test"][name + of] for of in ("", " low", " high"))
            )
        assert row[5:7] == [record["precision"], record["device"].partition(":")[0]]
        assert row[3:5] == [f"{record['test_filtered'][name]:.4f}" for name in ("HR@5", "NDCG@5")]


def test_a_family_without_a_name_is_not_left_out_of_the_results():
    family = next(f for f in recorded() if f.dataset == "toys" and f.model == "dcrec")
    with pytest.raises(SystemExit, match="dcrec_odd"):
        results.rows("toys", [replace(family, names=("toys_dcrec_odd_0",))])


def test_every_run_that_is_planned_has_a_name_in_the_results():
    assert {job.name(0).removeprefix(f"{job.dataset}_")[:-2] for job in full_scale.WORTH if job.preset != "quick"} <= {
        *results.LABELS
    }


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_a_records_command_still_means_the_settings_that_it_was_run_with(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    _, _, model, *given = shlex.split(record["command"])
    changes = [value for name, value in pairwise(given) if name == "--set"]
    of_model, of_training = settings(model, given[given.index("--preset") + 1], changes)
    meant = {**models.MODELS[model].Settings.defaults(), **Recipe.defaults(), **of_model, **of_training}
    had = {name: value for name, value in record["config"].items() if name != "num_items"}
    assert {name: meant[name] for name in had} == had


def test_both_sides_of_a_pair_are_the_recorded_runs():
    table = pd.read_csv(RUNS / "paired.csv", dtype={"seeds": str})
    assert len(table) and not table.duplicated(["dataset", "seeds", "A", "B", "protocol", "metric"]).any()
    for row in table.to_dict("records"):
        for side in ("A", "B"):
            seeds = ["0"] if row[side].endswith("_quick") else row["seeds"].split()
            records = [RUNS / f"{row['dataset']}_{row[side]}_{seed}.json" for seed in seeds]
            protocol = "test" if row["protocol"] == "unfiltered" else "test_filtered"
            tests = [json.loads(path.read_text(encoding="utf-8"))[protocol][row["metric"]] for path in records]
            assert row[f"{side} value"] == pytest.approx(mean(tests), abs=2e-6)
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["difference"] == pytest.approx(row["A value"] - row["B value"], abs=2e-6)


def test_a_pair_has_draws_enough_for_holms_correction():
    for _, rows in pd.read_csv(RUNS / "paired.csv").groupby("A"):
        least = 2 / (1 + rows["draws"].min())  # p is never below it
        assert least <= 0.05 / len(rows) and rows["p"].min() >= least - 1e-6


def test_a_pair_needs_both_trainings_to_have_ended(tmp_path):
    names = ("toys_hybrid_repaired_1", "toys_sasrec_repaired_1", "toys_ridge_quick_0", "toys_hybrid_repaired_0")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").touch()
    for name in names[:3]:
        (tmp_path / name / "run.json").touch()
    pairs = [("toys", (1,), "hybrid_repaired", "sasrec_repaired")]
    assert paired.pairs(tmp_path, 3) == [*pairs, ("toys", (1,), "hybrid_repaired", "ridge_quick")]
    (tmp_path / "toys_hybrid_repaired_0" / "run.json").touch()
    against_ridge = [("toys", seeds, "hybrid_repaired", "ridge_quick") for seeds in ((0,), (1,), (0, 1))]
    assert paired.pairs(tmp_path, 2) == [*pairs, *against_ridge]  # all seeds that are asked for
    assert paired.pairs(tmp_path, 3) == [*pairs, *against_ridge[:2]]
    assert paired.pairs(tmp_path, 1) == against_ridge[:1]


def test_a_side_of_several_seeds_is_their_mean(monkeypatch):
    monkeypatch.setattr(paired, "DRAWS", 100)
    first, second, other = (SimpleNamespace(ranks=torch.tensor([rank] * 9)) for rank in (1, 9, 2))
    table = paired.compared([first, second], [other, other]).set_index("metric")
    assert table.loc["HR@5", ["A value", "B value"]].tolist() == [0.5, 1.0]


def test_a_table_is_made_again_by_its_command(tmp_path):
    recorded, made = repeat.repeated("leak", 0, tmp_path)
    assert len(recorded) == 1 and repeat.apart(recorded, made) <= repeat.WITHIN
    assert repeat.apart(recorded, made.assign(**{"HR@5": made["HR@5"] + 0.004})) > repeat.WITHIN
    assert repeat.apart(recorded, made.assign(**{"trained at": "all steps"})) > repeat.WITHIN
    assert repeat.apart(recorded, made.assign(**{"HR@5": float("nan")})) > repeat.WITHIN
    assert repeat.apart(recorded, made[:0]) > repeat.WITHIN


@pytest.mark.parametrize("name", ["bookshop_dcrec_quick_0", "bookshop_sasrec_quick_0"])
def test_a_records_command_follows_its_curve_for_two_epochs(name, tmp_path):
    record = json.loads((RUNS / f"{name}.json").read_text(encoding="utf-8"))
    rows = follow.both(record, follow.again(record, "cpu", tmp_path))
    assert rows.epoch.tolist() == [1, 2] and follow.follows(rows)


def run(name):
    return json.loads((RUNS / f"{name}.json").read_text(encoding="utf-8"))


def first_epochs(name):
    """A run as it would be, had it ended after the epochs that are followed."""
    return run(name) | {"history": run(name)["history"][: follow.EPOCHS]}


def test_another_seed_does_not_follow_it():
    assert not follow.follows(follow.both(run("bookshop_dcrec_quick_0"), first_epochs("bookshop_dcrec_quick_1")))


def test_on_another_kind_of_device_another_seed_follows_and_another_model_does_not():
    record = run("beauty_dcrec_repaired_2")
    assert record["device"].startswith("cuda")
    assert follow.follows(follow.both(record, first_epochs("beauty_dcrec_repaired_1")))
    assert not follow.follows(follow.both(record, first_epochs("beauty_hybrid_repaired_1")))


def test_what_was_followed_is_kept_in_place_of_what_was_there(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "FOLLOWED", tmp_path / "followed.csv")
    rows = follow.both(run("bookshop_dcrec_quick_0"), first_epochs("bookshop_dcrec_quick_1"))
    for name, loss in (("b", 1.0), ("a", 2.0), ("b", 3.0)):
        follow.keep(name, rows.assign(**{"loss again": loss}))
    kept = pd.read_csv(tmp_path / "followed.csv")
    assert kept.record.tolist() == ["a", "a", "b", "b"] and kept["loss again"].tolist() == [2.0, 2.0, 3.0, 3.0]


def test_seeds_of_one_setting_are_as_far_apart_as_the_page_says():
    """In the loss of the first two epochs, on real data: what a run that is followed elsewhere is measured by."""
    apart = []
    for family in recorded(RUNS):
        curves = [run["history"] for run in family.runs if "loss" in run["history"][0]]
        if family.dataset != "bookshop" and len(curves) > 1:
            losses = [[curve[epoch]["loss"] for curve in curves] for epoch in range(follow.EPOCHS)]
            apart += [max(some) / min(some) - 1 for some in losses]
    page = " ".join((paired.ROOT / "RESULTS.md").read_text(encoding="utf-8").split())
    assert f"seeds of one setting are up to {max(apart):.4f} apart".replace(" 0.", " .") in page


def test_the_records_of_a_gpu_were_followed_and_none_strayed():
    table = pd.read_csv(follow.FOLLOWED)
    assert set(table.record) == {path.stem for path in RECORDS if run(path.stem)["device"].startswith("cuda")}
    for name, rows in table.groupby("record"):
        history = pd.DataFrame(run(name)["history"][: follow.EPOCHS])
        for column in ("epoch", *follow.SHOWN):
            assert rows[column].tolist() == pytest.approx(history[column].tolist(), rel=1e-5), name
        assert (rows["made on"] == follow.kind_of_device(run(name))).all() and follow.follows(rows), name
