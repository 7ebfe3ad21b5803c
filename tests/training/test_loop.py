"""Training: resumed runs, killed runs, two processes and broken batches all end where they should."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset
from diffrec_lite.evaluation import evaluate
from diffrec_lite.training.checkpoint import CHECKPOINT, Checkpoint, CheckpointError, write
from diffrec_lite.training.loop import NonFiniteLoss, fit, make_accelerator, share
from diffrec_lite.training.recipe import Recipe
from diffrec_lite.training.run import fingerprint, read_items


@pytest.fixture(scope="module")
def data() -> SequenceDataset:
    """60 readers who mostly go on to the next item of 12."""
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(60):
        items = [int(rng.integers(1, 13))]
        for _ in range(int(rng.integers(4, 12))):
            items.append(items[-1] % 12 + 1 if rng.random() < 0.8 else int(rng.integers(1, 13)))
        sequences.append(items)
    return SequenceDataset(
        name="steps",
        items=torch.tensor([item for items in sequences for item in items]),
        offsets=torch.tensor([0] + [len(items) for items in sequences]).cumsum(0),
        user_tokens=[str(u) for u in range(60)],
        item_tokens=["[PAD]"] + [f"book {i}" for i in range(1, 13)],
    )


def build(name: str = "diffurec", **settings):
    torch.manual_seed(0)
    sizes = {"d": 16, "heads": 2, "blocks": 1, "max_len": 8}
    steps = {} if name == "sasrec" else {"T": 4}
    return models.build(name, 12, **{**sizes, **steps, **settings})


def train(model, data, out=None, **settings):
    torch.manual_seed(99)  # the global generator must not matter
    return fit(model, data, out, progress=False, device="cpu", **{"batch_size": 32, "epochs": 4, **settings})


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_it_learns_and_ends_with_the_best_weights(data):
    model = build("sasrec", dropout=0.1)
    done = train(model, data, epochs=25, lr=1e-2, patience=25)
    assert done.history["loss"].iloc[-1] < done.history["loss"].iloc[0] - 0.5
    assert done.history["val NDCG@10"].max() > 0.6
    assert done.best_epoch == done.history["val NDCG@10"].idxmax() + 1
    best = evaluate(model, data, "val").metrics["NDCG@10"]
    assert best == pytest.approx(done.history["val NDCG@10"].max(), abs=1e-12)
    assert not model.training and done.precision == "fp32" and done.device.startswith("cpu")


@pytest.mark.parametrize("name", ["sasrec", "diffurecsys", "dcrec"])
def test_a_resumed_run_is_the_same_bit_for_bit(data, tmp_path, name):
    whole, first, second = build(name), build(name), build(name)
    train(whole, data, tmp_path / "whole", epochs=4, warmup=7)
    train(first, data, tmp_path / "parts", epochs=2, warmup=7)
    torch.manual_seed(1234)
    train(second, data, tmp_path / "parts", epochs=4, warmup=7, resume=True)
    assert torch.equal(weights(whole), weights(second))
    for file in ("history.csv", "model.safetensors", "config.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()
    one, other = Checkpoint.load(tmp_path / "whole" / CHECKPOINT), Checkpoint.load(tmp_path / "parts" / CHECKPOINT)
    assert one.step == other.step
    for group in Checkpoint.GROUPS:
        mine, theirs = getattr(one, group), getattr(other, group)
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert len(one.optimizer) == 3 * len(list(whole.parameters()))


def test_the_seed_decides_everything(data):
    a, b, c = build(), build(), build()
    first, second, third = train(a, data, seed=1), train(b, data, seed=1), train(c, data, seed=2)
    assert torch.equal(weights(a), weights(b)) and first.history.equals(second.history)
    assert not torch.equal(weights(a), weights(c)) and not first.history.equals(third.history)


def test_resuming_what_is_finished_changes_nothing(data, tmp_path):
    train(build(), data, tmp_path, epochs=2)
    before = (tmp_path / "history.csv").read_bytes(), (tmp_path / "model.safetensors").read_bytes()
    model = build()
    train(model, data, tmp_path, epochs=2, resume=True)
    assert before == ((tmp_path / "history.csv").read_bytes(), (tmp_path / "model.safetensors").read_bytes())
    assert torch.equal(weights(model), weights(models.load(tmp_path)))


def test_resume_repairs_files_that_a_kill_left_behind(data, tmp_path):
    train(build(), data, tmp_path, epochs=2)
    whole = (tmp_path / "history.csv").read_bytes()
    (tmp_path / "history.csv").write_text("epoch,st")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / ".checkpoint.safetensors.partial").write_bytes(b"half a file")
    (tmp_path / ".model-x").mkdir()
    train(build(), data, tmp_path, epochs=2, resume=True)
    assert (tmp_path / "history.csv").read_bytes() == whole
    assert models.load(tmp_path).num_items == 12
    assert not (tmp_path / ".model-x").exists()


def test_a_run_is_never_overwritten_by_accident(data, tmp_path):
    train(build(), data, tmp_path, epochs=1)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(CheckpointError, match="already holds a run"):
        train(build(), data, tmp_path, epochs=1)
    with pytest.raises(CheckpointError, match=r"lr was 0\.001, is 0\.5"):
        train(build(), data, tmp_path, lr=0.5, resume=True)
    with pytest.raises(CheckpointError, match="d was 16, is 32"):
        train(build(d=32), data, tmp_path, resume=True)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    train(build(), data, tmp_path, epochs=1, lr=0.5, overwrite=True)
    assert (tmp_path / CHECKPOINT).read_bytes() != before


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_checkpoint_is_refused(data, tmp_path, content):
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        train(build(), data, tmp_path, resume=True)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    write(tmp_path / "file", "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        write(tmp_path / "file", "new and longer")
    assert (tmp_path / "file").read_text() == "old"


def test_nan_stops_with_the_place_and_keeps_what_was_saved(data, tmp_path):
    model = build("sasrec")
    train(model, data, tmp_path, epochs=1)
    before = (tmp_path / CHECKPOINT).read_bytes(), (tmp_path / "history.csv").read_bytes()
    broken = build("sasrec")
    loss = broken.loss
    broken.loss = lambda batch, noise, epoch=0.0: {k: v * float("nan") for k, v in loss(batch, noise, epoch).items()}
    with pytest.raises(NonFiniteLoss, match=r"epoch 2, step 3: loss nan.*readers, ids \d"):
        train(broken, data, tmp_path, epochs=3, resume=True)
    assert before == ((tmp_path / CHECKPOINT).read_bytes(), (tmp_path / "history.csv").read_bytes())


def test_an_infinite_gradient_stops_too(data):
    model = build("sasrec")
    model.item_embedding.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NonFiniteLoss, match="epoch 1, step 1"):
        train(model, data)


def test_early_stopping(data):
    model = build("sasrec")
    done = train(model, data, lr=1e-12, epochs=50, patience=3)
    assert done.best_epoch == 1 and len(done.history) == 4


def test_validation_on_some_readers(data):
    done = train(build(), data, epochs=1, val_users=10, val_steps=1)
    assert (done.history["val HR@5"] * 10).item() == pytest.approx(round((done.history["val HR@5"] * 10).item()))


def test_count_models_only_count(data, tmp_path):
    model = models.build("markov", 12)
    done = train(model, data, tmp_path)
    assert done.history["val HR@5"].item() > 0.6 and done.best_epoch == 1
    again = models.load(tmp_path)
    history = torch.tensor([[1, 2, 3]])
    assert torch.equal(model.score(history), again.score(history))


def test_the_learning_rate_warms_up_and_decays():
    recipe = Recipe(lr=1.0, warmup=4, lr_decay=0.5, lr_decay_from=2)
    assert [recipe.lr_at(1, step) for step in (1, 2, 4, 9)] == [0.25, 0.5, 1.0, 1.0]
    assert [recipe.lr_at(epoch, 9) for epoch in (2, 3, 4)] == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("setting", [{"epochs": 0}, {"lr": -1.0}, {"lr": float("nan")}, {"optimizer": "sgd"}])
def test_senseless_settings_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        Recipe(**setting)


def test_devices_and_precisions_by_name():
    with pytest.raises(ValueError, match="unknown device"):
        make_accelerator("gpu")
    with pytest.raises(ValueError, match="unknown precision"):
        make_accelerator("cpu", "fp8")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no cuda"):
            make_accelerator("cuda")


def test_bf16_trains_and_leaves_an_ordinary_model(data):
    model = build("sasrec")
    done = train(model, data, precision="bf16", epochs=2)
    assert done.precision == "bf16" and np.isfinite(done.history["loss"]).all()
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert "forward" not in vars(model)  # Accelerate's wrapper is gone


def test_items_are_named_without_the_data_set(data, tmp_path):
    train(build(), data, tmp_path, epochs=1)
    ids, tokens, _ = read_items(tmp_path)
    assert ids["book 3"] == 3 and tokens[3] == "book 3" and len(ids) == 12


def test_the_fingerprint_changes_with_the_data(data):
    items = data.items.clone()
    items[0] = items[0] % 12 + 1
    changed = SequenceDataset("steps", items, data.offsets, data.user_tokens, data.item_tokens)
    assert fingerprint(changed) != fingerprint(data) and len(fingerprint(data)) == 16


# ---------------------------------------------------------------- several processes


@pytest.mark.parametrize("name", ["sasrec", "diffurec", "dcrec"])
def test_the_shares_of_a_batch_add_up_to_the_batch(data, name):
    """With dropout off, the weighted losses of three processes are the loss of one."""
    model = build(name).eval()
    batch = data.train.longest().batch(torch.arange(10), 8)

    class Process(Accelerator):
        def __init__(self, rank, processes):
            self.rank, self.processes = rank, processes

        process_index = property(lambda self: self.rank)
        num_processes = property(lambda self: self.processes)
        device = torch.device("cpu")

    def loss(rank, processes, parts="loss"):
        own, noise, weight = share(batch, model, 7, Process(rank, processes))
        return model(own, noise)[parts] * weight / processes

    whole = loss(0, 1)
    if name == "dcrec":  # prior matching averages over positions; the others over readers
        whole, parts = loss(0, 1, "ranking"), [loss(rank, 3, "ranking") for rank in range(3)]
    else:
        parts = [loss(rank, 3) for rank in range(3)]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)
    assert loss(11, 12).item() == 0  # more processes than rows


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "diffrec_lite", "train", "sasrec", "--dataset", "bookshop", *arguments]


SMALL = ["--set", "d=16", "--set", "blocks=1", "--set", "batch_size=256", "--set", "val_users=100", "--device", "cpu"]
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
        torch.testing.assert_close(one[name], two[name], atol=1e-4, rtol=1e-3)
    curves = [pd.read_csv(tmp_path / folder / "history.csv") for folder in ("one", "two")]
    np.testing.assert_allclose(curves[0]["loss"], curves[1]["loss"], rtol=1e-4)
    assert '"processes": 2' in (tmp_path / "two" / "run.json").read_text()


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
    return Checkpoint.load(checkpoint).epoch if checkpoint.exists() else 0
