"""A careless or hostile user at the command line: one line, exit code 2, and nothing trained."""

import json
import sys

import pytest
import torch

from diffrec_lite import cli, models

LOG = "user_id:token\titem_id:token\ttimestamp:float\n" + "".join(
    f"{user}\t{(user * 3 + j) % 9 + 1}\t{j}\n" for user in range(1, 8) for j in range(5)
)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.inter"
    path.write_text(LOG)
    return path


def call(monkeypatch, capsys, *arguments):
    """Exit code, stdout, stderr of one command; anything but a clean exit is a traceback and fails the test."""
    monkeypatch.setattr(sys, "argv", ["diffrec-lite", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("d=0", "d must be at least 1"),
        ("d=-4", "d must be at least 1"),
        ("heads=0", "heads must be at least 1"),
        ("d=99999999999", "cannot be built"),
        ("dropout=nan", "dropout must be a finite number"),
        ("item_std=nan", "item_std must be a finite number"),
        ("item_std=-1", "item_std must be at least 0"),
    ],
)
def test_an_impossible_setting_is_refused_before_training(log, tmp_path, monkeypatch, capsys, change, message):
    run = tmp_path / "run"
    code, _, err = call(monkeypatch, capsys, "train", "sasrec", "--dataset", log, "--out", run, "--set", change)
    assert code == 2 and message in err and err.count("\n") == 1
    assert not (run / "model.safetensors").exists()


def test_broken_weights_recommend_nothing(log, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    assert call(monkeypatch, capsys, "train", "popularity", "--dataset", log, "--out", run)[0] == 0
    model = models.load(run)
    model.load_state_dict({name: torch.full_like(w, torch.nan) for name, w in model.state_dict().items()})
    model.save_pretrained(run)
    code, out, err = call(monkeypatch, capsys, "recommend", run, "--history", "1,2", "--json")
    assert (code, out) == (2, "") and "NaN" in err


def test_windows_files_read_like_any_other(log, tmp_path, monkeypatch, capsys):
    windows = tmp_path / "windows.inter"
    windows.write_bytes(b"\xef\xbb\xbf" + LOG.replace("\n", "\r\n").encode())
    found = []
    for number, path in enumerate((log, windows)):
        run = tmp_path / f"run{number}"
        assert call(monkeypatch, capsys, "train", "popularity", "--dataset", path, "--out", run)[0] == 0
        code, out, _ = call(monkeypatch, capsys, "recommend", run, "--history", "3,4", "--json")
        assert code == 0
        found.append(json.loads(out))
    assert found[0] == found[1]


def test_a_reader_of_everything_gets_an_empty_list(log, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    assert call(monkeypatch, capsys, "train", "popularity", "--dataset", log, "--out", run)[0] == 0
    everything = ",".join(str(i) for i in range(1, 10))
    code, out, _ = call(monkeypatch, capsys, "recommend", run, "--history", everything, "--filter-seen", "--json")
    assert (code, json.loads(out)) == (0, [])
