"""The published tables are tidy and agree with one another, and the ledger names only what exists."""

import ast
import math
import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from diffrec_lite import models

PUBLISHED = Path(__file__).parents[1] / "data" / "published"
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
COLUMNS = {
    "baselines": "dataset model metric value protocol source note",
    "dcrec_results": "dataset model metric value source note",
    "diffurecsys_results": "dataset model metric value source note",
    "errata": "erratum paper place says correct source table",
    "ledger": "entry system paper program repository commit file line status option notebook",
    "table_1": "dataset model metric value source note",
    "table_2": "dataset model metric value baseline baseline_model true_dataset basis source error",
}
SCORES = ["baselines", "dcrec_results", "diffurecsys_results"]
RESULTS = ["dcrec_results", "diffurecsys_results"]
COMMITS = {
    "shararezr/DiffuRecSys": "746866d",
    "WHUIR/DiffuRec": "f6f70c9",
    "Chengkai-Huang/DCRec_code": "8a6cd0a",
    "Nemo-1024/ADRec": "0a30ef7",
}
ROUNDING = 1e-4  # two numbers of four decimals: their difference is off by as much


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / f"{name}.csv", keep_default_na=False, dtype={"commit": str})


def scores(name: str) -> pd.DataFrame:
    """One row for a model on a data set, one column for a metric."""
    return read(name).pivot(index=["dataset", "model"], columns="metric", values="value")


def entries_told(notebook: Path) -> set[int]:
    """The ledger entries a notebook speaks of: "ledger 4 and 5", "entry 14", or a row of a table about the ledger."""
    told: set[str] = set()
    for cell in nbformat.read(notebook, as_version=4).cells:
        if "ledger" in cell.source.lower():
            for numbers in re.findall(r"(?:[Ll]edger|entry|entries)\s+(\d+(?:(?:, | and )\d+)*)", cell.source):
                told.update(re.findall(r"\d+", numbers))
            told.update(re.findall(r"^\|.*\| (\d+) \|$", cell.source, re.MULTILINE))
            told.update(re.findall(r"^\| (\d+) (?:\(|\|)", cell.source, re.MULTILINE))
    return {int(number) for number in told}


@pytest.fixture(scope="module")
def ledger() -> pd.DataFrame:
    return read("ledger")


def test_every_table_is_described():
    names = {path.stem for path in PUBLISHED.glob("*.csv")}
    assert names == set(COLUMNS)
    readme = (PUBLISHED / "README.md").read_text("utf-8")
    assert not [name for name in names if f"`{name}.csv`" not in readme]


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_tidy(name):
    table = read(name)
    assert list(table.columns) == COLUMNS[name].split()
    text = table.select_dtypes(exclude="number")
    assert (text == text.apply(lambda column: column.str.strip())).all(axis=None)
    if "source" in table:
        assert (table.source != "").all()


@pytest.mark.parametrize("name", [*SCORES, "table_2"])
def test_scores_are_shares_of_known_data_sets(name):
    table = read(name)
    keys = ["dataset", "model", "metric", *(["protocol"] if "protocol" in table else [])]
    assert not table.duplicated(keys).any()
    assert set(table.dataset) <= {"beauty", "toys", "ml-1m", "yelp"}
    assert table.metric.str.fullmatch(r"(HR|NDCG)@(5|10|20)").all()
    assert table.value.between(0, 1, inclusive="neither").all()


@pytest.mark.parametrize("name", RESULTS)
def test_results_obey_the_order_of_the_metrics(name):
    """NDCG@k <= HR@k, and both grow with k: a slipped digit breaks one of these."""
    table = scores(name)
    for k in (5, 10, 20):
        if f"NDCG@{k}" in table:
            assert not (table[f"NDCG@{k}"] > table[f"HR@{k}"]).any()
    for metric in ("HR", "NDCG"):
        for low, high in pairwise((5, 10, 20)):
            if f"{metric}@{high}" in table:
                assert not (table[f"{metric}@{low}"] >= table[f"{metric}@{high}"]).any()


