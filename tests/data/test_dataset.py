"""Data sets, splits and batches."""

import os
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffrec_lite.data import DataError, SequenceDataset, load
from diffrec_lite.data.prepare import in_order, k_core, number_tokens

HISTORIES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=30), min_size=1, max_size=12)


def build(histories, name="toy"):
    """A data set in which user u has read `histories[u]`, and every item 1 … 9 occurs (a last user reads them all)."""
    rows = [(u, item, n) for u, items in enumerate([*histories, range(1, 10)]) for n, item in enumerate(items)]
    return SequenceDataset.from_log(pd.DataFrame(rows, columns=["user", "item", "timestamp"]), name)


def examples(split):
    """What a split asks, in plain Python: (user, history, target)."""
    return [
        (int(u), split.items[s : s + p].tolist(), int(split.items[s + p]))
        for u, s, p in zip(split.users, split.starts, split.positions, strict=True)
    ]


# ------------------------------------------------------------ the split


@given(HISTORIES)
@settings(deadline=None, max_examples=60)
def test_leave_one_out(histories):
    data = build(histories)
    train, val, test, kept = [], [], [], []
    for u, items in enumerate([*histories, list(range(1, 10))]):
        part = items
        if len(items) >= 3:
            part = items[:-2]
            val.append((u, items[:-2], items[-2]))
            test.append((u, items[:-1], items[-1]))
        train += [(u, part[:n], part[n]) for n in range(1, len(part))]
        kept += part
    assert examples(data.train) == train
    assert examples(data.val) == val
    assert examples(data.test) == test
    assert data.train_items().tolist() == kept
    assert list(zip(*(side.tolist() for side in data.train_transitions()), strict=True)) == [
        (history[-1], target) for _, history, target in train
    ]


@given(HISTORIES)
@settings(deadline=None, max_examples=30)
def test_the_longest_example_of_each_user(histories):
    data = build(histories)
    longest = {}
    for user, history, target in examples(data.train):
        longest[user] = (user, history, target)
    assert examples(data.train.longest()) == list(longest.values())
    shuffled = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    assert examples(data.train.take(shuffled).longest()) == list(longest.values())


def test_targets():
    data = build([[1, 2, 3, 4], [5, 6]])
    assert data.test.targets.tolist() == [4, 9]
    assert data.val.targets.tolist() == [3, 8]


# ------------------------------------------------------------ from a log


def test_order_ids_and_titles():
    log = pd.DataFrame(
        {
            "user": ["u10", "u9", "u9", "u9", "u10"],
            "item": ["10", "B7", "9", "10", "9"],
            "timestamp": [5, 3, 1, 3, 2],
        }
    )
    catalogue = pd.DataFrame({"title": ["Nine", "", "Spare"], "genre": ["x", "y", "z"]}, index=["9", "10", "11"])
    data = SequenceDataset.from_log(log, "toy", catalogue)
    assert data.item_tokens == ["[PAD]", "9", "10", "B7"]
    assert data.user_tokens == ["u10", "u9"]
    assert data.history(0).tolist() == [1, 2]
    assert data.history(1).tolist() == [1, 3, 2]  # B7 and 10 at the same time keep the order of the rows
    assert data.titles == ["", "Nine", "10", "B7"]  # the token where a title is empty or unknown
    assert data.title(1) == "Nine"
    assert data.item_features.index.tolist() == [1, 2, 3] and data.item_features.genre[1] == "x"
    assert (data.num_users, data.num_items, data.num_interactions) == (2, 3, 5)
    assert "2 users, 3 items, 5 interactions" in repr(data)
    for unknown in (0, 4, -1):
        with pytest.raises(ValueError, match="not in toy"):
            data.title(unknown)
    with pytest.raises(ValueError, match="user 2 is not in toy"):
        data.history(2)
    assert SequenceDataset.from_log(log).title(3) == "B7"


def test_a_log_that_cannot_be_used():
    with pytest.raises(DataError, match="no interactions"):
        SequenceDataset.from_log(pd.DataFrame({"user": [], "item": [], "timestamp": []}))
    with pytest.raises(DataError, match="no column item_id or item; found 'user', 'timestamp'"):
        SequenceDataset.from_log(pd.DataFrame({"user": [1], "timestamp": [1]}))


@given(st.lists(st.text("0123456789ab.", min_size=1, max_size=25), min_size=1, max_size=40))
@settings(deadline=None, max_examples=100)
def test_tokens_are_numbered_in_natural_order(tokens):
    codes, names = number_tokens(pd.Series(tokens))

    def key(token):
        whole, _, part = token.partition(".")
        if whole.isdecimal() and (part.isdecimal() or "." not in token):
            return (0, Fraction(token), token)
        return (1, 0, token)

    assert names == sorted(set(tokens), key=key)
    assert [names[code] for code in codes] == tokens


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), max_size=60), st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_k_core_is_the_largest_one(rows, k):
    log = pd.DataFrame(rows, columns=["user", "item", "timestamp"], dtype=int)
    kept = list(rows)
    while True:
        few = {row for row in kept if min(sum(r[i] == row[i] for r in kept) for i in (0, 1)) < k}
        if not few:
            break
        kept = [row for row in kept if row not in few]
    assert [tuple(row) for row in k_core(log, k).to_numpy().tolist()] == kept


