"""What a token and a time may be, and that none is lost."""

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diffrec_lite.data import DataError, SequenceDataset, load
from diffrec_lite.data.archives import prepare
from diffrec_lite.data.log import as_catalogue, as_log, one_line, times, tokens
from diffrec_lite.models import load as load_model
from diffrec_lite.models.baselines import Popularity
from diffrec_lite.training.record import save_catalogue


def log_of(items, time=None, user="u"):
    time = range(len(items)) if time is None else time
    return pd.DataFrame({"user": user, "item": items, "timestamp": time}, index=range(len(items)))


def names(items, **rest):
    """The tokens of a column of items, row by row."""
    return as_log(log_of(items, **rest), "toy")["item"].tolist()


def order(time):
    """The rows in the order of their times."""
    found = as_log(log_of(range(len(time)), time), "toy")["timestamp"]
    return np.argsort(found.to_numpy(), kind="stable").tolist()


# ------------------------------------------------------------ tokens


@given(st.lists(st.text(max_size=6), min_size=1, max_size=8, unique=True))
@example(["a\rb"]).via("a carriage return trains, and can never be read again")
@example(["a,b", '"', 'say "hi"', "NA", "#", "=1", "\ufeffx", "[/b]"])
@settings(deadline=None, max_examples=40)
def test_what_is_a_token_survives_every_file_that_we_write(tmp_path_factory, texts):
    log = pd.DataFrame({"user": "u", "item": pd.Series(texts, dtype=object), "timestamp": range(len(texts))})
    try:
        data = SequenceDataset.from_log(log)
    except DataError as problem:
        assert any(repr(text) in str(problem) for text in texts)
        return
    folder = tmp_path_factory.mktemp("run")
    model = Popularity(data.num_items)
    model.fit_counts(data)
    model.save_pretrained(folder)
    known = load_model(folder).catalogue
    assert known.tokens == data.item_tokens and [known.ids[text] for text in known.tokens[1:]] == [*known.ids.values()]
    save_catalogue(known, folder)
    listed = pd.read_csv(folder / "items.csv", dtype=str, keep_default_na=False)
    assert listed["token"].tolist() == known.tokens[1:]
    log.to_parquet(folder / "log.parquet")
    again = load(prepare("toys", folder / "log.parquet", folder))
    assert again.item_tokens == data.item_tokens and again.items.tolist() == data.items.tolist()
    assert [again.item_tokens[i] for i in again.history(0)] == texts


REFUSED = [
    "",
    " ",
    "a ",
    "\u3000a",
    "a\tb",
    "a\nb",
    "a\rb",
    "a\0b",
    "a\x1fb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "\ud800",
]


@pytest.mark.parametrize("token", REFUSED, ids=ascii)
def test_what_is_no_token_is_named(token):
    with pytest.raises(DataError) as caught:
        names(pd.Series(["fine", "fine", token], dtype=object))
    assert str(caught.value).startswith(f"toy, row 2: item {token!r} is no token")


def test_one_row_of_text_stays_as_it_is_written():
    written = ["007", "7", "1e3", "NA", "a b", "a,b", "Ends [/b]", "-0", "5.50", "5.0", "é", "\u202eabc"]
    assert names(written) == written


def test_whole_numbers_are_tokens_however_they_are_stored():
    for column in (
        [5, 6, 10],
        [5.0, 6.0, 10.0],
        ["5.0", "6.0", "10.0"],
        np.array([5, 6, 10], np.float32),
        pd.array([5, 6, 10], "Int64"),
        pd.Categorical(["5.0", "6.0", "10.0"]),
        pd.Series([5, 6.0, "10"], dtype=object),
        [Decimal(5), Decimal("6.00"), Decimal(10)],
    ):
        assert names(column) == ["5", "6", "10"], column
    assert names(pd.Series([5, 5.0, "5", "5.0"], dtype=object)) == ["5", "5", "5", "5.0"]
    assert names(["5.0", "x"]) == ["5.0", "x"]  # a column that is no column of floats


