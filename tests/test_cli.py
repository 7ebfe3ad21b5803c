"""The command line as its users meet it: what it leaves behind, what it prints, and how it says no."""

import json
import os
import re
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pandas as pd
import pytest
import torch
from command import run

from diffrec_lite import cli, models
from diffrec_lite.cli import commands
from diffrec_lite.data.shipped import shipped
from diffrec_lite.training.recipe import PRESETS, Recipe

TINY = ["--epochs", 1, "--set", "d=16", "--set", "blocks=1", "--set", "val_users=50", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tiny DiffuRec, trained for an epoch on the bookshop."""
    out = tmp_path_factory.mktemp("runs") / "diffurec"
    code, _, err = run("train", "diffurec", "--dataset", "bookshop", "--out", out, "--seed", 3, "--set", "T=4", *TINY)
    assert code == 0, err
    return out


@pytest.fixture
def copied(folder, tmp_path) -> Path:
    """A copy of that run that may be spoiled."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_train_leaves_the_model_the_curve_and_the_record(folder):
    assert {"model.safetensors", "config.json", "history.csv", "run.json", "items.csv"} <= {
        path.name for path in folder.iterdir()
    }
    record = json.loads((folder / "run.json").read_text())
    assert record["command"].startswith("diffrec-lite train diffurec --dataset bookshop")
    assert (record["seed"], record["model"], record["dataset"]["source"]) == (3, "diffurec", "bookshop")
    assert record["config"]["d"] == 16 and record["config"]["epochs"] == 1
    assert Recipe.defaults().keys() <= record["config"].keys()
    assert record["dataset"]["items"] == 240 and len(record["dataset"]["fingerprint"]) == 16
    assert record["versions"]["torch"] == torch.__version__ and record["device"].startswith("cpu")
    assert record["seconds"] > 0 and record["best_epoch"] == 1 and record["precision"] == "fp32"
    assert record["precision_reason"] == "not measured"
    for name in ("val", "val_filtered", "test", "test_filtered"):
        assert (record[name]["split"], record[name]["seen_filtered"]) == (name.split("_")[0], "filtered" in name)
    assert list(pd.read_csv(folder / "history.csv"))[:4] == ["epoch", "step", "lr", "loss"]


def test_evaluate_prints_one_flat_object(folder):
    code, out, err = run("evaluate", folder, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert all(0 <= found[f"{metric}@{k}"] <= 1 for metric in ("HR", "NDCG") for k in (5, 10, 20))
    protocol = {"model": "diffurec", "dataset": "bookshop", "split": "test", "seen_filtered": False}
    protocol["steps"] = models.load(folder).sampling_steps
    assert protocol.items() <= found.items() and found["users"] == 1500 and found["seed"] == 0
    recorded = json.loads((folder / "run.json").read_text())["test"]
    again = json.loads(run("evaluate", folder, "--json", "--batch-size", 100)[1])
    assert again["HR@5"] == pytest.approx(recorded["HR@5"], abs=1e-6)


def test_evaluate_takes_its_options(folder):
    code, out, _ = run("evaluate", folder, "--json", "--split", "val", "--steps", 1, "--filter-seen")
    found = json.loads(out)
    assert code == 0 and (found["split"], found["steps"], found["seen_filtered"]) == ("val", 1, True)
    code, out, _ = run("evaluate", folder, "--steps", 1)
    assert code == 0 and "NDCG@10" in out and "DiffuRec on bookshop" in out


def test_recommend(folder):
    code, out, err = run("recommend", folder, "--history", "12,5,33", "--k", 4, "--json", "--filter-seen")
    assert code == 0, err
    rows = json.loads(out)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4] and all(row["title"] for row in rows)
    assert not {row["item"] for row in rows} & {"12", "5", "33"}
    model = models.load(folder)
    best = model.score(torch.tensor([[12, 5, 33]]))[0].topk(5).indices.tolist()  # bookshop ids are their own tokens
    code, out, _ = run("recommend", folder, "--history", "12, 5, 33", "--json")
    assert [int(row["item"]) for row in json.loads(out)] == best
    assert "title" in run("recommend", folder, "--history", "12")[1]


def test_resume_extends_a_run_and_refuses_another(folder, tmp_path):
    same = ["train", "sasrec", "--dataset", "bookshop", "--out", tmp_path / "a", *TINY]
    assert run(*same)[0] == 0
    code, _, err = run(*same)
    assert code == 2 and "--resume" in err and "--overwrite" in err
    assert run(*same, "--resume", "--epochs", 2)[0] == 0
    assert len(pd.read_csv(tmp_path / "a" / "history.csv")) == 2
    code, _, err = run(*same, "--resume", "--seed", 5)
    assert code == 2 and "seed was 0, is 5" in err
    assert len(pd.read_csv(tmp_path / "a" / "history.csv")) == 2
    code, _, _ = run("train", "popularity", "--dataset", "bookshop", "--out", tmp_path / "a", "--overwrite")
    assert code == 0 and models.load(tmp_path / "a").learns_from == "counts"


def test_data_list_names_the_bookshop():
    code, out, err = run("data", "list")
    assert code == 0 and "bookshop" in out and "beauty" in out, err


def test_help_names_every_model_and_every_preset():
    """Written out, because to ask for them would load torch."""
    words = re.findall(r"[a-z0-9]+", commands.KNOWN)
    assert [word for word in words if word != "or"] == list(models.MODELS)
    (option,) = typing.get_type_hints(commands.train, include_extras=True)["preset"].__metadata__
    assert all(name in re.findall(r"[a-z]+", option.help) for name in PRESETS)


WRONG = {
    "a model that is none": (["train", "dcrek", "--dataset", "bookshop", "--out", "OUT"], "did you mean 'dcrec'"),
    "a data set that is none": (["train", "sasrec", "--dataset", "bookshp", "--out", "OUT"], "did you mean 'bookshop'"),
    "a file that is none": (["train", "sasrec", "--dataset", "no/such.inter", "--out", "OUT"], "no/such.inter"),
    "a preset that is none": (
        ["train", "sasrec", "--dataset", "bookshop", "--out", "OUT", "--preset", "fast"],
        "unknown preset of sasrec 'fast'",
    ),
    "a setting that is none": (
        ["train", "sasrec", "--dataset", "bookshop", "--out", "OUT", "--set", "droput=0.1"],
        "did you mean 'dropout'",
    ),
    "a value of the wrong type": (
        ["train", "sasrec", "--dataset", "bookshop", "--out", "OUT", "--set", "d=wide"],
        "d must be a whole number, got 'wide'",
    ),
    "no value": (["train", "sasrec", "--dataset", "bookshop", "--out", "OUT", "--set", "d"], "needs key=value"),
    "no epochs": (["train", "sasrec", "--dataset", "bookshop", "--out", "OUT", "--epochs", 0], "epochs must be"),
    "a width that heads do not divide": (
        ["train", "sasrec", "--dataset", "bookshop", "--out", "OUT", "--set", "d=10"],
        "heads",
    ),
    "a device that is none": (
        ["train", "sasrec", "--dataset", "bookshop", "--out", "OUT", "--device", "tpu"],
        "unknown device 'tpu'",
    ),
    "a folder under a file": (["train", "popularity", "--dataset", "bookshop", "--out", "FILE/run"], "a.csv"),
    "an empty data set": (["train", "popularity", "--dataset", "EMPTY", "--out", "OUT"], "empty.inter"),
    "a malformed file": (["train", "popularity", "--dataset", "BAD", "--out", "OUT"], "bad.inter:3"),
    "a loss that is not finite": (
        ["train", "sasrec", "--dataset", "bookshop", "--out", "OUT", "--set", "lr=1e30", *TINY, "--epochs", 3],
        "not finite in epoch",
    ),
    "no --out": (["train", "sasrec", "--dataset", "bookshop"], "--out"),
    "an unknown option": (["train", "sasrec", "--sedd", "3"], "--sedd"),
    "an unknown command": (["trian"], "trian"),
    "no model folder": (["evaluate", "OUT"], "config.json"),
    "no model folder to ask": (["recommend", "OUT", "--history", "1"], "config.json"),
    "an empty --dataset": (["train", "popularity", "--dataset", "", "--out", "OUT"], "the path is empty"),
    "an empty --out": (["train", "popularity", "--dataset", "bookshop", "--out", ""], "--out': it is empty"),
    "an empty folder name": (["evaluate", " "], "it is empty"),
    "columns that are none": (
        ["train", "popularity", "--dataset", "bookshop", "--out", "OUT", "--columns", "reader=a"],
        "none of user, item, timestamp",
    ),
    "a learning rate that grows": (
        ["train", "sasrec", "--dataset", "bookshop", "--out", "OUT", "--set", "lr_decay=1.1"],
        "lr_decay must be at most 1",
    ),
    "an unknown archive": (["data", "prepare", "beuty"], "did you mean 'beauty'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_gives_one_line_and_exit_code_2(case, tmp_path):
    (tmp_path / "a.csv").write_text("not a folder")
    (tmp_path / "empty.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n")
    (tmp_path / "bad.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\n1\t2\tsoon\n")
    places = {"OUT": "out", "FILE/run": "a.csv/run", "EMPTY": "empty.inter", "BAD": "bad.inter"}
    arguments, message = WRONG[case]
    code, out, err = run(*(tmp_path / places[a] if a in places else a for a in arguments))
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1, err
    assert message in lines[0]
    assert "Traceback" not in err + out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "DIR", "--split", "train"], "choose val or test"),
        (["evaluate", "DIR", "--steps", 0], "steps must be"),
        (["evaluate", "DIR", "--steps", 99], "1 … 4"),
        (["evaluate", "DIR", "--dataset", "nothing.csv"], "nothing.csv"),
        (["evaluate", "DIR", "--ranks", "no/such/a.csv"], "no/such/a.csv: there is no folder no/such"),
        (["recommend", "DIR", "--history-file", "OTHER", "--out", "no/such/a.csv"], "there is no folder no/such"),
        (["evaluate", "DIR", "--dataset", ""], "the path is empty"),
        (["evaluate", "DIR", "--dataset", "OTHER"], "item '7' of the model is not among the data, and item '999' of"),
        (["recommend", "DIR"], "either --history or --history-file"),
        (["recommend", "DIR", "--history", "1", "--history-file", "OTHER"], "either --history or --history-file"),
        (["recommend", "DIR", "--history", "1", "--out", "x.csv"], "belong to --history-file"),
        (["recommend", "DIR", "--history-file", "OTHER", "--out", "x.txt"], "must end in .csv or .parquet"),
        (["recommend", "DIR", "--history-file", "OTHER"], "other.inter: item '999' is not in the catalogue"),
        (["recommend", "DIR", "--history-file", "no.csv"], "no.csv: no such file"),
        (["recommend", "DIR", "--history", "12,999"], "'999' is not in the catalogue"),
        (["recommend", "DIR", "--history", "0"], "'0' is not in the catalogue"),
        (["recommend", "DIR", "--history", ","], "empty"),
        (["recommend", "DIR", "--history", "12", "--k", 0], "k must lie in"),
        (["recommend", "DIR", "--history", "12", "--k", 241], "k must lie in"),
    ],
)
def test_bad_questions_to_a_good_model(folder, tmp_path, arguments, message):
    other = tmp_path / "other.inter"
    log = (shipped("bookshop") / "bookshop.inter").read_text()
    other.write_text("".join(line.replace("\t7\t", "\t999\t") for line in log.splitlines(keepends=True)))
    places = {"DIR": folder, "OTHER": other}
    code, _, err = run(*(places.get(a, a) for a in arguments))
    assert code == 2 and err.count("error: ") == 1 and message in err, err


