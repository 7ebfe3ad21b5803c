"""Files of interactions: what is read, and what is said when it cannot be."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from diffrec_lite.data import load
from diffrec_lite.data.files import DataError, parse_columns, read_items, read_log

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"
# Any token that one line of a tab-separated file can hold.
CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])
TOKENS = st.text(CHARACTERS, min_size=1, max_size=8).filter(lambda token: token.strip() == token)
ROWS = st.lists(st.tuples(TOKENS, TOKENS, st.integers(-(2**53), 2**53)), min_size=1, max_size=20)


@pytest.fixture
def write(tmp_path):
    def write(content, name="toy.inter"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def rows(path, **options):
    return [tuple(row) for row in read_log(path, **options).astype({"user": str, "item": str}).to_numpy().tolist()]


# ------------------------------------------------------------ what is read


@given(ROWS)
@settings(deadline=None, max_examples=30)
def test_every_format_gives_back_what_was_written(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("logs")
    text = HEADER + "".join(f"{u}\t{i}\t{t}\n" for u, i, t in table)
    (folder / "a.inter").write_bytes(text.encode())
    (folder / "a.inter.gz").write_bytes(gzip.compress(text.encode()))
    frame = pd.DataFrame(table, columns=["user_id", "item_id", "timestamp"])
    frame.to_csv(folder / "a.csv", index=False, encoding="utf-8")
    frame.to_parquet(folder / "a.parquet")
    for name in ("a.inter", "a.inter.gz", "a.csv", "a.parquet"):
        assert rows(folder / name) == table, name


def test_tokens_are_not_interpreted(write):
    assert rows(write(HEADER + '007\tNA\t1\n7\tnull\t2\n1e3\t"quoted\t3\n')) == [
        ("007", "NA", 1),
        ("7", "null", 2),
        ("1e3", '"quoted', 3),
    ]


def test_other_columns_orders_line_ends_and_marks(write):
    text = "\ufefftimestamp:float\trating:float\titem_id:token\tuser_id:token\r\n1.5\t\tb\ta\r\n\r\n2\t5\tc\ta\r\n\r\n"
    assert rows(write(text)) == [("a", "b", 1.5), ("a", "c", 2.0)]


def test_names_of_columns(write):
    path = write("who,what,when\n1,2,3\n", "log.csv")
    for time in ("time", "timestamp"):
        assert rows(path, columns={"user": "who", "item": "what", time: "when"}) == [("1", "2", 3)]
    assert rows(write("user,item,time\n1,2,3\n", "log.csv")) == [("1", "2", 3)]
    with pytest.raises(DataError, match="'users' is none of user, item, timestamp"):
        read_log(path, {"users": "who"})


def test_a_colon_in_the_header_of_a_csv_belongs_to_the_name_unless_a_type_follows(write):
    path = write("user:id,item:id,t:sec,t:min\n1,2,3,0\n", "log.csv")
    assert rows(path, columns={"user": "user:id", "item": "item:id", "time": "t:sec"}) == [("1", "2", 3)]
    assert rows(write("user_id:token,item_id:token,timestamp:float\n1,2,3\n", "log.csv")) == [("1", "2", 3)]


def test_columns_as_a_command_line_gives_them():
    usual = {"user": "userId", "item": "movieId", "timestamp": "timestamp"}
    assert parse_columns("user=userId,item=movieId,time=timestamp") == usual
    assert parse_columns(" timestamp=timestamp, item=movieId , user=userId") == usual
    assert parse_columns('item=a=b, "user=who, me"') == {"user": "who, me", "item": "a=b"}


@pytest.mark.parametrize(
    "text", ["", " ", "user", "user=", "=a", "user=a,user=b", "time=a,timestamp=b", "us=a", "user=a\nb"]
)
def test_columns_that_say_nothing(text):
    with pytest.raises(DataError, match="^columns: "):
        parse_columns(text)


def test_quoted_csv(write):
    assert rows(write('user,item,timestamp\n"a,b","say ""hi""",3\n', "log.csv")) == [("a,b", 'say "hi"', 3)]


