"""Files appear whole or not at all, several writers of one never clash, and what is there is on the disk."""

import os
import threading

import pytest

from diffrec_lite.data.whole import flush, write, write_all


def test_several_writers_of_one_file_never_clash(tmp_path):
    texts, failed = [str(i) * 50_000 for i in range(4)], []

    def writer(text):
        try:
            for _ in range(20):
                write(tmp_path / "file", text)
                assert (tmp_path / "file").read_text() in texts
        except Exception as problem:
            failed.append(problem)

    threads = [threading.Thread(target=writer, args=(text,)) for text in texts]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failed and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path, monkeypatch, call):
    write(tmp_path / "file", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="space"):
        write(tmp_path / "file", "new and longer")
    assert (tmp_path / "file").read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        write(tmp_path / "nowhere" / "file", "new")
    assert raised.value.filename == str(tmp_path / "nowhere" / "file")


def test_the_name_of_a_new_file_is_flushed_after_the_file(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, f=original: (done.append(name), f(*a))[1])
    write(tmp_path / "file", "x")
    assert done == ["fsync", "replace", "fsync"]
    flush(tmp_path)
    assert done[3:] == ["fsync"]


def test_of_several_files_none_appears_before_all_are_written(tmp_path, monkeypatch):
    write(tmp_path / "a", "old")
    done, fsync = [], os.fsync

    def full(descriptor):
        done.append(descriptor)
        if len(done) == 2:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        write_all({tmp_path / "a": "new", tmp_path / "b": b"new"})
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"
    write_all({tmp_path / "a": "new", tmp_path / "b": b"new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}
