"""Any item that can be read can be asked for, for one reader and for many."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from command import run
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from diffrec_lite import models
from diffrec_lite.cli.histories import parse
from diffrec_lite.data import load
from diffrec_lite.data.log import NO_TOKEN
from diffrec_lite.data.shipped import shipped
from diffrec_lite.models.catalogue import Catalogue
from diffrec_lite.training.run import train

TOKEN = st.text(min_size=1, max_size=6).filter(lambda text: not NO_TOKEN.search(text))


@given(st.lists(TOKEN, min_size=1, max_size=5, unique=True))
@settings(deadline=None, max_examples=150)
def test_every_token_can_be_named(tokens):
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(tokens)
    assert parse(line.getvalue(), Catalogue(["[PAD]", *tokens])) == [*range(1, len(tokens) + 1)]


@given(st.text(max_size=12))
@settings(deadline=None, max_examples=150)
def test_whatever_is_asked_gets_an_answer_or_a_reason(text):
    known = Catalogue(["[PAD]", "a", "b,c", "1"])
    try:
        found = parse(text, known)
    except ValueError as problem:
        assert "--history" in str(problem) or "is not in the catalogue" in str(problem)
    else:
        assume(text)
        assert set(found) <= {1, 2, 3} and found


def test_spaces_around_a_name_do_not_count():
    known = Catalogue(["[PAD]", "a", "b,c", " d"])
    assert parse(' a , "b,c",a', known) == [1, 2, 1] and parse('" d"', known) == [3]
    for text, message in (("", "empty"), ("a,,a", "empty"), ('"a', "not one line of CSV"), ("a\na", "not one line")):
        with pytest.raises(ValueError, match=message):
            parse(text, known)


def test_awkward_items_come_back_as_they_are(trained, items):
    for item in items:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([item])
        code, out, err = run("recommend", trained, "--history", line.getvalue(), "--k", 12, "--json")
        assert code == 0, err
        rows = json.loads(out)
        assert {row["item"] for row in rows} == {*items}
        assert all(row["title"] == f"Ends {row['item']} :smile: [/b]" for row in rows)
        assert [*rows[0]] == ["rank", "item", "title", "score"]


# ---------------------------------------------------------------- many readers


def many(items, timed=True):
    """Readers in no order, rows in no order."""
    rows = [("z", items[0], 3), ("a", items[2], 1), ("z", items[1], 1), ("z", items[2], 2)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])[
        ["user_id", "item_id"] + ["timestamp"] * timed
    ]


@pytest.mark.parametrize("ending", ["csv", "parquet", "inter"])
def test_many_readers_get_what_each_would_get(trained, items, tmp_path, ending):
    table, path = many(items), tmp_path / f"readers.{ending}"
    table.to_parquet(path) if ending == "parquet" else table.to_csv(
        path, index=False, **({"sep": "\t", "quoting": csv.QUOTE_NONE} if ending == "inter" else {})
    )
    code, _, err = run(
        "recommend", trained, "--history-file", path, "--k", 3, "--filter-seen", "--out", tmp_path / "out.parquet"
    )
    assert code == 0, err
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert [*found] == ["user_id", "item_id", "score", "rank", "title"]
    assert found.user_id.tolist() == ["z"] * 3 + ["a"] * 3 and found["rank"].tolist() == [1, 2, 3] * 2
    model = models.load(trained)
    ids = [[model.catalogue.ids[token] for token in read] for read in ([items[1], items[2], items[0]], [items[2]])]
    alone = model.recommend(ids, 3, filter_seen=True)
    assert found.item_id.tolist() == [model.catalogue.tokens[i] for i in alone.item_id]
    np.testing.assert_array_equal(found.score, alone.score)


def test_a_reader_gets_the_same_wherever_his_rows_stand(tmp_path):
    """The noise of a diffusion model is the reader's, and not that of a place in the file."""
    ann, bo = [("ann", "3"), ("ann", "9")], [("bo", "3"), ("bo", "9")]
    scores, path = [], tmp_path / "readers.csv"
    for rows in (ann + bo, bo + ann):
        pd.DataFrame(rows, columns=["user_id", "item_id"]).to_csv(path, index=False)
        code, out, err = run("recommend", shipped("checkpoints/diffurec"), "--history-file", path, "--k", 3)
        assert code == 0, err
        scores.append(pd.read_csv(io.StringIO(out)).sort_values(["user_id", "rank"]).score.tolist())
    assert scores[0] == scores[1]
    assert scores[0][:3] != scores[0][3:6]  # ann and bo have read the same, and have other noise


