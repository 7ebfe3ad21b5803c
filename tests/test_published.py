"""The published tables are tidy, and the ledger names only options that exist."""

import ast
import re
from pathlib import Path

import pandas as pd
import pytest

from diffrec_lite import models

PUBLISHED = Path(__file__).parents[1] / "data" / "published"
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
RESULTS = sorted(PUBLISHED.glob("*_results.csv"))
COLUMNS = ["dataset", "model", "metric", "value", "source", "note"]


@pytest.fixture(scope="module")
def dcrec() -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / "dcrec_results.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def ledger() -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / "ledger.csv", keep_default_na=False)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_tidy(path):
    table = pd.read_csv(path, keep_default_na=False)
    assert list(table.columns) == COLUMNS
    assert not table.duplicated(["dataset", "model", "metric"]).any()
    assert set(table.dataset) <= {"beauty", "toys", "ml-1m", "yelp"}
    assert table.metric.str.fullmatch(r"(HR|NDCG)@(5|10|20)").all()
    assert table.value.between(0.0001, 0.5).all()
    assert (table.source != "").all()


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_obey_the_order_of_the_metrics(path):
    """NDCG@k <= HR@k, and both grow with k: a slipped digit breaks one of these."""
    table = pd.read_csv(path, keep_default_na=False).pivot(index=["dataset", "model"], columns="metric", values="value")
    for k in (5, 10, 20):
        if f"NDCG@{k}" in table:
            assert not (table[f"NDCG@{k}"] > table[f"HR@{k}"]).any()
    for name in ("HR", "NDCG"):
        for low, high in ((5, 10), (10, 20)):
            if {f"{name}@{low}", f"{name}@{high}"} <= set(table.columns):
                assert not (table[f"{name}@{low}"] >= table[f"{name}@{high}"]).any()


def test_table_1_holds_whole_numbers():
    table = pd.read_csv(PUBLISHED / "table_1.csv", keep_default_na=False)
    assert {"dataset", "source"} <= set(table.columns)
    assert len(table) > 0


def test_dcrec_two_conditions_beat_one(dcrec):
    value = dcrec.set_index(["model", "dataset", "metric"]).value
    for part in ("DCRec: implicit only", "DCRec: explicit only"):
        assert bool((value["DCRec"] > value[part]).all()) and len(value[part]) == 12


def test_dcrec_numbers_from_figures_say_so(dcrec):
    from_figures = dcrec.source.str.contains("figure")
    assert (dcrec.note[from_figures] == "read by eye").all() and from_figures.sum() == 34


def test_ledger_is_complete(ledger):
    assert ledger.entry.tolist() == list(range(1, 20))
    assert (ledger[["system", "paper", "program", "option"]] != "").all(axis=None)


def test_ledger_options_exist_with_such_a_value(ledger):
    for row in ledger[ledger.option != "note"].itertuples():
        name, value = row.option.split("=")
        for system in re.findall(r"\w*Rec\w*", row.system):
            settings = models.MODELS[system.lower()].settings()
            assert name in settings, f"entry {row.entry}: {system} has no {name}"
            models.build(system.lower(), 5, **{"d": 8, name: ast.literal_eval(value)})


def test_ledger_names_notebooks_that_speak_of_the_entry(ledger):
    for row in ledger[ledger.notebook != ""].itertuples():
        path = NOTEBOOKS / f"{row.notebook}.ipynb"
        if path.exists():
            assert re.search(rf"[Ll]edger[^.\n]{{0,80}}?\b{row.entry}\b", path.read_text("utf-8")), (
                f"{path.name} never mentions ledger entry {row.entry}"
            )
