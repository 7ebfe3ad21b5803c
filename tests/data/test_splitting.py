"""Where sequences are cut: by leave-one-out, and at two moments that are the same for all readers."""

import dataclasses
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from diffrec_lite.data import DataError, SequenceDataset, load
from diffrec_lite.data.splitting import leave_one_out, positions_only, temporal, tied
from diffrec_lite.models.catalogue import Catalogue

# Events as (reader, item, time), with few moments, so that many are tied.
EVENTS = st.lists(st.tuples(st.integers(0, 7), st.integers(1, 6), st.integers(100, 120)), min_size=10, max_size=80)


def table(events):
    return pd.DataFrame(events, columns=["user", "item", "timestamp"])


def cut(events):
    """The data set under a temporal split, or no example where a part would be empty."""
    try:
        return SequenceDataset.from_log(table(events), split="temporal")
    except DataError as problem:
        assert "leaves nothing in its part" in str(problem)
        assume(False)


def sequences(events):
    """Each reader's (item, time) in order, readers in the order of their numbers, in plain Python."""
    readers = sorted({user for user, _, _ in events})
    return [sorted([(item, t) for u, item, t in events if u == user], key=lambda pair: pair[1]) for user in readers]


def asked(split):
    return {
        int(u): (split.items[s : s + p].tolist(), int(split.items[s + p]))
        for u, s, p in zip(split.users, split.starts, split.positions, strict=True)
    }


@settings(max_examples=40)
@given(EVENTS)
def test_a_temporal_split_by_hand(events):
    data = cut(events)
    number = {token: i for i, token in enumerate(data.item_tokens)}
    first, second = data.cuts.moments
    train, val, test = [], {}, {}
    for u, pairs in enumerate(sequences(events)):
        items, times = [number[str(item)] for item, _ in pairs], [t for _, t in pairs]
        train.append([item for item, t in zip(items, times, strict=True) if t < first])
        for moment, end, found in ((first, second, val), (second, np.inf, test)):
            later = [i for i, t in enumerate(times) if moment <= t < end]
            if later and later[0] > 0:
                found[u] = (items[: later[0]], items[later[0]])
    assert data.train_items().tolist() == [item for items in train for item in items]
    assert [int(n) for n in torch.bincount(data.train.users, minlength=data.num_users)] == [
        max(len(items) - 1, 0) for items in train
    ]
    assert asked(data.val) == val and asked(data.test) == test
    origin, arrival = data.train_transitions()
    pairs = [pair for items in train for pair in pairwise(items)]
    assert list(zip(origin.tolist(), arrival.tolist(), strict=True)) == pairs


@settings(max_examples=40)
@given(EVENTS)
def test_nothing_looks_past_its_moment(events):
    data, times = cut(events), torch.tensor([t for pairs in sequences(events) for _, t in pairs])
    first, second = data.cuts.moments
    train = data.train
    assert int(times[train.starts + train.positions].max()) < first  # no training target
    for part, moment in ((data.val, first), (data.test, second)):
        targets = times[part.starts + part.positions]
        assert int(targets.min()) >= moment
        for start, position in zip(part.starts, part.positions, strict=True):
            assert int(times[start : start + position].max()) < moment  # no history
    assert int(times[data.val.starts + data.val.positions].max()) < second  # no validation target is after the test


@settings(max_examples=40)
@given(EVENTS)
def test_the_later_parts_hold_a_tenth_and_more_only_where_times_are_tied(events):
    data, times = cut(events), np.sort([t for _, _, t in events])
    first, second = data.cuts.moments
    tenth = len(times) // 10
    assert (times >= second).sum() >= tenth and (times > second).sum() < tenth
    assert (times >= first).sum() >= 2 * tenth and (times > first).sum() < 2 * tenth


@settings(max_examples=40)
@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_moves_no_moment(events, random):
    shuffled = list(events)
    random.shuffle(shuffled)
    assert cut(shuffled).cuts.moments == cut(events).cuts.moments


@settings(max_examples=40)
@given(EVENTS)
def test_who_is_not_asked_is_counted(events):
    data = cut(events)
    first, second = data.cuts.moments
    for name, moment, end in (("val", first, second), ("test", second, np.inf)):
        asks, alone = data.cuts.asked(name, data.lengths)
        returning = [any(moment <= t < end for _, t in pairs) for pairs in sequences(events)]
        known = [any(t < moment for _, t in pairs) for pairs in sequences(events)]
        assert asks.tolist() == [r and k for r, k in zip(returning, known, strict=True)]
        assert alone.tolist() == [r and not k for r, k in zip(returning, known, strict=True)]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12))
