"""`evaluate --ranks` and `compare`: the right numbers, the same readers, and a word about each difference."""

import json
import os

import pandas as pd
import pytest
import torch
from command import run

from diffrec_lite import metrics, models
from diffrec_lite.cli import comparison
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.data.dataset import find
from diffrec_lite.evaluation import evaluate_both


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Markov, with two backoffs, and popularity, counted on the bookshop."""
    base, found = tmp_path_factory.mktemp("runs"), {}
    jobs = {"markov": ["markov"], "backoff": ["markov", "--set", "backoff=500"], "popularity": ["popularity"]}
    for name, model in jobs.items():
        code, _, err = run("train", *model, "--dataset", "bookshop", "--out", base / name)
        assert code == 0, err
        found[name] = base / name
    return found


@pytest.fixture(scope="module")
def files(folders, tmp_path_factory):
    """The ranks of these models, one as CSV and one as parquet."""
    base = tmp_path_factory.mktemp("ranks")
    found = {"markov": base / "markov.csv", "popularity": base / "popularity.parquet"}
    for name, path in found.items():
        code, _, err = run("evaluate", folders[name], "--ranks", path, "--json")
        assert code == 0, err
    return found


# ------------------------------------------------------------ the file


@pytest.mark.parametrize("name", ["markov", "popularity"])
def test_the_file_has_the_ranks_of_both_protocols(folders, files, name):
    table, data = comparison.read(files[name]), load("bookshop")
    both = evaluate_both(models.load(folders[name]), data)
    assert list(table) == ["user_id", "item_id", "length", "popularity", "rank", "rank_filtered"]
    assert table["rank"].tolist() == both[0].ranks.tolist() != both[1].ranks.tolist()
    assert table["rank_filtered"].tolist() == both[1].ranks.tolist()
    assert table["user_id"].tolist() == data.user_tokens
    assert table["item_id"].tolist() == [data.item_tokens[i] for i in both[0].targets]
    assert table["length"].tolist() == (data.lengths - 1).tolist()
    counts = torch.bincount(data.train_items())
    assert table["popularity"].tolist() == counts[both[0].targets].tolist()


def test_what_is_printed_does_not_change_with_the_file(folders, tmp_path):
    for more in ([], ["--filter-seen"], ["--split", "val"]):
        assert (
            run("evaluate", folders["markov"], "--json", "--ranks", tmp_path / "a.csv", *more)[1]
            == (run("evaluate", folders["markov"], "--json", *more)[1])
        )
    assert comparison.read(tmp_path / "a.csv")["length"].tolist() == (load("bookshop").lengths - 2).tolist()


def test_awkward_tokens_come_back(trained, log, tmp_path):
    for name in ("a.csv", "a.parquet"):
        code, _, err = run("evaluate", trained, "--ranks", tmp_path / name)
        assert code == 0, err
    data = load(log, columns={"user": "userId", "item": "movieId", "time": "when"})
    for name in ("a.csv", "a.parquet"):
        table = comparison.read(tmp_path / name)
        assert table["item_id"].tolist() == [data.item_tokens[i] for i in data.test.targets]
        assert table["user_id"].tolist() == data.user_tokens
    assert run("compare", tmp_path / "a.csv", tmp_path / "a.parquet")[0] == 0


def test_the_file_appears_whole_or_not_at_all(folders, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("older")
    replace = os.replace

    def full(source, target):
        if str(target).endswith("a.csv"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    code, _, err = run("evaluate", folders["markov"], "--ranks", tmp_path / "a.csv")
    assert code == 2 and "No space left" in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"] and (tmp_path / "a.csv").read_text() == "older"


# ------------------------------------------------------------ the comparison


def test_folders_files_and_python_say_the_same(folders, files):
    data = load("bookshop")
    a, b = (evaluate_both(models.load(folders[name]), data) for name in ("markov", "popularity"))
    answers = [
        json.loads(run("compare", *pair, "--json")[1])
        for pair in (
            (folders["markov"], folders["popularity"]),
            (files["markov"], files["popularity"]),
            (folders["markov"], files["popularity"]),
        )
    ]
    for found in answers:
        assert found["readers"] == 1500 and "paired percentile bootstrap" in found["method"]
        for i, protocol in enumerate(("unfiltered", "seen_filtered")):
            expected = metrics.compare(a[i].ranks, b[i].ranks, a[i].popularity)
            assert list(found[protocol]) == [*metrics.names(), "NDCG@10 debiased"]
            for name, row in expected.iterrows():
                assert {key: found[protocol][name][key] for key in row.index} == pytest.approx(row.to_dict(), abs=1e-12)
                assert found[protocol][name]["verdict"] == "A is better"
    assert [found["a"] for found in answers] == [str(folders["markov"]), str(files["markov"]), str(folders["markov"])]


def test_the_words_say_who_is_better_or_nobody(folders):
    code, out, err = run("compare", folders["popularity"], folders["markov"], "--split", "val")
    assert code == 0, err
    assert "By NDCG@10 among all items, B is better than A: the difference is -0.2" in out
    assert "By NDCG@10 among unseen items, B is better than A" in out and "1500 readers" in out
    found = json.loads(run("compare", folders["markov"], folders["markov"], "--json")[1])
    assert found["words"]["unfiltered"].startswith("By NDCG@10 among all items, A and B cannot be told apart")
    assert {row["verdict"] for row in found["unfiltered"].values()} == {"cannot be told apart"}


def test_a_comparison_is_that_of_the_split_that_was_asked_for(folders):
    both = [models.load(folders[name]) for name in ("markov", "backoff")]
    for split in ("val", "test"):
        ranks = [evaluate_both(model, load("bookshop"), split)[0].ranks for model in both]
        found = json.loads(run("compare", folders["markov"], folders["backoff"], "--split", split, "--json")[1])
        for letter, one in zip("AB", ranks, strict=True):
            assert found["unfiltered"]["NDCG@10"][letter] == pytest.approx(metrics.ndcg(one, 10))
    assert found["unfiltered"]["NDCG@10"]["verdict"] == "A is better"  # as in notebook 06


def test_a_side_may_be_the_mean_of_several(folders, files):
    ranks = {name: evaluate_both(models.load(folders[name]), load("bookshop")) for name in folders}
    also = ["--also-a", folders["backoff"]]
    found = json.loads(run("compare", files["markov"], folders["popularity"], *also, "--json")[1])
    assert found["a"] == f"{files['markov']}, {folders['backoff']}" and found["readers"] == 1500
    for place, protocol in enumerate(("unfiltered", "seen_filtered")):
        a, b = (
            torch.stack([ranks[name][place].ranks for name in side]) for side in (["markov", "backoff"], ["popularity"])
        )
        expected = metrics.compare(a, b, ranks["markov"][place].popularity)
        for name, row in expected.iterrows():
            assert {key: found[protocol][name][key] for key in row.index} == pytest.approx(row.to_dict(), abs=1e-12)
    turned = json.loads(
        run("compare", folders["popularity"], files["markov"], "--also-b", folders["backoff"], "--json")[1]
    )
    assert turned["unfiltered"]["HR@5"]["B"] == found["unfiltered"]["HR@5"]["A"]
    _, out, _ = run("compare", files["markov"], folders["popularity"], *also)
    assert f"A is the mean of {files['markov']}, {folders['backoff']}, B is {folders['popularity']}; 1500" in " ".join(
        out.split()
    )


def changed(table, column, value, row=7):
    table = table.copy()
    table.loc[row, column] = value
    return table


DIFFERENT = {
    "another reader": (lambda t: changed(t, "user_id", "somebody"), "the first reader is '8' against 'somebody'"),
    "another target": (lambda t: changed(t, "item_id", "x"), "the first target of reader '8' is "),
    "another history": (lambda t: changed(t, "length", 99), "the first length of the history of reader '8' is "),
    "other training": (lambda t: changed(t, "popularity", 9999), "occurrences of the target in training of reader '8'"),
    "fewer readers": (lambda t: t[:-1], "have 1500 and 1499 readers: only "),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_other_readers_are_refused_with_the_first_difference(files, tmp_path, case):
    change, message = DIFFERENT[case]
    change(comparison.read(files["markov"])).to_csv(tmp_path / "b.csv", index=False)
    code, _, err = run("compare", files["markov"], tmp_path / "b.csv")
    assert code == 2 and message in err and err.count("error: ") == 1, err
    code, _, err = run("compare", files["markov"], files["popularity"], "--also-b", tmp_path / "b.csv")
    assert code == 2 and message in err and err.count("error: ") == 1, err


def test_a_part_of_the_data_is_not_the_data(folders, files, tmp_path):
    code, _, err = run("compare", folders["markov"], files["popularity"], "--split", "val")
    assert code == 2 and "the first target of reader '1' is" in err
    table = pd.read_csv(find("bookshop")[0], sep="\t")
    table[table["item_id:token"] != 7].to_csv(tmp_path / "fewer.inter", sep="\t", index=False)
    run("train", "popularity", "--dataset", tmp_path / "fewer.inter", "--out", tmp_path / "run")
    code, _, err = run("compare", folders["markov"], tmp_path / "run")
    assert code == 2 and f"only {folders['markov']} knows '7'" in err, err
    code, _, err = run("compare", folders["markov"], folders["popularity"], "--also-b", tmp_path / "run")
    assert code == 2 and f"only {folders['popularity']} knows '7'" in err, err


HEADER = "user_id,item_id,length,popularity,rank,rank_filtered\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user_id,item_id\n1,2\n", "no column length; write the file with `evaluate FOLDER --ranks`"),
        (
            "user_id,item_id,length,popularity,rank,rank_filtered\n1,2,3,4,0,1\n",
            "rank must hold whole numbers, at least 1",
        ),
        (
            "user_id,item_id,length,popularity,rank,rank_filtered\n1,2,3,4,1,x\n",
            "rank_filtered must hold whole numbers",
        ),
        ("", "b.csv: cannot be read"),
    ],
)
def test_a_file_that_holds_no_ranks_is_refused(files, tmp_path, content, message):
    (tmp_path / "b.csv").write_text(content)
    code, _, err = run("compare", files["markov"], tmp_path / "b.csv")
    assert code == 2 and message in err, err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "MARKOV.csv", "POPULARITY.parquet", "--split", "val"], "--split belongs to a folder"),
        (["compare", "MARKOV.csv", "POPULARITY.parquet", "--batch-size", 3], "--batch-size belongs to a folder"),
        (["compare", "MARKOV", "nowhere"], "nowhere"),
        (["compare", "MARKOV", "MARKOV.csv", "--also-a", "MARKOV"], "is named twice"),
        (["compare", "MARKOV", "MARKOV.csv", "--also-b", "MARKOV/../markov"], "is named twice"),
        (
            ["compare", "MARKOV.csv", "POPULARITY.parquet", "--also-b", "MARKOV", "--split", "val"],
            "first target of reader",
        ),
        (["compare", "MARKOV", "MARKOV", "--also-b", ""], "it is empty"),
        (["compare", "MARKOV", "MARKOV", "--split", "train"], "choose val or test"),
        (["evaluate", "MARKOV", "--ranks", "a.txt"], "a.txt: the name must end in .csv or .parquet"),
        (["evaluate", "MARKOV", "--ranks", ""], "it is empty"),
    ],
)
def test_bad_questions(folders, files, arguments, message):
    places = {"MARKOV": folders["markov"], "MARKOV.csv": files["markov"], "POPULARITY.parquet": files["popularity"]}
    places["MARKOV/../markov"] = folders["markov"] / ".." / "markov"
    code, _, err = run(*(places.get(a, a) for a in arguments))
    assert code == 2 and message in err and err.count("error: ") <= 1, err


def test_a_rule_takes_no_epochs(tmp_path):
    code, _, err = run("train", "markov", "--dataset", "bookshop", "--out", tmp_path / "run", "--epochs", 3)
    assert code == 2 and "unknown setting of markov 'epochs'" in err and not (tmp_path / "run").exists()


# ------------------------------------------------------------ a temporal split, told once


@pytest.fixture(scope="module")
def temporal(tmp_path_factory):
    out = tmp_path_factory.mktemp("temporal") / "sasrec"
    tiny = ["--set", "d=16", "--set", "blocks=1", "--set", "val_users=50", "--device", "cpu", "--epochs", 1]
    start = ["train", "sasrec", "--dataset", "bookshop", "--out", out, "--precision", "fp32", *tiny]
    code, _, err = run(*start, "--split", "temporal")
    assert code == 0, err
    return out, start


def test_a_temporal_run_remembers_its_split(temporal, tmp_path):
    out, _ = temporal
    data = load("bookshop", split="temporal")
    record = json.loads((out / "run.json").read_text())
    about = record["dataset"]
    assert (about["split"], about["moments"]) == ("temporal", list(data.cuts.moments))
    never = {"without_history": 0, "unknown_targets": 0, "repeated_targets": 0}
    assert about["test"] == {"readers": len(data.test), **never}
    assert record["test"]["held_out"] == "temporal" and record["test"]["users"] == len(data.test) < 1500
    assert models.load(out).trained_on == about
    found = json.loads(run("evaluate", out, "--json", "--ranks", tmp_path / "a.csv")[1])
    assert (found["held_out"], found["split"], found["users"]) == ("temporal", "test", len(data.test))
    assert found["HR@5"] == pytest.approx(record["test"]["HR@5"], abs=1e-6)
    assert comparison.read(tmp_path / "a.csv")["length"].tolist() == data.test.positions.tolist()


def test_a_temporal_run_goes_on_without_being_told_and_refuses_another_split(temporal):
    out, start = temporal
    code, _, err = run(*start, "--resume", "--epochs", 2)
    assert code == 0, err
    assert json.loads((out / "run.json").read_text())["dataset"]["split"] == "temporal"
    code, _, err = run(*start, "--resume", "--epochs", 3, "--split", "leave-one-out")
    assert code == 2 and "split was 'temporal', is None" in err
    assert len(pd.read_csv(out / "history.csv")) == 2


def test_a_temporal_run_is_not_compared_with_one_of_another_split(temporal, folders):
    code, _, err = run("compare", temporal[0], folders["markov"])
    assert code == 2 and "were asked other things: the first reader is" in err, err


def test_positions_and_unknown_splits_are_refused(tmp_path):
    rows = [(u, (u + n) % 5, n) for u in range(5) for n in range(6)]
    pd.DataFrame(rows, columns=["user", "item", "time"]).to_csv(tmp_path / "p.csv", index=False)
    for split, message in (("temporal", "p: its timestamps are positions"), ("random", "unknown split 'random'")):
        code, _, err = run(
            "train", "popularity", "--dataset", tmp_path / "p.csv", "--out", tmp_path / "o", "--split", split
        )
        assert code == 2 and message in err and not (tmp_path / "o").exists(), err


def test_the_record_says_what_orders_ties(tmp_path):
    rows = [
        (u, (2 * u + n) % 7, 1000 + 10 * n - (n == 3) * 10) for u in range(6) for n in range(5)
    ]  # the third and fourth
    table = pd.DataFrame(rows, columns=["user", "item", "time"])
    table.to_csv(tmp_path / "t.csv", index=False)
    code, _, err = run("train", "popularity", "--dataset", tmp_path / "t.csv", "--out", tmp_path / "o")
    assert code == 0, err
    ties = json.loads((tmp_path / "o" / "run.json").read_text())["dataset"]["ties"]
    order = "time, then the order of the source's rows"
    assert ties == {"interactions": 12, "val_targets": 6, "test_targets": 0, "order": order}
    untimed = SequenceDataset.from_log(table.assign(time=table.groupby("user").cumcount()))
    assert untimed.tied is None