@pytest.mark.parametrize("name", RESULTS)
def test_what_no_ranking_gives_is_marked(name):
    """A target between rank low + 1 and rank high adds 1 to HR and 1/log2(rank + 1) to NDCG."""
    table, impossible = scores(name), set()
    for low, high in pairwise((5, 10, 20)):
        if f"HR@{high}" not in table:
            continue
        hits = table[f"HR@{high}"] - table[f"HR@{low}"]
        gain = table[f"NDCG@{high}"] - table[f"NDCG@{low}"]
        least = (hits - ROUNDING) / math.log2(high + 1) - ROUNDING
        most = (hits + ROUNDING) / math.log2(low + 2) + ROUNDING
        impossible |= {(*row, f"NDCG@{high}") for row in table.index[(gain < least - 1e-9) | (gain > most + 1e-9)]}
    printed = read(name)
    marked = printed[printed.note.str.startswith("no ranking gives this")]
    assert set(zip(marked.dataset, marked.model, marked.metric, strict=True)) == impossible
    errata = read("errata")
    told = errata[(errata.table == f"{name}.csv") & errata.correct.str.contains("impossible")].correct.item()
    assert int(re.search(r"In (\d+) cells", told)[1]) == len(impossible)


def test_results_are_complete():
    datasets = {"diffurecsys_results": ("beauty", "toys", "ml-1m"), "dcrec_results": ("beauty", "toys", "yelp")}
    baselines = {"GRU4Rec", "SASRec", "BERT4Rec", "DiffuRec"}
    rows = {
        "diffurecsys_results": baselines | {"DiffuRecSys: V1", "DiffuRecSys"},
        "dcrec_results": baselines | {"DreamRec", "SdifRec", "DCRec", "DCRec: implicit only", "DCRec: explicit only"},
    }
    for name in RESULTS:
        printed = read(name)
        printed = printed[~printed.source.str.contains("figure")]
        assert set(printed.model) == rows[name]
        metrics = 6 if name == "diffurecsys_results" else 4
        assert len(printed) == len(rows[name]) * len(datasets[name]) * metrics
        assert set(printed.dataset) == set(datasets[name])


def test_two_conditions_beat_one():
    value = read("dcrec_results").set_index(["model", "dataset", "metric"]).value
    for part in ("DCRec: implicit only", "DCRec: explicit only"):
        assert bool((value["DCRec"] > value[part]).all()) and len(value[part]) == 12


def test_numbers_from_figures_say_so():
    table = read("dcrec_results")
    from_figures = table.source.str.contains("figure")
    assert (table.note[from_figures] == "read by eye").all() and from_figures.sum() == 34


def test_table_1_holds_whole_numbers():
    table = read("table_1")
    assert set(table.metric) == {"users", "items", "interactions"}
    assert table.value.dtype.kind == "i" and len(table) == 12
    assert not table.duplicated(["dataset", "metric"]).any()


def test_table_2_is_copied_from_the_cited_papers_and_marks_its_errors():
    value = pd.concat({system: scores(f"{system.lower()}_results") for system in ("DiffuRecSys", "DCRec")})
    for row in read("table_2").itertuples():
        printed = value.loc[row.model, row.true_dataset]
        assert row.value == printed.loc[row.model, row.metric]
        assert row.baseline == printed.loc[row.baseline_model, row.metric]
        assert row.basis in ("survey", "cited paper")
        assert (row.true_dataset != row.dataset) == ("the data set is" in row.error)
        assert (row.baseline_model != "DiffuRec") == ("the baseline is" in row.error)
    precision = read("table_2").query("dataset == 'beauty' and metric == 'NDCG@5'").set_index("model")
    assert precision.value["DCRec"] < precision.value["DiffuRecSys"]
    assert "lower than DiffuRecSys" in precision.error["DCRec"]