def test_large_ids_do_not_merge():
    large = [2**53, 2**53 + 1, 2**63 - 1]
    assert names(large) == names([str(number) for number in large]) == [str(number) for number in large]
    assert names(np.array([2**64 - 1, 2**64 - 2], np.uint64)) == [str(2**64 - 1), str(2**64 - 2)]
    assert names([2.0**53 - 1]) == [str(2**53 - 1)]
    for column in ([1.0, 2.0**53], ["1.0", f"{2**53}.0"], np.array([1, 2**24], np.float32)):
        with pytest.raises(DataError, match=r"toy, row 1: item .* is a float too large to be exact"):
            names(column)


@pytest.mark.parametrize("value", [2.5, np.inf, True, b"a", [1], {"a": 1}, 1j, datetime.date(2020, 1, 1)], ids=repr)
def test_what_is_neither_text_nor_a_whole_number_is_refused(value):
    with pytest.raises(DataError, match=r"toy, row 1: item .* is neither text nor a whole number"):
        names(pd.Series([1, value], dtype=object))


def test_a_token_is_named_by_the_first_row_that_has_it():
    values = pd.Series(["a", "b ", "a", "b "], index=[2, 5, 7, 9], name="item_id")
    with pytest.raises(DataError, match=r"toy.csv:5: item_id 'b '"):
        tokens(values, "toy.csv", ":")


# ------------------------------------------------------------ times

MOMENTS = st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=12)


