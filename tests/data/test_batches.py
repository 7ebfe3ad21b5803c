"""Batches: every example once, in its own width, padded on the left only, in an order that a seed decides."""

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffrec_lite.data import Batch, SequenceDataset, pad
from diffrec_lite.data.batches import WIDTHS, length_buckets

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


def rows_of(batch: Batch):
    return [
        (int(u), [i for i in h.tolist() if i], int(t))
        for u, h, t in zip(batch.users, batch.history, batch.target, strict=True)
    ]


@given(HISTORIES, st.integers(1, 9), st.integers(1, 40), st.integers(0, 3) | st.none())
@settings(deadline=None, max_examples=60)
def test_every_example_once_however_it_is_batched(histories, batch_size, max_len, seed):
    split = build(histories).train
    wanted = sorted((u, history[-max_len:], target) for u, history, target in examples(split))
    batches = list(split.batches(batch_size, max_len, seed))
    assert sorted(row for batch in batches for row in rows_of(batch)) == wanted
    full, rest = divmod(len(wanted), batch_size)
    assert sorted(len(batch.target) for batch in batches) == [rest] * bool(rest) + [batch_size] * full
    # All in one batch, or each alone: the same rows, so padding is never part of an example.
    assert sorted(rows_of(split.batch(range(len(split)), max_len))) == wanted
    assert sorted(row for i in range(len(split)) for row in rows_of(split.batch([i], max_len))) == wanted
    for batch in batches:
        width = batch.history.shape[1]
        longest = max(len(history) for _, history, _ in rows_of(batch))
        assert width == min(max_len, next(width for width in WIDTHS if width >= longest))
        real = batch.history != 0
        assert bool(real[:, -1].all()) and bool((real[:, 1:] >= real[:, :-1]).all())  # padded on the left only


@given(HISTORIES)
@settings(deadline=None, max_examples=60)
def test_whole_histories_and_who_chooses_something_again(histories):
    data = build(histories)
    for split in (data.train, data.val, data.test):
        rows, items = split.read()
        wanted = examples(split)
        assert rows.tolist() == [i for i, (_, history, _) in enumerate(wanted) for _ in history]
        assert items.tolist() == [item for _, history, _ in wanted for item in history]
        assert split.repeated.tolist() == [target in history for _, history, target in wanted]


def test_a_batch_by_hand():
    batch = build([[4, 5, 6, 7, 8, 9]]).train.batch([2, 0], 3)
    assert batch.history.tolist() == [[4, 5, 6], [0, 0, 4]]
    assert batch.target.tolist() == [7, 5]
    assert batch.users.tolist() == [0, 0]
    assert batch.positions.tolist() == [3, 1]


def test_batches_hold_similar_lengths_and_come_in_any_order():
    lengths = torch.arange(1, 401) % 50 + 1
    batches = length_buckets(lengths, 20, seed=1)
    spread = [int(lengths[batch].max() - lengths[batch].min()) for batch in batches]
    assert max(spread) <= 12
    means = [float(lengths[batch].float().mean()) for batch in batches]
    assert means != sorted(means)


def test_the_order_is_a_function_of_seed_and_epoch():
    split = build([[1 + (n * u) % 9 for n in range(20)] for u in range(1, 8)]).train

    def order(seed, epoch):
        return [batch.history.tolist() for batch in split.batches(16, 8, seed, epoch)]

    torch.manual_seed(1)
    first = order(3, 5)
    torch.manual_seed(2)
    assert order(3, 5) == first
    assert order(3, 6) != first and order(4, 5) != first
    assert order(5, 3) != first  # the two numbers are not simply added
    assert order(None, 0) == order(None, 1)


def test_without_a_seed_the_shortest_come_first():
    assert [list(b) for b in length_buckets(torch.tensor([3, 1, 2, 1, 3]), 2)] == [[1, 3], [2, 0], [4]]


def test_impossible_sizes_are_refused():
    split = build([[1, 2, 3, 4]]).train
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        list(split.batches(0, 8))
    with pytest.raises(ValueError, match="max_len must be at least 1, got 0"):
        split.batch([0], 0)


def test_an_empty_split_has_no_batches():
    split = build([[1, 2]]).train.take([])
    assert list(split.batches(4, 8)) == [] and list(split.batches(4, 8, seed=1)) == []
    assert length_buckets(split.positions, 4) == []


@given(HISTORIES, st.integers(1, 40) | st.none())
@settings(deadline=None, max_examples=40)
def test_pad(histories, max_len):
    padded = pad(histories, max_len)
    kept = [history[-(max_len or 99) :] for history in histories]
    assert [[i for i in row if i] for row in padded.tolist()] == kept
    assert padded.shape == (len(histories), max(map(len, kept)))
    assert bool((padded[:, -1] > 0).all()) and padded.dtype == torch.int64
    assert torch.equal(pad(pad(histories), max_len), padded)


def test_pad_names_what_is_wrong():
    with pytest.raises(ValueError, match="history 1 is empty"):
        pad([[1], [], [2]])
    with pytest.raises(ValueError, match="history 0 is empty"):
        pad(torch.tensor([[0, 0], [0, 3]]))
    with pytest.raises(ValueError, match="no history"):
        pad([])
    with pytest.raises(ValueError, match="list of lists"):
        pad([1, 2, 3])
    with pytest.raises(ValueError, match=r"\(B, L\)"):
        pad(torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="history 1 has a 0 behind its first item"):
        pad(torch.tensor([[0, 3], [3, 0]]))
    with pytest.raises(ValueError, match="history 0 has a 0 behind its first item"):
        pad([[1, 0, 2], [4]])
