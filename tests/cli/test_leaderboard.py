"""`diffrec-lite leaderboard`: every number is measured again, and a bad folder costs the others nothing."""

import json
import os
import pickle
import shutil
import sys

import pandas as pd
import pytest
from command import run

from diffrec_lite import models
from diffrec_lite.cli import leaderboard
from diffrec_lite.data import bookshop, load
from diffrec_lite.evaluation import Oracle, evaluate
from diffrec_lite.models.packed import pack, unpack


class Planted:
    """What a pickle does when it is read: it leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def changed(folder, **about):
    """Write the weights in a folder again with another description, under a checksum that is right."""
    known, tensors = unpack(folder / "model.safetensors")
    (folder / "model.safetensors").write_bytes(pack(tensors, {**known, **about}))
    return known


@pytest.fixture(scope="module")
def class_(trained, tmp_path_factory):
    """What a class hands in, and the file that a pickle in it would write."""
    folder, mark = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("mark") / "opened"
    code, _, err = run("train", "markov", "--dataset", "bookshop", "--out", folder / "honest")
    assert code == 0, err
    for name in ("liar", "broken", "elsewhere", "cut", "silent", "greedy", "huge", "pipe", "odd\x1b[31m"):
        shutil.copytree(folder / "honest", folder / name)
    record = json.loads((folder / "liar" / "run.json").read_text())
    record["test"] |= {"HR@5": 0.9, "NDCG@10": 0.8}
    (folder / "liar" / "run.json").write_text(json.dumps(record))
    (folder / "odd\x1b[31m" / "run.json").write_text("[" * 100_000)
    (folder / "odd\x1b[31m" / "checkpoint.pt").write_bytes(pickle.dumps(Planted(mark)))
    weights = folder / "broken" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    known = changed(folder / "elsewhere", trained_on={"source": "/etc/passwd", "fingerprint": "0" * 16})
    tensors = unpack(folder / "silent" / "model.safetensors")[1]
    untold = {name: value for name, value in known.items() if name != "trained_on"}
    (folder / "silent" / "model.safetensors").write_bytes(pack(tensors, untold))
    changed(folder / "cut", trained_on={**known["trained_on"], "split": "temporal"})
    for file in (folder / "greedy").iterdir():
        file.unlink()
    config = {**models.build("sasrec", 240).config, "dim": 40_000}
    (folder / "greedy" / "model.safetensors").write_bytes(pack({}, {"config": config}))
    os.truncate(folder / "huge" / "model.safetensors", 10**12)
    (folder / "pipe" / "model.safetensors").unlink()
    os.mkfifo(folder / "pipe" / "model.safetensors")
    shutil.copytree(trained, folder / "other items")
    (folder / "pickle").mkdir()
    (folder / "pickle" / "model.safetensors").write_bytes(pickle.dumps(Planted(mark)))
    (folder / "nothing").mkdir()
    (folder / ".hidden").mkdir()
    (folder / "notes.txt").write_text("no run")
    return folder, mark


@pytest.fixture(scope="module")
def answer(class_, tmp_path_factory):
    """The JSON and the table that come of it."""
    out = tmp_path_factory.mktemp("out") / "board.csv"
    code, said, err = run("leaderboard", class_[0], "--json", "--out", out)
    assert code == 0, err
    return json.loads(said), pd.read_csv(out, float_precision="round_trip")


pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a named pipe is part of what is handed in")


def by(rows, key):
    return {row[key]: row for row in rows}


def test_an_honest_run_has_the_numbers_that_evaluate_finds(class_, answer):
    row = by(answer[0]["rows"], "name")["honest"]
    found = evaluate(models.load(class_[0] / "honest"), load("bookshop"))
    for name in ("HR@5", "NDCG@5", "NDCG@10"):
        assert row[name] == pytest.approx(found.metrics[name], abs=1e-12)
    assert (row["NDCG@10 low"], row["NDCG@10 high"]) == pytest.approx(found.intervals["NDCG@10"], abs=1e-12)
    assert row["model"] == "markov" and row["readers"] == 1500 and row["claims"] == {}


def test_a_lie_changes_no_number_and_is_shown(answer):
    rows = by(answer[0]["rows"], "name")
    lie, honest = rows["liar"], rows["honest"]
    assert lie["claims"] == {"HR@5": 0.9, "NDCG@10": 0.8}
    same = ("rank", "HR@5", "NDCG@5", "NDCG@10", "NDCG@10 low", "NDCG@10 high", "share of the oracle")
    assert [lie[key] for key in same] == [honest[key] for key in same]


def test_bars_and_the_oracle_have_no_rank_and_stand_in_their_place(answer):
    rows, data = answer[0]["rows"], load("bookshop")
    bars = by([row for row in rows if row["rank"] is None], "model")
    assert set(bars) == {"popularity", "markov", "gap", "oracle"}
    assert bars["oracle"]["NDCG@10"] == pytest.approx(
        evaluate(Oracle(bookshop.next_item_odds), data).metrics["NDCG@10"]
    )
    for name in ("popularity", "markov", "gap"):
        model = models.build(name, data.num_items)
        model.fit_counts(data)
        assert bars[name]["HR@5"] == pytest.approx(evaluate(model, data).metrics["HR@5"])
    values = [row["NDCG@10"] for row in rows]
    assert values == sorted(values, reverse=True)
    assert all(row["share of the oracle"] == row["NDCG@10"] / bars["oracle"]["NDCG@10"] for row in rows)
    assert {row["rank"] for row in rows if row["rank"]} == {1}  # three copies of one model


REASONS = {
    "broken": "damaged",
    "elsewhere": "not trained on the bookshop",
    "cut": "not trained on the bookshop",
    "silent": "not trained on the bookshop",
    "greedy": "describes no SASRec",
    "huge": "larger than 200 MB",
    "pipe": "is no file",
    "other items": "item",
    "pickle": "config.json",
    "nothing": "holds no model.safetensors",
}


def test_what_cannot_be_ranked_is_listed_with_its_reason(answer):
    unranked = {row["name"]: row["reason"] for row in answer[0]["unranked"]}
    assert set(unranked) == set(REASONS)
    for name, words in REASONS.items():
        assert words in unranked[name] and len(unranked[name]) < 400, unranked[name]


def test_no_pickle_is_opened_and_no_name_reaches_the_terminal_as_it_is(class_, answer):
    with pytest.raises(FileNotFoundError):
        class_[1].read_text()
    pickle.loads((class_[0] / "pickle" / "model.safetensors").read_bytes()).close()
    assert class_[1].exists()  # so the pickle would have left its mark
    class_[1].unlink()
    assert "odd\\x1b[31m" in by(answer[0]["rows"], "name")


def test_the_table_holds_the_same(answer):
    found, table = answer
    assert table["name"].fillna("").tolist() == [row["name"] for row in [*found["rows"], *found["unranked"]]]
    ranked = table[table["NDCG@10"].notna()]
    assert ranked["NDCG@10"].tolist() == [row["NDCG@10"] for row in found["rows"]]
    assert table.set_index("name")["NDCG@10 claimed"].dropna().to_dict() == {"liar": 0.8}
    assert set(table.loc[table["NDCG@10"].isna(), "reason"]) == {row["reason"] for row in found["unranked"]}


def test_a_class_that_handed_in_nothing_sees_the_bars(tmp_path):
    code, said, err = run("leaderboard", tmp_path)
    assert code == 0 and "holds no folders" in err
    assert all(name in said for name in ("oracle", "gap", "markov", "popularity", "100.0%"))


def test_an_evaluation_has_its_time(class_, monkeypatch):
    monkeypatch.setattr(leaderboard, "CONFINED", "import time; time.sleep(600)")
    with pytest.raises(leaderboard.Unranked, match="longer than 1 seconds"):
        leaderboard.evaluated(class_[0] / "honest", "", seconds=1)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is the kernel's")
def test_an_evaluation_has_its_memory(class_, monkeypatch):
    monkeypatch.setattr(leaderboard, "CONFINED", leaderboard.CONFINED.replace("main()", "bytearray(5 * 2**30)"))
    with pytest.raises(leaderboard.Unranked, match="MemoryError"):
        leaderboard.evaluated(class_[0] / "honest", "")


def test_mistakes_are_said_in_a_line(tmp_path):
    for arguments in (["nowhere"], [tmp_path, "--out", "board.txt"], [tmp_path, "--seconds", "0"]):
        code, said, err = run("leaderboard", *arguments)
        assert code == 2 and said == "" and len(err.splitlines()) == 1