@given(MOMENTS, st.sampled_from(["s", "ms", "us", "ns"]), st.sampled_from([None, "UTC", "Asia/Tokyo"]))
@example([900, 500, 100], "ms", None).via("three events within one second, the latest first")
@settings(deadline=None, max_examples=150)
def test_dates_keep_their_order_and_their_distances(moments, unit, zone):
    moments = [moment // 10**9 if unit == "s" else moment for moment in moments]
    dates = pd.Series(np.array(moments).astype(f"M8[{unit}]"))
    if zone:
        try:
            dates = dates.dt.tz_localize("UTC").dt.tz_convert(zone)
        except (OverflowError, pd.errors.OutOfBoundsDatetime):
            return
    found = times(dates, "toy", ":").tolist()
    scale = {m // f for m, f in zip(moments, found, strict=True) if f}
    assert len(scale) <= 1 and scale <= {1, 1000, 10**6, 10**9}
    assert [f * s for f in found for s in scale] == (moments if scale else [])
    assert bool(scale) or set(moments) == {0}


def test_dates_are_seconds_where_these_are_exact():
    dates = pd.Series(pd.to_datetime(["1970-01-01 00:01", "2020-01-01 00:00"]))
    assert times(dates, "toy", ":").tolist() == [60, 1577836800]
    assert times(pd.Series(pd.to_datetime(["1970-01-01 00:01:00.5"])), "toy", ":").tolist() == [60_500]
    far = np.array(["9999-12-31", "0001-01-01", "2020-01-01"], "M8[s]")
    assert order(far) == [1, 2, 0]


DECIMALS = st.builds(lambda whole, part: f"{whole}.{part}", st.integers(0, 2**62), st.text("0123456789", min_size=1))


@given(st.lists(DECIMALS | st.integers(-(2**70), 2**70).map(str), min_size=1, max_size=12))
@example([str(2**60 + 1), str(2**60), "1.5"]).via("one fraction makes floats of all, which tie the large numbers")
@example(["1699999999.123456789", "1699999999.123456788"])
@example([str(2**63 + 6), str(2**63 + 5)])
@settings(deadline=None, max_examples=150)
def test_numbers_written_as_text_keep_their_order(written):
    exact = [Fraction(number) for number in written]
    assert order(written) == sorted(range(len(written)), key=exact.__getitem__)
    values = as_log(log_of(range(len(written)), written), "toy")["timestamp"].tolist()
    assert [(a < b) for a in values for b in values] == [(a < b) for a in exact for b in exact]


def test_numbers_of_other_kinds_keep_their_order():
    assert order(np.array([2**64 - 1, 2**64 - 2], np.uint64)) == [1, 0]
    assert order([Decimal("1.50000000000000000002"), Decimal("1.50000000000000000001")]) == [1, 0]
    assert order(pd.Series([2**60 + 1, 2**60, 1.5], dtype=object)) == [2, 1, 0]
    assert order(np.array([2**63 + 1, 5, 2**63], np.uint64)) == [1, 2, 0]
    assert order(pd.Categorical([3, 1, 2])) == [1, 2, 0]
    assert order(pd.Categorical(np.array([3, 1, 2]).astype("M8[ns]"))) == [1, 2, 0]
    assert order(np.array([2, 1], "m8[ns]")) == [1, 0]


@pytest.mark.parametrize("value", ["abc", "nan", "inf", "1e400", "1_0", [1], datetime.date(2020, 1, 1)], ids=repr)
def test_what_is_no_time_is_named(value):
    with pytest.raises(DataError, match=r"toy, row 1: timestamp .* is not a number; write seconds since 1970"):
        order(pd.Series([1, value], dtype=object))


# ------------------------------------------------------------ tables


def test_named_levels_of_the_index_are_columns():
    log = log_of(["a", "b"])
    expected = as_log(log, "toy")
    for levels in (["user"], ["user", "item"], ["timestamp", "user", "item"]):
        pd.testing.assert_frame_equal(as_log(log.set_index(levels), "toy"), expected)
    assert as_log(log.set_index("user"), "toy", {"user": "user"})["user"].tolist() == ["u", "u"]
    counted = log.drop(columns="user").set_index(pd.RangeIndex(3, 5, name="user"))
    assert as_log(counted, "toy")["user"].tolist() == ["3", "4"]


def test_a_column_given_twice_is_refused():
    log = log_of(["a", "b"])
    for twice in (log.set_index("user", drop=False), log.set_axis(["user", "user", "item"], axis=1)):
        with pytest.raises(DataError, match="toy: column 'user' occurs twice"):
            as_log(twice, "toy")
    with pytest.raises(DataError, match="need a column each, got item, item, timestamp"):
        as_log(log, "toy", {"user": "item"})
    with pytest.raises(DataError, match="the time is given twice"):
        as_log(log, "toy", {"time": "timestamp", "timestamp": "timestamp"})


def test_gaps_and_empty_tables():
    with pytest.raises(DataError, match=r"toy, row 1: item is missing \(and 1 more\); complete"):
        as_log(log_of(["a", None, None]), "toy")
    with pytest.raises(DataError, match=r"toy: no interactions in it"):
        as_log(log_of(["a"]).iloc[:0], "toy")
    with pytest.raises(DataError, match=r"toy: cannot be read"):
        as_log([("u", "i", 1)], "toy")


def test_catalogues_are_joined_by_the_text_of_their_tokens():
    for catalogue in (
        pd.DataFrame({"title": ["Five", "Ten"]}, index=[5, 10]),
        pd.DataFrame({"title": ["Ten", "Five"], "item_id": [10.0, 5.0]}),
        pd.DataFrame({"title": ["Five", "Ten"]}, index=pd.Index(["5.0", "10.0"], name="item_id")),
    ):
        data = SequenceDataset.from_log(log_of([10.0, 5.0, 6.0]), "toy", catalogue)
        assert data.titles == ["", "Five", "6", "Ten"]


def test_catalogues_that_cannot_be_meant():
    with pytest.raises(DataError, match=r"toy: the catalogue describes none of the items, '5' for instance"):
        SequenceDataset.from_log(log_of([5, 6]), "toy", pd.DataFrame({"title": ["A"]}, index=["a"]))
    with pytest.raises(DataError, match=r"toy, catalogue, row 1: item '5' is described twice"):
        SequenceDataset.from_log(log_of([5, 6]), "toy", pd.DataFrame({"title": ["A", "B"], "item_id": [5, 5.0]}))
    with pytest.raises(DataError, match=r"toy, row 0: item_id is missing"):
        as_catalogue(pd.DataFrame({"item_id": [None], "title": ["A"]}), "toy")


def test_titles_stand_on_one_line():
    catalogue = pd.DataFrame({"title": ["A\r\nB", "\t\0", None, 7]}, index=["a", "b", "c", "d"])
    data = SequenceDataset.from_log(log_of(["a", "b", "c", "d"]), "toy", catalogue)
    assert data.titles == ["", "A B", "b", "c", "7"]
    assert one_line("half \ud83d a pair") == "half   a pair"
