"""Odd commands work or say in one line what is wrong (`tools/fuzz_commands.py` goes on)."""

from collections import Counter

import fuzz_commands
import pytest
from fuzz_commands import Call, fuzz, may_change, verdict


def test_odd_commands_work_or_are_refused(tmp_path):
    found, faults = fuzz(60, seed=7, place=tmp_path)
    assert not faults
    ends = sum(found.values(), Counter())
    assert ends["worked"] > 5 and ends["clean error"] > 20 and {"train", "evaluate", "recommend", "data"} <= set(found)


@pytest.mark.parametrize(
    ("end", "done"),
    [
        ("worked", Call(0, '{"NDCG@10": 0.5}\n', "")),
        ("clean error", Call(2, "", "note: x\nerror: runs/a: no such file\n")),
        ("traceback", Call("TypeError: x", "", "")),
        ("no clean error", Call(1, "", "error: x")),
        ("no clean error", Call(2, "", "")),
        ("no clean error", Call(2, "", "error: \n")),
        ("no clean error", Call(2, "", "error: one\nerror: two\n")),
        ("no JSON", Call(0, '{"NDCG@10": NaN}', "")),
        ("no JSON", Call(0, "table", "")),
    ],
)
def test_the_fuzz_tells_how_a_command_ended(end, done):
    assert verdict(["evaluate", "runs/a", "--json"], done, {}, {}) == end


def test_the_fuzz_sees_what_changed_that_nobody_named():
    line = ["train", "markov", "--dataset", "log.csv", "--out", "a"]
    for before, after, end in (
        ({"log.csv": "1"}, {"log.csv": "2"}, "touched"),
        ({"log.csv": "1"}, {}, "touched"),
        ({}, {"b/run.json": "1"}, "touched"),
        ({"a/run.json": "1"}, {"a/run.json": "2"}, "touched"),
        ({}, {"a/run.json": "1"}, "worked"),
    ):
        assert verdict(line, Call(0, "", ""), before, after) == end
    assert verdict([*line, "--overwrite"], Call(0, "", ""), {"a/run.json": "1"}, {"a/run.json": "2"}) == "worked"
    assert may_change(["recommend", "a", "--out", "x.csv"], "x.csv", False)
    assert not may_change(["recommend", "a", "--out", "x.csv"], "y.csv", True)


def test_the_fuzz_sees_a_result_about_other_items(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fuzz_commands.prepare(tmp_path)
    for data, end in (("shuffled.csv", "worked"), ("one_other.csv", "other items"), ("other.csv", "other items")):
        line = ["evaluate", "counted", "--dataset", data]
        assert verdict(line, Call(0, "", ""), {}, {}) == end