def test_leave_one_out_is_two_cuts_of_the_same_kind(lengths):
    cuts = leave_one_out(torch.tensor(lengths))
    for name, from_end in (("val", 2), ("test", 1)):
        asks, alone = cuts.asked(name, torch.tensor(lengths))
        assert asks.tolist() == [n >= 3 for n in lengths] and not alone.any()
        before = getattr(cuts, f"before_{name}")
        assert before[asks].tolist() == [n - from_end for n in lengths if n >= 3]
    assert (cuts.name, cuts.moments) == ("leave-one-out", None)


def test_a_renumbered_data_set_is_cut_where_it_was():
    data = load("bookshop", split="temporal")
    order = torch.cat([torch.zeros(1, dtype=torch.long), torch.randperm(240) + 1])
    other = Catalogue([data.item_tokens[i] for i in order]).numbered(data)
    assert not torch.equal(other.items, data.items) and other.cut.name == "temporal"
    for part in ("train", "val", "test"):
        ours, theirs = getattr(data, part), getattr(other, part)
        assert torch.equal(ours.positions, theirs.positions) and torch.equal(ours.users, theirs.users)
        assert torch.equal(order[theirs.targets], ours.targets)


def test_a_data_set_without_cuts_is_left_as_it_was():
    data = load("bookshop")
    assert data.cuts is None and data.cut.name == "leave-one-out"
    assert len(data.val) == len(data.test) == 1500 and len(data.train) == 25070 - 3 * 1500
    assert dataclasses.replace(data, items=data.items[:9], offsets=torch.tensor([0, 9])).test.positions.tolist() == [8]


# ------------------------------------------------------------ what cannot be cut


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("kind", [int, float])
def test_positions_are_no_times(start, kind):
    events = [(u, 1 + (u + n) % 5, kind(start + n)) for u in range(6) for n in range(4 + u)]
    with pytest.raises(DataError, match="log: its timestamps are positions .* take leave-one-out"):
        SequenceDataset.from_log(table(events), split="temporal")
    data = SequenceDataset.from_log(table(events))
    assert data.tied is None and len(data.test) == 6


def test_positions_stay_positions_behind_a_filter(tmp_path):
    rows = [(u, f"rare {u}" if n == 1 else n, n) for u in range(12) for n in range(8)]
    table(rows).to_csv(tmp_path / "log.csv", index=False)
    assert load(tmp_path / "log.csv", k=5).lengths.tolist() == [7] * 12  # with a gap at 1
    for how in ({"k": 5}, {"duplicates": "first"}):
        with pytest.raises(DataError, match="are positions"):
            load(tmp_path / "log.csv", split="temporal", **how)


def test_real_times_are_told_from_positions():
    readers = np.array([0, 0, 0, 1, 1])
    assert positions_only(readers, np.array([2, 0, 1, 1, 0]))
    for times in ([0, 1, 2, 1, 2], [0, 1, 2, 0, 0], [0, 1, 3, 0, 1], [5, 6, 7, 5, 6], [0.0, 0.5, 1.0, 0.0, 0.5]):
        assert not positions_only(readers, np.array(times))


@pytest.mark.parametrize(
    ("events", "part"),
    [
        ([(u, n, 100) for u in range(3) for n in range(5)], "train"),  # all at once
        ([(n, n % 4, 100 + n) for n in range(30)], "train"),  # nobody comes twice
        ([(u, n, 100 * u + n) for u in range(10) for n in range(5)], "val"),  # each only in his own time
        ([(n // 3, n % 4, 100 + n) for n in range(8)], "val"),  # too few for a tenth
    ],
)
def test_a_part_that_would_be_empty_is_named(events, part):
    with pytest.raises(DataError, match=f"leaves nothing in its part {part}; it needs readers who come back later"):
        SequenceDataset.from_log(table(events), split="temporal")


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="unknown split 'random'; choose leave-one-out or temporal"):
        load("bookshop", split="random")


def test_the_moments_of_a_long_log():
    times = np.random.default_rng(0).permutation(1000)
    readers = np.sort(np.arange(1000) % 20)
    order = np.lexsort((times, readers))
    assert temporal(readers, times[order], "log").moments == (800, 900)


# ------------------------------------------------------------ ties


@settings(max_examples=40)
@given(EVENTS)
def test_ties_are_found_and_keep_the_order_of_the_rows(events):
    data = SequenceDataset.from_log(table(events))
    times = [[t for _, t in pairs] for pairs in sequences(events)]
    assert data.tied.tolist() == [own.count(t) > 1 for own in times for t in own]
    tokens = [data.item_tokens[i] for i in data.items]
    assert tokens == [str(item) for pairs in sequences(events) for item, _ in pairs]  # sorted() is stable


def test_ties_between_readers_are_none():
    assert tied(np.array([0, 0, 1, 1, 1, 2]), np.array([1, 2, 2, 2, 3, 3])).tolist() == [0, 0, 1, 1, 0, 0]
