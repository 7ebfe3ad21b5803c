"""The one door for data: whatever a library raises behind it, the user gets a DataError that names the file."""

import gzip
import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from diffrec_lite.data import DataError, load
from diffrec_lite.data.archives import prepare
from diffrec_lite.data.dataset import find
from diffrec_lite.data.door import door, expand
from diffrec_lite.data.files import read_log

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"


class Strange(Exception):
    """What no list of exceptions would name."""


@pytest.mark.parametrize(
    "problem", [Strange("odd\nend"), RuntimeError("odd"), NotImplementedError("odd"), KeyError("odd")]
)
def test_every_exception_becomes_one_line_about_the_file(problem):
    with (
        pytest.raises(DataError, match=r"^toy\.csv: cannot be read \('?odd'?\); call them$") as caught,
        door(Path("folder/toy.csv"), remedy="call them"),
    ):
        raise problem
    assert caught.value.__cause__ is problem


def test_what_an_exception_without_words_is_called():
    with pytest.raises(DataError, match=r"toy: cannot be written \(MemoryError\); is it"), door("toy", doing="written"):
        raise MemoryError


def test_a_data_error_and_an_interrupt_pass_unchanged():
    with pytest.raises(DataError, match=r"^as it was$"), door("toy"):
        raise DataError("as it was")
    with pytest.raises(KeyboardInterrupt), door("toy"):
        raise KeyboardInterrupt


def test_what_the_system_says_names_the_whole_path(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}: cannot be read \\(Is a directory\\)"):
        read_log(tmp_path)
    with pytest.raises(DataError, match=f"{tmp_path / 'none.csv'}: no such file"):
        read_log(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"File name too long"):
        load("x" * 5000)


# ------------------------------------------------------------ paths


def test_an_empty_path_is_not_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "log.inter").write_text(HEADER + "a\tb\t1\n")
    monkeypatch.chdir(tmp_path)
    for call in (lambda: load(""), lambda: load("  "), lambda: load("toys", data_dir=""), lambda: prepare("toys", "")):
        with pytest.raises(DataError, match="the path is empty"):
            call()
    with pytest.raises(DataError, match="the path is empty"):
        prepare("toys", "log.inter", out="")
    assert find(".")[0] == Path("log.inter") and os.listdir() == ["log.inter"]


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "toys.inter").write_text(HEADER + "a\tb\t1\n")
    assert expand("~/x") == tmp_path / "x"
    assert load("~/toys.inter").num_items == load("toys", data_dir="~").num_items == 1
    monkeypatch.setenv("DIFFREC_DATA", "~")
    assert find("toys") == (tmp_path / "toys.inter", "toys")
    for call in (load, lambda path: load("toys", data_dir=path), lambda path: prepare("toys", path)):
        with pytest.raises(DataError, match=r"~nobody-of-this-name/x: cannot be read .*write the path in full"):
            call("~nobody-of-this-name/x")


# ------------------------------------------------------------ unusual archives


def zipped(patch=lambda content: content):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("ml-1m/ratings.dat", "1::2::3::4\n")
        archive.writestr("ml-1m/movies.dat", "2::Two::Drama\n")
    return patch(bytearray(content.getvalue()))


def in_every_header(position, value):
    """Set a byte in the headers of all members of a zip archive; in the central directory it is 2 further on."""

    def patch(content):
        for magic, offset in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
            at = content.find(magic)
            while at >= 0:
                content[at + offset + position] = value
                at = content.find(magic, at + 1)
        return bytes(content)

    return patch


UNUSUAL = {
    "encrypted": (in_every_header(6, 1), "encrypted"),
    "packed by an unknown method": (in_every_header(8, 99), "compression"),
    "of a later version": (in_every_header(4, 255), "version"),
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_unusual_zip_archives(tmp_path, what):
    patch, word = UNUSUAL[what]
    path = tmp_path / "ml-1m.zip"
    path.write_bytes(zipped())
    assert load(prepare("ml-1m", path, tmp_path / "whole")).titles == ["", "Two"]
    path.write_bytes(zipped(patch))
    with pytest.raises(DataError, match=rf"ml-1m\.zip: cannot be read \(.*{word}.*\); fetch it again"):
        prepare("ml-1m", path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_archive_is_no_log(tmp_path):
    path = tmp_path / "log.inter"
    path.write_bytes(zipped())
    with pytest.raises(DataError, match=r"log.inter: a zip archive; unpack it"):
        load(path)


@pytest.mark.parametrize(
    "date", ["yesterday", "0000-01-01 00:00:00", "2020-02-30 00:00:00", "2020-01-01 00:00:00+02:00", 7, None]
)
def test_dates_that_there_are_not(tmp_path, date):
    path = tmp_path / "yelp.json"
    path.write_text(json.dumps({"user_id": "u", "business_id": "b", "date": date}))
    with pytest.raises(DataError, match=r"yelp.json:1: .*a date is YYYY-MM-DD HH:MM:SS"):
        prepare("yelp", path, tmp_path / "out")


@pytest.mark.parametrize("time", ["soon", [1], {}, 10**400, float("inf")], ids=range(5))
def test_times_that_there_are_not(tmp_path, time):
    path = tmp_path / "toys.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"reviewerID": "u", "asin": "i", "unixReviewTime": time}).encode()))
    with pytest.raises(DataError, match=r"toys.json.gz(:1: unixReviewTime .* is not a number|: cannot be read)"):
        prepare("toys", path, tmp_path / "out")