def test_duplicates_by_name():
    log = pd.DataFrame({"user": 1, "item": ["a", "b", "a", "a"], "timestamp": [4, 2, 1, 3]})
    order = {how: in_order(log, how)["item"].tolist() for how in ("keep", "first", "last")}
    assert order == {"keep": ["a", "b", "a", "a"], "first": ["a", "b"], "last": ["b", "a"]}
    assert in_order(log, "first")["timestamp"].tolist() == [1, 2]
    assert in_order(log, "last")["timestamp"].tolist() == [2, 4]
    with pytest.raises(ValueError, match="keep, first, last, got 'drop'"):
        in_order(log, "drop")


def test_repeats_are_dropped_before_interactions_are_counted(tmp_path):
    """Five interactions with two items are two, once repeats are gone."""
    rows = [(u, item, 10 * item + j) for u in range(3) for item in (1, 2) for j in range(3)]
    rows += [(u, item, 100) for u in range(3, 6) for item in (3, 4, 5)]
    path = tmp_path / "log.csv"
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).to_csv(path, index=False)
    assert load(path, k=3).num_users == 6
    assert load(path, k=3, duplicates="first").user_tokens == ["3", "4", "5"]
    with pytest.raises(DataError, match="k must be a whole number, 0 or more, got '3'"):
        load(path, k="3")


def test_a_data_set_tells_how_it_was_read(tmp_path):
    path = tmp_path / "log.csv"
    pd.DataFrame({"who": [1, 1, 1], "item_id": [1, 2, 3], "timestamp": [1, 2, 3]}).to_csv(path, index=False)
    named = {"columns": {"user": "who"}}
    assert load(path, **named).read_by == {"source": str(path.resolve()), **named}
    assert load(path, **named, k=1, duplicates="last").read_by["duplicates"] == "last"
    assert load("bookshop").read_by == {"source": "bookshop"}


def test_ties_keep_the_order_of_the_rows_in_a_long_log():
    users = np.arange(5000) % 7
    log = pd.DataFrame({"user": users, "item": np.arange(5000), "timestamp": 0})
    data = SequenceDataset.from_log(log)
    for user in range(7):
        assert data.history(user).diff().min() > 0


# ------------------------------------------------------------ loading


def test_the_bookshop_is_embedded():
    data = load("bookshop")
    assert (data.name, data.num_users, data.num_items) == ("bookshop", 1500, 240)
    assert data.item_tokens[1:] == [str(i) for i in range(1, 241)]
    assert {"genre", "series", "volume"} <= set(data.item_features)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "beauty.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n1\ta\t1\n1\tb\t2\n2\ta\t1\n")
    return tmp_path


def test_where_a_name_is_looked_for(folder, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("prepared")
    monkeypatch.setattr("diffrec_lite.data.archives.prepared_folder", lambda: elsewhere)
    monkeypatch.delenv("DIFFREC_DATA", raising=False)
    with pytest.raises(DataError, match="diffrec-lite data prepare beauty"):
        load("beauty")
    assert load("beauty", data_dir=folder).num_interactions == 3
    monkeypatch.setenv("DIFFREC_DATA", str(folder))
    assert load("beauty").name == "beauty"
    with pytest.raises(DataError, match="toys is not prepared"):
        load("toys")
    (elsewhere / "toys").mkdir()
    (elsewhere / "toys" / "toys.inter").write_bytes((folder / "beauty.inter").read_bytes())
    assert load("toys").name == "toys"
    with pytest.raises(DataError, match="beauty is not prepared"):
        load("beauty", data_dir=elsewhere)  # a named folder is the only one that counts


def test_loading_a_path(folder):
    assert load(folder).name == "beauty"
    assert load(str(folder / "beauty.inter")).titles is None
    (folder / "beauty.item").write_text("item_id:token\tmovie_title:token_seq\na\tAnna\nb\tBert\n")
    assert load(folder).titles == ["", "Anna", "Bert"]
    assert load(folder, k=1).num_interactions == 3
    with pytest.raises(DataError, match="no interactions are left"):
        load(folder, k=2)
    (folder / "other.csv").write_text("u,item,time\n1,2,3\n")
    assert load(folder).name == "beauty"  # an atomic file is preferred
    assert load(folder / "other.csv", columns={"user": "u"}).name == "other"
    (folder / "toys.inter").write_text((folder / "beauty.inter").read_text())
    with pytest.raises(DataError, match=r"several data sets \(beauty.inter, toys.inter\)"):
        load(folder)


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="choose bookshop, beauty, toys, ml-1m, yelp, or give a path"):
        load("beaty")
    with pytest.raises(DataError, match="holds no data set"):
        load(tmp_path)


REAL = {
    "beauty": (22363, 12101, 198502),
    "toys": (19412, 11924, 167597),
    "ml-1m": (6040, 3706, 1000209),
    "yelp": (30431, 20033, 316354),
}


@pytest.mark.skipif("DIFFREC_DATA" not in os.environ, reason="needs the real data: set DIFFREC_DATA to its folder")
@pytest.mark.parametrize("name", REAL)
def test_the_real_data_sets(name):
    data = load(name)
    assert (data.num_users, data.num_items, data.num_interactions) == REAL[name]
    assert len(data.test) == len(data.val) == data.num_users
    if name != "yelp":
        batch = data.test.batch(range(len(data.test)), 10_000)
        assert not bool((batch.history == batch.target[:, None]).any())  # no target in its own history
