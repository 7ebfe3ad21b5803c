"""Damaged run folders are refused or give what they gave before (`tools/fuzz_folders.py` goes on)."""

from collections import Counter

import fuzz_folders
import pytest

from diffrec_lite.models import packed


def test_a_damaged_folder_is_refused_or_as_it_was():
    found, faults = fuzz_folders.fuzz(25, seed=3)
    assert not faults
    ends = sum(found.values(), Counter())
    assert ends["as before"] > 15 and ends["clean error"] > 15


def test_the_fuzz_would_see_a_changed_weight(monkeypatch):
    """Without the checksum a flipped bit in the weights is another model that nobody trained."""
    blind = packed.unpack

    def careless(path):
        with monkeypatch.context() as without:
            without.setattr(packed, "SEALED", packed.re.compile(b"(?!)"))
            return blind(path)

    monkeypatch.setattr("diffrec_lite.models.base.unpack", careless)
    monkeypatch.setattr(fuzz_folders, "FILES", ["model.safetensors"] * 3)
    monkeypatch.setattr(fuzz_folders, "changed", lambda data, *_: data[:-3] + bytes([data[-3] ^ 64]) + data[-2:])
    _, faults = fuzz_folders.fuzz(12, seed=3)
    assert any("something else" in fault for fault in faults)


@pytest.mark.parametrize("problem", [ZeroDivisionError, RuntimeError])
def test_the_fuzz_sees_what_nobody_caught(monkeypatch, problem):
    def fails(*_):
        raise problem("here")

    world = fuzz_folders.World.__new__(fuzz_folders.World)
    world.weights = {}
    monkeypatch.setattr(fuzz_folders.models, "load", fails)
    assert world.ask("load", "sasrec", "victim")[0] == "traceback"