def test_the_order_of_rows_counts_where_times_are_missing(log, items, tmp_path):
    run("train", "markov", "--dataset", log, "--out", tmp_path / "m", "--columns", "user=userId,item=movieId,time=when")
    answers = []
    for timed in (True, False):
        many(items, timed).to_csv(tmp_path / "readers.csv", index=False)
        code, out, err = run("recommend", tmp_path / "m", "--history-file", tmp_path / "readers.csv", "--k", 1)
        assert code == 0, err
        answers.append(pd.read_csv(io.StringIO(out), keep_default_na=False).item_id.tolist())
    # By time z read items[0] last, by rows items[2]; each item is followed by the next.
    assert answers == [[items[1], items[3]], [items[3], items[3]]]


def test_files_with_other_names_and_chunks_give_the_same(trained, items, tmp_path, monkeypatch):
    table = many(items).rename(columns={"user_id": "who", "item_id": "what", "timestamp": "when"})
    table.to_csv(tmp_path / "readers.csv", index=False)
    ask = [
        "recommend",
        trained,
        "--history-file",
        tmp_path / "readers.csv",
        "--columns",
        "user=who,item=what,time=when",
    ]
    code, whole, err = run(*ask)
    assert code == 0, err
    monkeypatch.setattr("diffrec_lite.cli.histories.SCORES_AT_ONCE", 1)
    assert run(*ask)[1] == whole
    rows = json.loads(run(*ask, "--json")[1])
    assert [*rows[0]] == ["user_id", "item_id", "score", "rank", "title"]
    assert run(*ask, "--out", tmp_path / "out.csv")[:2] == (0, "")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == whole


def test_columns_are_remembered(trained, log):
    record = json.loads((trained / "run.json").read_text())["dataset"]
    assert record["source"] == str(log.resolve()) and record["columns"]["timestamp"] == "when"
    code, out, err = run("evaluate", trained, "--json")
    assert code == 0 and json.loads(out)["users"] == 9, err
    code, _, err = run("evaluate", trained, "--dataset", log)
    assert code == 2 and "--columns" in err
    code, _, err = run("evaluate", trained, "--dataset", log, "--columns", "user=userId,item=movieId,time=when")
    assert code == 0 and "note" not in err


def test_data_that_a_model_was_not_trained_on_are_named(tmp_path):
    """Bookshop without everybody's last two books: its targets are what the model learned from."""
    books = load("bookshop")
    kept = [(u, item) for u in range(books.num_users) for item in books.history(u)[:-2].tolist()]
    table = pd.DataFrame(kept, columns=["user_id", "item_id"])
    table["item_id"] = [books.item_tokens[i] for i in table.item_id]
    table.assign(timestamp=table.groupby("user_id").cumcount()).to_csv(tmp_path / "cut.csv", index=False)
    ask = ("evaluate", shipped("checkpoints/sasrec"), "--json")
    code, out, err = run(*ask, "--dataset", tmp_path / "cut.csv")
    assert code == 0 and "is not what" in err and "was trained on" in err
    found = json.loads(out)
    assert found["fingerprint"] != found["trained_on"]
    own = json.loads(run(*ask)[1])
    assert own["fingerprint"] == own["trained_on"] == found["trained_on"]


def test_a_run_remembers_how_its_data_were_prepared(log, tmp_path):
    columns = {"user": "userId", "item": "movieId", "time": "when"}
    data = load(log, columns=columns, k=2, duplicates="last")
    model = models.build("markov", data.num_items)
    train(model, data, tmp_path / "run", progress=False)
    record = json.loads((tmp_path / "run" / "run.json").read_text())["dataset"]
    assert (record["k"], record["duplicates"], record["columns"]) == (2, "last", columns)
    code, out, err = run("evaluate", tmp_path / "run", "--json")
    assert code == 0 and json.loads(out)["users"] == len(data.test), err


def test_the_data_are_not_looked_for_in_the_folder_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("train", "popularity", "--dataset", "bookshop", "--out", "bookshop")[0] == 0
    assert run("train", "popularity", "--dataset", "bookshop", "--out", "bookshop", "--overwrite")[0] == 0
    assert json.loads((tmp_path / "bookshop" / "run.json").read_text())["dataset"]["source"] == "bookshop"
    code, out, err = run("evaluate", "bookshop")
    assert code == 0 and "bookshop.inter" in out, err


def test_the_file_that_is_read_is_never_written_over(trained, items, tmp_path):
    path, link = tmp_path / "readers.csv", tmp_path / "link.csv"
    many(items).to_csv(path, index=False)
    link.symlink_to(path)
    before = path.read_bytes()
    for out in (path, link):
        code, _, err = run("recommend", trained, "--history-file", path, "--out", out)
        assert code == 2 and "is the file of the histories" in err and path.read_bytes() == before
    assert run("recommend", trained, "--history-file", link, "--out", tmp_path / "new.csv")[0] == 0