def test_data_that_have_moved_can_be_named(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\n" + "".join(f"{u},{i},{i}\n" for u in range(4) for i in range(5)))
    assert run("train", "popularity", "--dataset", log, "--out", tmp_path / "run")[0] == 0
    log.rename(tmp_path / "moved.csv")
    code, _, err = run("evaluate", tmp_path / "run")
    assert code == 2 and f"{log}: no such file" in err and "name it with --dataset" in err
    assert run("evaluate", tmp_path / "run", "--dataset", tmp_path / "moved.csv")[0] == 0


@pytest.mark.parametrize("problem", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 byte")])
def test_too_little_memory_ends_in_one_line(tmp_path, monkeypatch, problem):
    def full(*_, **__):
        raise problem

    monkeypatch.setattr(models, "build", full)
    code, _, err = run("train", "popularity", "--dataset", "bookshop", "--out", tmp_path / "run")
    assert code == 2 and err.count("error: ") == 1


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95 a pickle", b"{}"])
def test_damaged_model_folders_are_refused(copied, file, content):
    (copied / file).write_bytes(content)
    for command in (["evaluate", copied], ["recommend", copied, "--history", "1"]):
        code, _, err = run(*command)
        assert code == 2 and file in err and "Traceback" not in err, err


@pytest.mark.parametrize("file", ["items.csv", "run.json", "history.csv"])
@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_what_is_written_for_people_can_be_lost(copied, file, content):
    before = run("recommend", copied, "--history", "12", "--json")[1], run("evaluate", copied, "--json")[1]
    (copied / file).unlink() if content is None else (copied / file).write_bytes(content)
    assert before == (run("recommend", copied, "--history", "12", "--json")[1], run("evaluate", copied, "--json")[1])


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    code, _, err = run("train", "popularity", "--dataset", "bookshop", "--out", tmp_path / "a")
    assert code == 2 and "Permission denied" in err


def test_a_full_disk_ends_in_one_line(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run("train", "popularity", "--dataset", "bookshop", "--out", tmp_path / "a")
    assert code == 2 and "No space left on device" in err


def test_our_own_mistakes_are_not_hidden(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main()


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("diffrec_lite.training.run.train", stop)
    code, _, err = run("train", "sasrec", "--dataset", "bookshop", "--out", tmp_path / "a")
    assert code == 130 and "--resume" in err


def test_help_is_quick_because_it_does_not_load_torch():
    program = "import sys; sys.argv = ['diffrec-lite', '--help']\nfrom diffrec_lite.cli import main\n"
    program += "try: main()\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.rstrip().endswith("False")
    done = subprocess.run([sys.executable, "-m", "diffrec_lite", "train", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--resume" in done.stdout


def test_a_home_is_filled_in_wherever_a_path_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run("train", "popularity", "--dataset", "bookshop", "--out", "~/a")[0] == 0
    assert (tmp_path / "a" / "run.json").exists() and not (tmp_path / "~").exists()
    assert run("evaluate", "~/a", "--json")[0] == 0
    code, _, err = run("train", "popularity", "--dataset", "bookshop", "--out", "~nobody-of-this-name/a")
    assert code == 2 and "write the path in full" in err


def test_without_a_command_the_help_is_all_that_is_said():
    for arguments in ((), ("data",)):
        code, out, err = run(*arguments)
        assert code == 2 and "Usage" in out and err == ""