def test_parquet_types(tmp_path):
    path = tmp_path / "log.parquet"
    times = pd.to_datetime(["1970-01-01 00:01", "2020-01-01 00:00"])
    pd.DataFrame({"user": [1.0, 2.0], "item": [3, 4], "time": times}).to_parquet(path)
    assert rows(path) == [("1", "3", 60), ("2", "4", 1577836800)]
    pd.DataFrame({"user": [1.0, 2.5], "item": [3, 4], "time": [1, 2]}).to_parquet(path)
    with pytest.raises(DataError, match=r"log.parquet, row 1: user 2.5 is neither text nor a whole number"):
        read_log(path)
    pd.DataFrame({"user": [1, 2], "item": ["a", None], "time": [1, 2]}).to_parquet(path)
    with pytest.raises(DataError, match=r"log.parquet, row 1: item is missing"):
        read_log(path)
    path.write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"log.parquet: cannot be read"):
        read_log(path)


def test_whole_timestamps_stay_exact(write):
    log = read_log(write(HEADER + f"a\tb\t{2**62 + 1}\n"))
    assert log.timestamp.tolist() == [2**62 + 1]
    assert read_log(write(HEADER + f"a\tb\t{2**63 + 5}\n")).timestamp.tolist() == [2.0**63]
    assert read_log(write(HEADER + "a\tb\t1" + 30 * "0" + "\n")).timestamp.tolist() == [1e30]


def test_the_index_of_a_parquet_file(tmp_path):
    path = tmp_path / "log.parquet"
    frame = pd.DataFrame({"user_id": ["a", "b"], "item_id": [1, 2], "timestamp": [3, 4]})
    for levels in ("user_id", ["item_id", "user_id"]):
        frame.set_index(levels).to_parquet(path)
        assert rows(path) == [("a", "1", 3), ("b", "2", 4)]
    frame.to_parquet(path)
    assert rows(path) == [("a", "1", 3), ("b", "2", 4)]
    frame[["item_id", "timestamp"]].set_index(pd.RangeIndex(5, 7, name="user_id")).to_parquet(path)
    assert rows(path) == [("5", "1", 3), ("6", "2", 4)]


def test_a_folder_is_no_parquet_file(tmp_path):
    folder = tmp_path / "log.parquet"
    folder.mkdir()
    for part in ("1", "2"):
        pd.DataFrame({"user_id": ["a"], "item_id": [1], "timestamp": [3]}).to_parquet(folder / f"{part}.parquet")
    with pytest.raises(DataError, match=r"log.parquet: cannot be read \(Is a directory\)"):
        read_log(folder)


def test_events_of_one_second_in_a_parquet_file(tmp_path):
    path = tmp_path / "log.parquet"
    for unit in ("ms", "us", "ns"):
        times = np.array([1_700_000_000_003, 1_700_000_000_002, 1_700_000_000_001]).astype(f"M8[{unit}]")
        pd.DataFrame({"user": "u", "item": ["c", "b", "a"], "time": times}).to_parquet(path)
        data = load(path)
        assert [data.item_tokens[i] for i in data.history(0)] == ["a", "b", "c"]


def test_float_ids_find_their_titles(write):
    write("item_id:token\ttitle:token_seq\n5\tFive\n10\tTen\n", "toy.item")
    for log in ("user,item,time\n1.0,10.0,1\n1.0,5.0,2\n", "user,item,time\n1,10,1\n1,5,2\n"):
        data = load(write(log, "toy.csv"))
        assert (data.user_tokens, data.item_tokens, data.titles) == (["1"], ["[PAD]", "5", "10"], ["", "Five", "Ten"])


# ------------------------------------------------------------ what is wrong

BAD = {
    "a\tb\t1\na\tc\tabc\n": r"toy.inter:3: timestamp 'abc' is not a number; write seconds",
    "a\tb\tnan\n": r"toy.inter:2: timestamp 'nan' is not a number",
    "a\tb\tinf\n": r"toy.inter:2: timestamp 'inf' is not a number",
    "a\tb\t1\n\na\t\t2\n": r"toy.inter:4: item_id is missing; complete the line",
    "\tb\t1\n\tc\t2\n": r"toy.inter:2: user_id is missing \(and 1 more\)",
    "a\tb\t1\na\tc\n": r"toy.inter:3: timestamp is missing",
    "a\tb\t1\na\tc\t2\t9\n": r"toy.inter:3: 4 fields where the header has 3; part the fields by tabs",
    "a\tb\t1\t9\n": r"toy.inter:2: 4 fields where the header has 3; part the fields by tabs",
    "a\tb\t1\t9\na\tb\t1\n": r"toy.inter:2: 4 fields where the header has 3",
    "": r"toy.inter: no interactions in it",
    "\n\n": r"toy.inter: no interactions in it",
    "a\tb\t1\na\tc\t2\n".replace("\t", ","): r"toy.inter:2: item_id is missing",
}


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_bad_lines_are_named(write, body):
    with pytest.raises(DataError, match=BAD[body]):
        read_log(write(HEADER + body))


