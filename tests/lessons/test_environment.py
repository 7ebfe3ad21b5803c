"""The first cell of the course: it says what is missing, in words, and that all is here only when it is."""

import tempfile

from diffrec_lite import models
from diffrec_lite.lessons.environment import FINE, environment


def said(capsys):
    environment()
    return capsys.readouterr().out.strip()


def test_all_is_here(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said(capsys) == FINE
    assert list(tmp_path.iterdir()) == []  # the folder is as it was


def test_a_checkpoint_that_cannot_be_read(capsys, monkeypatch):
    def gone(name):
        raise FileNotFoundError(f"data/checkpoints/{name} does not come with this copy")

    monkeypatch.setattr(models, "load_checkpoint", gone)
    assert said(capsys).startswith("The bookshop or a trained model cannot be read: data/checkpoints/sasrec")


def test_a_folder_that_cannot_be_written_to(capsys, monkeypatch):
    def refuse(*given, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert "cannot be written to (Permission denied)" in said(capsys)
    assert "Save Notebook As" in said(capsys)