def test_errata_are_numbered_and_point_to_tables():
    table = read("errata")
    assert table.erratum.tolist() == list(range(1, len(table) + 1))
    assert set(table.paper) == {"Survey", "DiffuRecSys", "DCRec"}
    assert (table[["place", "says", "correct"]] != "").all(axis=None)
    assert all((PUBLISHED / name).is_file() for name in table.table if name)


def test_baselines_name_their_protocol():
    assert set(read("baselines").protocol) == {"filtered", "unfiltered"}


def test_ledger_is_complete(ledger):
    assert ledger.entry.tolist() == list(range(1, 57))
    assert (ledger.drop(columns="notebook") != "").all(axis=None)
    assert set(ledger.status) == {"confirmed", "confirmed, approximately", "new", "new, replayed", "paper only"}


def test_ledger_places_can_be_looked_up(ledger):
    for row in ledger.itertuples():
        repositories, files, lines = (text.split("; ") for text in (row.repository, row.file, row.line))
        assert len(repositories) == len(files) == len(lines), f"entry {row.entry}: places do not match up"
        assert row.commit.split("; ") == [COMMITS[repository] for repository in repositories], f"entry {row.entry}"
        assert all(re.fullmatch(r"(\w+/)?\w+\.py", file) for file in files), f"entry {row.entry}: {row.file}"
        for ranges in lines:
            assert re.fullmatch(r"\d+(-\d+)?(, \d+(-\d+)?)*", ranges), f"entry {row.entry}: {ranges}"
            numbers = [int(number) for number in re.findall(r"\d+", ranges)]
            assert numbers == sorted(set(numbers)), f"entry {row.entry}: lines {ranges} do not rise"


def test_ledger_options_exist_with_such_a_value(ledger):
    for row in ledger[ledger.option != "note"].itertuples():
        options = dict(option.split("=") for option in row.option.split("; "))
        options = {name: ast.literal_eval(value) for name, value in options.items()}
        for system in re.findall(r"\w*Rec\w*", row.system):
            settings = {field.name for field in fields(models.MODELS[system.lower()].Settings)}
            assert set(options) <= settings, f"entry {row.entry}: {system} has no such setting"
            models.build(system.lower(), 5, **{"d": 8} | options)


def test_ledger_names_the_first_notebook_that_speaks_of_the_entry(ledger):
    told = {path.stem: entries_told(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    for row in ledger.itertuples():
        first = next((notebook for notebook, entries in told.items() if row.entry in entries), "")
        assert first == row.notebook, f"entry {row.entry}: {row.notebook} is named, {first} speaks of it first"


def rows_of_ledger_tables():
    """(notebook, entry, what its table says of the paper): rows with a ledger entry in their first or last column."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            lines = cell.source.split("\n") if cell.cell_type == "markdown" else []
            for k in [k for k, line in enumerate(lines) if re.fullmatch(r"\|[-| :]+\|", line)]:
                paper = [i for i, name in enumerate(lines[k - 1].strip("|").split("|")) if "paper" in name.lower()]
                for line in lines[k + 1 :]:
                    if not paper or not line.startswith("|"):
                        break
                    cells = [text.strip() for text in re.split(r"(?<!\\)\|", line.strip("|"))]
                    found = (re.fullmatch(r"(\d+)( \(.*\))?", text) for text in (cells[0], cells[-1]))
                    yield from ((path.name, int(entry[1]), cells[paper[0]]) for entry in found if entry)


def test_a_notebook_that_tells_of_the_ledger_says_where_the_paper_states_nothing(ledger):
    silent = dict(zip(ledger.entry, ledger.paper.str.startswith("Not stated"), strict=True))
    rows = list(rows_of_ledger_tables())
    assert len({name for name, _, _ in rows}) >= 3
    wrong = [row for row in rows if row[2].lower().startswith("not stated") != silent[row[1]]]
    assert not wrong, wrong