def test_bad_files_are_named(write, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_log(tmp_path / "none.inter")
    with pytest.raises(DataError, match=r"toy.inter: the file is empty"):
        read_log(write(""))
    with pytest.raises(DataError, match=r"toy.inter:1: column 'user_id' occurs twice"):
        read_log(write("user_id:token\tuser_id:float\titem_id:token\ttimestamp:float\na\t1\tb\t2\n"))
    with pytest.raises(DataError, match=r"toy.csv:1: column 'item' occurs twice"):
        read_log(write("user,item,item,time\n1,2,3,4\n", "toy.csv"))
    with pytest.raises(DataError, match=r"no column user_id or user; found '0', '1', '2'. The first line must name"):
        read_log(write("0\t1\t2\n0\t2\t3\n"))
    with pytest.raises(DataError, match="no column when"):
        read_log(write("user,item,time\n1,2,3\n", "log.csv"), {"timestamp": "when"})
    with pytest.raises(DataError, match=r"toy.inter:3: the text is not UTF-8"):
        read_log(write((HEADER + "a\tb\t1\na\té\t2\n").encode("latin-1")))
    with pytest.raises(DataError, match="cannot be read"):
        read_log(tmp_path)


def test_a_missing_column_names_both_remedies(write):
    path = write("userId,movieId,rating,timestamp\n1,5,4.0,1\n", "ratings.csv")
    with pytest.raises(DataError) as caught:
        read_log(path)
    found = str(caught.value)
    in_python = {"user": "userId", "item": "movieId", "time": "timestamp"}
    on_command_line = "user=userId,item=movieId,time=timestamp"
    assert f"columns={in_python}".replace("'", '"') in found and f"--columns {on_command_line}" in found
    assert rows(path, columns=in_python) == rows(path, columns=parse_columns(on_command_line)) == [("1", "5", 1)]


SEPARATORS = {
    ("log.inter", ","): r"log.inter:1: the header has no tab but 2 commas: is this a CSV\? Then name it .csv",
    ("log.inter", ";"): r"log.inter:1: the header has no tab but 2 semicolons: part the fields by tabs",
    ("log.inter", " "): r"log.inter:1: the header has no tab but 2 spaces: part the fields by tabs",
    ("log.csv", "\t"): r"log.csv:1: the header has no comma but 2 tabs: is this an atomic file\? Then name it .inter",
    ("log.csv", ";"): r"log.csv:1: the header has no comma but 2 semicolons: part the fields by commas",
    ("log.csv", "|"): r"log.csv:1: the header has no comma but 2 bars: part the fields by commas",
}


@pytest.mark.parametrize(("name", "separator"), SEPARATORS)
def test_a_wrong_separator_is_named(write, name, separator):
    lines = ["user_id,item_id,timestamp", "1,2,3", "1,3,4"]
    for body in (lines, [*lines, "1,,5" + "," + "\t"]):
        with pytest.raises(DataError, match=SEPARATORS[name, separator]):
            read_log(write("\n".join(body).replace(",", separator), name))


@pytest.mark.parametrize("blank", ["\n", "\r\n\r\n", " \t \n", "\ufeff\n"])
def test_a_blank_first_line(write, blank):
    with pytest.raises(DataError, match=r"toy.inter:1: the first line is blank; it must name the columns"):
        read_log(write(blank + HEADER + "a\tb\t1\n"))


def test_tokens_that_no_file_keeps_are_named_with_their_line(write):
    with pytest.raises(DataError, match=r"toy.csv:3: item 'a\\rb' is no token"):
        read_log(write('user,item,time\n1,a,2\n1,"a\rb",3\n', "toy.csv"))
    with pytest.raises(DataError, match=r"toy.inter:2: user_id ' a' is no token: it .*begins or ends with white space"):
        read_log(write(HEADER + " a\tb\t1\n"))
    with pytest.raises(DataError, match=r"toy.inter:3: holds a NUL character"):
        read_log(write(HEADER + "a\tb\t1\na\tb\0c\t1\n"))
    with pytest.raises(DataError, match=r"toy.inter:1: the text is not UTF-8"):
        read_log(write((HEADER + "a\tb\t1\n").encode("utf-16")))


def test_lines_are_counted_where_a_field_has_several(write):
    text = 'user,item,time,title\n1,a,1,"two\nlines"\n1,b,2,"and\r\nthree\nmore"\n\n1,c,x,\n'
    with pytest.raises(DataError, match=r"toy.csv:8: time 'x' is not a number"):
        read_log(write(text, "toy.csv"))
    with pytest.raises(DataError, match=r"toy.csv:3: a quotation mark opens a field and none closes it"):
        read_log(write('user,item,time\n1,a,1\n1,"b,2\n1,c,3\n', "toy.csv"))


@pytest.mark.parametrize("column", ["user_id", "item_id", "timestamp"])
@pytest.mark.parametrize("values", [[[1], [2]], [{"a": 1}, {"a": 2}], [b"a", b"b"]], ids=["list", "struct", "bytes"])
def test_columns_of_another_kind_in_a_parquet_file(tmp_path, column, values):
    path = tmp_path / "log.parquet"
    frame = pd.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "timestamp": [1, 2]})
    frame.assign(**{column: values}).to_parquet(path)
    with pytest.raises(DataError, match=rf"log.parquet, row 0: {column} .* is n(either|ot a number)"):
        read_log(path)
    frame.assign(more=values).to_parquet(path)
    assert len(read_log(path)) == 2


