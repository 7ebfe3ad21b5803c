"""A whole run: resumed runs, killed runs and two processes all end where they should, and leave a record."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset
from diffrec_lite.data.splitting import Cuts
from diffrec_lite.evaluation import evaluate
from diffrec_lite.training.checkpoint import CHECKPOINT, CheckpointError, Progress
from diffrec_lite.training.loop import NonFiniteLoss
from diffrec_lite.training.record import Run, RunError, describe, fingerprint
from diffrec_lite.training.run import train as train_run


def train(model, data, out=None, **settings):
    quiet = {"progress": False, "device": "cpu", "batch_size": 32, "epochs": 4}
    return train_run(model, data, out, **{**quiet, **settings})


def test_it_learns_and_ends_with_the_best_weights(data, build):
    model = build("sasrec", dropout=0.1)
    done = train(model, data, epochs=25, lr=1e-2, patience=25)
    assert done.history["loss"].iloc[-1] < done.history["loss"].iloc[0] - 0.5
    assert done.history["val NDCG@10"].max() > 0.6
    assert done.best_epoch == done.history["val NDCG@10"].idxmax() + 1 < 25
    best = evaluate(model, data, "val").metrics["NDCG@10"]
    assert best == pytest.approx(done.history["val NDCG@10"].max(), abs=1e-12)
    assert not model.training and done.precision == "fp32" and done.device.startswith("cpu")


@pytest.mark.parametrize("name", ["sasrec", "diffurecsys", "dcrec"])
def test_a_resumed_run_is_the_same_bit_for_bit(data, build, weights, tmp_path, name):
    whole, first, second = build(name), build(name), build(name)
    train(whole, data, tmp_path / "whole", epochs=4, warmup=7)
    train(first, data, tmp_path / "parts", epochs=2, warmup=7)
    torch.manual_seed(1234)
    train(second, data, tmp_path / "parts", epochs=4, warmup=7, resume=True)
    assert torch.equal(weights(whole), weights(second))
    for file in ("history.csv", "model.safetensors", "config.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()
    one, other = Progress.load(tmp_path / "whole" / CHECKPOINT), Progress.load(tmp_path / "parts" / CHECKPOINT)
    assert one.step == other.step
    for group in Progress.GROUPS:
        mine, theirs = getattr(one, group), getattr(other, group)
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert len(one.optimizer) == 3 * len(list(whole.parameters()))


def test_resuming_what_is_finished_changes_nothing(data, build, weights, tmp_path):
    train(build(), data, tmp_path, epochs=2)
    before = (tmp_path / "history.csv").read_bytes(), (tmp_path / "model.safetensors").read_bytes()
    model = build()
    train(model, data, tmp_path, epochs=2, resume=True)
    assert before == ((tmp_path / "history.csv").read_bytes(), (tmp_path / "model.safetensors").read_bytes())
    assert torch.equal(weights(model), weights(models.load(tmp_path)))


def test_resume_repairs_files_that_a_kill_left_behind(data, build, tmp_path):
    assert train(build(), data, tmp_path, epochs=2, lr=1e-12).best_epoch == 1
    whole = (tmp_path / "history.csv").read_bytes()
    (tmp_path / "history.csv").write_text("epoch,st")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "items.csv").write_text("item,tok")
    left = tmp_path / ".checkpoint.safetensors.123-abcd.partial"
    left.write_bytes(b"half a file")
    train(build(), data, tmp_path, epochs=2, lr=1e-12, resume=True)
    assert (tmp_path / "history.csv").read_bytes() == whole
    assert models.load(tmp_path).num_items == 12
    assert pd.read_csv(tmp_path / "items.csv").token.tolist() == data.item_tokens[1:]
    assert not left.exists()


@pytest.mark.parametrize("learns_from", ["sequences", "prefixes"])
def test_what_max_len_keeps_from_being_learned_is_said(data, build, capsys, learns_from):
    train(build("sasrec", max_len=20, learns_from=learns_from), data, epochs=1)
    assert "training targets" not in capsys.readouterr().err
    train(build("sasrec", max_len=2, learns_from=learns_from), data, epochs=1)
    learned = sum(min(2, int(position)) for position in data.train.longest().positions)
    said = f"note: {learned:,} of {len(data.train):,} training targets are learned, those among the last 2 items"
    assert (said in capsys.readouterr().err) == (learns_from == "sequences")


def test_a_run_is_never_overwritten_by_accident(data, build, tmp_path):
    train(build(), data, tmp_path, epochs=1)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(CheckpointError, match="already holds a run"):
        train(build(), data, tmp_path, epochs=1)
    with pytest.raises(CheckpointError, match=r"lr was 0\.001, is 0\.5"):
        train(build(), data, tmp_path, lr=0.5, resume=True)
    with pytest.raises(CheckpointError, match="d was 16, is 32"):
        train(build(d=32), data, tmp_path, resume=True)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    train(build(), data, tmp_path, epochs=2, resume=True)
    with pytest.raises(CheckpointError, match="2 epochs are done, and epochs is 1"):
        train(build(), data, tmp_path, epochs=1, resume=True)
    train(build(), data, tmp_path, epochs=1, lr=0.5, overwrite=True)
    assert (tmp_path / CHECKPOINT).read_bytes() != before


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_checkpoint_is_refused(data, build, tmp_path, content):
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        train(build(), data, tmp_path, resume=True)


def test_nan_keeps_what_was_saved_and_gives_back_the_best_weights(data, build, weights, tmp_path):
    model = build("sasrec")
    train(model, data, tmp_path, epochs=1)
    before = (tmp_path / CHECKPOINT).read_bytes(), (tmp_path / "history.csv").read_bytes()
    broken = build("sasrec")
    loss = broken.loss
    broken.loss = lambda batch, noise, epoch=0.0: {k: v * float("nan") for k, v in loss(batch, noise, epoch).items()}
    with pytest.raises(NonFiniteLoss, match=r"epoch 2, step 3: loss nan"):
        train(broken, data, tmp_path, epochs=3, resume=True)
    assert before == ((tmp_path / CHECKPOINT).read_bytes(), (tmp_path / "history.csv").read_bytes())
    assert torch.equal(weights(broken), weights(model))


def test_early_stopping(data, build, tmp_path):
    still = {"lr": 1e-12, "epochs": 50, "patience": 3}
    done = train(build("sasrec"), data, tmp_path, **still)
    assert done.best_epoch == 1 and len(done.history) == 4
    assert len(train(build("sasrec"), data, tmp_path, **still, resume=True).history) == 4


def test_count_models_only_count(data, tmp_path):
    model = models.build("markov", 12)
    done = train(model, data, tmp_path)
    assert done.history["val HR@5"].item() > 0.6 and done.best_epoch == 1
    again, resumed = models.load(tmp_path), models.build("markov", 12)
    train(resumed, data, tmp_path, resume=True)
    history = torch.tensor([[1, 2, 3]])
    assert torch.equal(model.score(history), again.score(history))
    assert torch.equal(model.score(history), resumed.score(history))
    assert "epochs" not in Run.load(tmp_path).config


def test_unknown_settings_are_refused(data, build):
    with pytest.raises(ValueError, match="'epoch'"):
        train(build(), data, epoch=3)


# ---------------------------------------------------------------- what a run leaves


def test_the_record_is_flat_json(data, build, tmp_path):
    done = train(build(), data, tmp_path, epochs=2, seed=3, command="diffrec-lite train")

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    record = json.loads((tmp_path / "run.json").read_text(), parse_constant=refuse)
    assert (record["model"], record["seed"], record["command"]) == ("diffurec", 3, "diffrec-lite train")
    described = {"name": "steps", "users": 60, "items": 12, "fingerprint": fingerprint(data)}
    assert described.items() <= record["dataset"].items()
    assert record["dataset"]["interactions"] == data.num_interactions
    assert record["config"]["d"] == 16 and record["config"]["batch_size"] == 32 and "model" not in record["config"]
    assert record["history"] == done.history.to_dict("records") and len(record["history"]) == 2
    assert record["precision"] == "fp32" and record["processes"] == 1 and record["seconds"] > 0
    assert record["best_epoch"] == done.best_epoch and record["versions"]["torch"] == torch.__version__
    for name, split, filtered in (("val", "val", False), ("test_filtered", "test", True), ("test", "test", False)):
        found = evaluate(models.load(tmp_path), data, split, filter_seen=filtered)
        assert record[name]["HR@5"] == pytest.approx(found.metrics["HR@5"], abs=1e-6)
        assert {key: record[name][key] for key in found.long_tail} == pytest.approx(found.long_tail, abs=1e-6)
        assert 0 < record[name]["coverage@10"] <= 1
        low, high = found.intervals["MRR"]
        assert (record[name]["MRR low"], record[name]["MRR high"]) == pytest.approx((low, high), abs=1e-6)
        assert done.evaluations[name].metrics == found.metrics
    assert Run.load(tmp_path).test == record["test"]


def test_a_record_holds_only_numbers_that_json_has(data, build, tmp_path):
    train(build(), data, tmp_path, epochs=1)
    record = Run.load(tmp_path)
    record.test["HR@5"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        record.save(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RunError, match="not the record of a run"):
        Run.load(tmp_path)


def test_items_are_named_without_the_data_set(data, build, tmp_path):
    train(build(), data, tmp_path, epochs=1)
    model = models.load(tmp_path)
    assert model.catalogue.ids["book 3"] == 3 and model.catalogue.tokens == data.item_tokens
    assert pd.read_csv(tmp_path / "items.csv").token.tolist() == data.item_tokens[1:]
    assert model.trained_on == Run.load(tmp_path).dataset


def test_the_fingerprint_changes_with_the_data(data):
    items = data.items.clone()
    items[0] = items[0] % 12 + 1
    changed = SequenceDataset("steps", items, data.offsets, data.user_tokens, data.item_tokens)
    assert fingerprint(changed) != fingerprint(data) and len(fingerprint(data)) == 16
    earlier, later = (replace(data, cuts=cuts_before_the_last(data, at)) for at in (3, 2))
    assert len({fingerprint(one) for one in (data, earlier, later)}) == 3
    assert fingerprint(replace(data, tied=torch.zeros(len(data.items), dtype=torch.bool))) == fingerprint(data)


def cuts_before_the_last(data: SequenceDataset, at: int) -> Cuts:
    """Cuts such as a temporal split makes: validation `at` items before the end, the test one item before it."""
    return Cuts(data.lengths - at, data.lengths - 1, moments=(10, 20))


def test_a_run_is_told_how_its_data_are_cut(data, build, tmp_path):
    cut = replace(data, cuts=cuts_before_the_last(data, 4))
    train(build("sasrec"), cut, tmp_path, epochs=1)
    about = Run.load(tmp_path).dataset
    assert (about["split"], about["moments"], about["val"]["readers"]) == ("temporal", [10, 20], len(cut.val))
    assert about["train"] == {"examples": len(cut.train), "interactions": len(cut.train_items())}
    assert len(cut.train) == len(data.train) - 2 * data.num_users
    assert about["ties"]["interactions"] == 0 and "positions" in about["ties"]["order"]
    with pytest.raises(CheckpointError, match="split was 'temporal', is None"):
        train(build("sasrec"), data, tmp_path, epochs=2, resume=True)
    train(build("sasrec"), cut, tmp_path, epochs=2, resume=True)
    assert len(Run.load(tmp_path).history) == 2


def test_who_is_left_out_and_what_nobody_knows_is_counted():
    """One reader begins at the test, one is asked for an item that nobody read before validation."""
    items = [[1, 2, 3, 1], [2, 1, 4, 2], [3, 1], [2, 3, 1, 4]]
    data = SequenceDataset(
        "few",
        torch.tensor([item for own in items for item in own]),
        torch.tensor([0] + [len(own) for own in items]).cumsum(0),
        [str(u) for u in range(4)],
        ["[PAD]", *"abcd"],
        cuts=Cuts(torch.tensor([2, 2, 0, 3]), torch.tensor([3, 3, 0, 3]), moments=(5, 6)),
        tied=torch.tensor([0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1], dtype=torch.bool),
    )
    about = describe(data)
    assert "source" not in about  # data from a table were read from nowhere
    assert about["val"] == {"readers": 2, "without_history": 0, "unknown_targets": 1, "repeated_targets": 0}
    assert about["test"] == {"readers": 3, "without_history": 1, "unknown_targets": 1, "repeated_targets": 2}
    order = "time, then the order of the source's rows"
    assert about["ties"] == {"interactions": 6, "val_targets": 1, "test_targets": 1, "order": order}


# ---------------------------------------------------------------- several processes, and none


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "diffrec_lite", "train", "sasrec", "--dataset", "bookshop", *arguments]


SMALL = ["--set", "d=16", "--set", "blocks=1", "--set", "batch_size=256", "--set", "val_users=100", "--device", "cpu"]
SMALL += ["--precision", "fp32"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def test_two_processes_train_the_same_model(tmp_path):
    still = [*SMALL, "--set", "dropout=0", "--set", "item_dropout=0", "--epochs", "2"]
    subprocess.run(command("--out", str(tmp_path / "one"), *still), check=True, env=ENVIRONMENT, capture_output=True)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--main_process_port", "0", "-m", *command("--out", str(tmp_path / "two"), *still)[2:]]
    done = subprocess.run(launch, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (load_file(tmp_path / folder / "model.safetensors") for folder in ("one", "two"))
    for name in one:
        # A softmax does not see the bias of its keys: the gradient is rounding alone, which Adam makes a step of.
        if not name.endswith("key.bias"):
            torch.testing.assert_close(one[name], two[name], atol=1e-6, rtol=1e-5)
    curves = [pd.read_csv(tmp_path / folder / "history.csv") for folder in ("one", "two")]
    np.testing.assert_allclose(curves[0]["loss"], curves[1]["loss"], rtol=1e-4)
    np.testing.assert_allclose(curves[0]["gradient norm"], curves[1]["gradient norm"], rtol=1e-3)
    assert Run.load(tmp_path / "two").processes == 2


def test_a_killed_run_resumes_to_the_same_history(tmp_path):
    def run(folder: str, *more: str) -> subprocess.Popen:
        everything = command("--out", str(tmp_path / folder), "--epochs", "6", *SMALL, *more)
        return subprocess.Popen(everything, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    undisturbed = run("whole")
    rng = np.random.default_rng()
    checkpoint = tmp_path / "killed" / CHECKPOINT
    process = run("killed")
    after_epoch, deadline = rng.integers(0, 4), time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline and _epoch(checkpoint) < after_epoch:
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 0.5))  # anywhere in the epoch, or in its writing
    process.send_signal(signal.SIGKILL)
    process.wait()
    process = run("killed", "--resume")
    assert process.wait(300) == 0 and undisturbed.wait(300) == 0
    assert (tmp_path / "killed" / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()
    assert (tmp_path / "killed" / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()


def _epoch(checkpoint: Path) -> int:
    return Progress.load(checkpoint).epoch if checkpoint.exists() else 0
