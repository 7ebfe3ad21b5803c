"""Broken files in hundreds of ways: each loads soundly or ends in a DataError (`tools/fuzz_data.py` goes on)."""

import sys
from collections import Counter

import fuzz_data


def test_broken_files_load_or_are_refused():
    found, faults = fuzz_data.fuzz(150, seed=1)
    assert not faults
    assert len(found) == 10 and all(kind["loaded"] + kind["DataError"] == kind.total() for kind in found.values())
    outcomes = sum(found.values(), Counter())
    assert outcomes["loaded"] > 15 and outcomes["DataError"] > 75  # it tries both what is still good and what is not


def test_the_fuzz_sees_what_it_is_there_for(monkeypatch):
    def careless(path):
        raise UnicodeDecodeError("utf-8", b"", 0, 1, str(path))

    monkeypatch.setattr(fuzz_data, "load", careless)
    found, faults = fuzz_data.fuzz(10, seed=1)
    foreign = sum(kind["foreign"] for kind in found.values())
    assert foreign == len(faults) > 0 and "UnicodeDecodeError" in faults[0]


def test_a_token_that_is_lost_is_seen():
    data = fuzz_data.load("bookshop")
    assert fuzz_data.is_sound(data)
    data.item_tokens[3] = "a\rb"
    assert fuzz_data.is_sound(data) == (sys.version_info >= (3, 13))  # from there on csv quotes such a token
    data.item_tokens[3] = 7  # a table gives it back as text
    assert not fuzz_data.is_sound(data)
    data.item_tokens[3] = data.item_tokens[4]
    assert not fuzz_data.is_sound(data)