def test_bad_gzip(write):
    whole = gzip.compress((HEADER + "a\tb\t1\n" * 500).encode())
    flipped = whole[:40] + b"\0" * 8 + whole[48:]
    for content in (whole[:-20], whole[:9], flipped, b"not gzip at all"):
        with pytest.raises(DataError, match=r"toy.inter.gz: cannot be read \(.*fetch it again"):
            read_log(write(content, "toy.inter.gz"))


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=100)
def test_garbage_is_one_clear_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("garbage")
    for name in ("g.inter", "g.csv", "g.inter.gz", "g.parquet"):
        for data in (content, HEADER.encode() + content):
            (folder / name).write_bytes(data)
            try:
                log = read_log(folder / name)
            except DataError as problem:
                assert "g." in str(problem)
            else:
                assert len(log) and log.notna().all(axis=None)


# ------------------------------------------------------------ catalogues


def test_items(write):
    text = 'item_id:token\ttitle:token_seq\tvolume:float\n2\tA "B" C\t1\n10\t\t\n'
    items = read_items(write(text, "toy.item"))
    assert items.index.tolist() == ["2", "10"]
    assert items.title.tolist() == ['A "B" C', ""]
    assert items.volume[0:1].tolist() == [1.0] and pd.isna(items.volume.iloc[1])


def test_bad_items(write):
    with pytest.raises(DataError, match=r"toy.item: no column item_id; found 'title'"):
        read_items(write("title:token_seq\nA\n", "toy.item"))
    with pytest.raises(DataError, match=r"toy.item:3: item '2' is described twice"):
        read_items(write("item_id:token\ttitle:token_seq\n2.0\tA\n2.0\tB\n", "toy.item"))
    with pytest.raises(DataError, match=r"toy.item:3: item '2' is described twice"):
        read_items(write("item_id:token\ttitle:token_seq\n2\tA\n2\tB\n", "toy.item"))
    with pytest.raises(DataError, match=r"toy.item:3: volume 'x' is not a number"):
        read_items(write("item_id:token\tvolume:float\n1\t3\n2\tx\n", "toy.item"))
    with pytest.raises(DataError, match=r"toy.item:2: item_id is missing"):
        read_items(write("item_id:token\tvolume:float\n\t3\n", "toy.item"))


@pytest.mark.parametrize("dates", [["3000-01-01", "2500-01-01", "2020-01-01"], ["2030", "2025", "2020"]])
def test_dates_of_an_older_program_neither_wrap_around_nor_lose_a_part(dates, tmp_path):
    """INT96 holds the year 3000, which pyarrow would read as 1830; and nanoseconds."""
    path, far = tmp_path / "log.parquet", dates[0] == "3000-01-01"
    part = np.timedelta64(1, "us" if far else "ns")
    times = np.array(dates, f"M8[{'us' if far else 'ns'}]") + part
    table = pa.table({"user_id": ["u"] * 3, "item_id": ["a", "b", "c"], "timestamp": pa.array(times)})
    parquet.write_table(table, path, use_deprecated_int96_timestamps=True)
    assert read_log(path)["timestamp"].tolist() == times.astype(int).tolist()
    data = load(path)
    assert [data.item_tokens[i] for i in data.history(0)] == ["c", "b", "a"]
