"""The folder of a run: whose it is, who uses it, what replaces it, and that a kill loses nothing."""

import random
import signal
import subprocess
import sys
from collections import Counter

import kill_runs
import pandas as pd
import pytest
import torch

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset
from diffrec_lite.models.catalogue import Catalogue
from diffrec_lite.models.packed import pack
from diffrec_lite.training import folder as run_folder
from diffrec_lite.training.checkpoint import CHECKPOINT, CheckpointError
from diffrec_lite.training.device import make_accelerator
from diffrec_lite.training.folder import FILES, HOLDER, claimed, is_run
from diffrec_lite.training.loop import NonFiniteLoss
from diffrec_lite.training.recipe import Recipe
from diffrec_lite.training.record import Run
from diffrec_lite.training.run import rehearse
from diffrec_lite.training.run import train as train_run


def train(model, data, out=None, **settings):
    return train_run(
        model, data, out, **{"progress": False, "device": "cpu", "batch_size": 64, "epochs": 1, **settings}
    )


def contents(folder):
    """Every file that a reader of the folder sees."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def popularity(data):
    return models.build("popularity", data.num_items)


def others(data):
    """Data of the same size with other tokens."""
    tokens = ["[PAD]", *(f"plum {i}" for i in range(1, 13))]
    return SequenceDataset("plums", data.items, data.offsets, data.user_tokens, tokens)


# ---------------------------------------------------------------- whose it is


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["history.csv", "config.json", "model.safetensors", "run.json", "items.csv"])
def test_a_users_own_files_are_no_run_and_stay(data, tmp_path, name, overwrite):
    (tmp_path / name).write_text('{"mine": 1}')
    with pytest.raises(CheckpointError, match=f"holds {name}, and no run"):
        train(popularity(data), data, tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == {name: b'{"mine": 1}'} and not is_run(tmp_path)


def test_overwrite_leaves_what_is_not_ours(data, build, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    train(build("sasrec"), data, tmp_path)
    (tmp_path / "notes.txt").write_text("mine too")
    train(popularity(data), data, tmp_path, overwrite=True)
    assert (tmp_path / "README.md").read_text() == "mine" and (tmp_path / "notes.txt").read_text() == "mine too"
    assert {*contents(tmp_path)} == {*FILES, "README.md", "notes.txt"}
    assert models.load(tmp_path).learns_from == "counts" and Run.load(tmp_path).model == "popularity"


@pytest.mark.parametrize("kept", [CHECKPOINT, "model.safetensors", "run.json"])
def test_a_run_is_known_by_each_file_that_only_we_write(data, tmp_path, kept):
    train(popularity(data), data, tmp_path)
    for path in [path for path in tmp_path.iterdir() if path.name != kept]:
        path.unlink()
    assert is_run(tmp_path)
    with pytest.raises(CheckpointError, match="already holds a run"):
        train(popularity(data), data, tmp_path)


def test_resume_without_a_checkpoint_replaces_nothing(data, build, tmp_path):
    train(popularity(data), data, tmp_path)
    (tmp_path / CHECKPOINT).unlink()
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint.safetensors to go on from"):
        train(build("sasrec"), data, tmp_path, resume=True)
    assert contents(tmp_path) == before


def test_resume_refuses_another_model_and_other_data_by_name(data, build, tmp_path):
    train(popularity(data), data, tmp_path)
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match="model was 'Popularity', is 'Markov'"):
        train(models.build("markov", 12), data, tmp_path, resume=True)
    with pytest.raises(CheckpointError, match=r"another run: plums has other items .*'book 1' .*'plum 1'"):
        train(popularity(data), others(data), tmp_path, resume=True)
    fewer = SequenceDataset("steps", data.items[:-1], data.offsets.clamp(max=len(data.items) - 1), *tokens_of(data))
    with pytest.raises(CheckpointError, match="data was"):
        train(popularity(data), fewer, tmp_path, resume=True)
    assert contents(tmp_path) == before


def tokens_of(data):
    return data.user_tokens, data.item_tokens


def test_resume_maps_another_order_of_the_items(data, build, tmp_path):
    new = torch.cat([torch.zeros(1, dtype=torch.long), 12 - torch.arange(12)])
    names = ["[PAD]", *data.item_tokens[:0:-1]]
    mirrored = SequenceDataset(data.name, new[data.items], data.offsets, data.user_tokens, names)
    train(build("sasrec"), data, tmp_path / "a", epochs=2)
    train(build("sasrec"), data, tmp_path / "b", epochs=1)
    train(build("sasrec"), mirrored, tmp_path / "b", epochs=2, resume=True)
    assert contents(tmp_path / "a")["model.safetensors"] == contents(tmp_path / "b")["model.safetensors"]


# ---------------------------------------------------------------- everything is checked first, and replaced last


def too_short():
    log = pd.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 3], "timestamp": range(4)})
    return SequenceDataset.from_log(log, "pairs")


def test_a_run_that_cannot_be_trained_leaves_the_old_one(data, build, tmp_path):
    train(popularity(data), data, tmp_path)
    before = contents(tmp_path)
    broken = build("sasrec")
    steps = []
    for model, dataset, settings, message in (
        (popularity(too_short()), too_short(), {}, "three interactions"),
        (models.build("sasrec", 3, d=8, heads=2), too_short(), {}, "three interactions"),
        (build("diffurec"), data, {"val_steps": 999}, r"1 … 4"),
    ):
        model.register_forward_pre_hook(lambda *_: steps.append(1))
        with pytest.raises(ValueError, match=message):
            train(model, dataset, tmp_path, overwrite=True, **settings)
    assert not steps, "a step was trained before a setting was found wrong"
    weight = next(broken.parameters())
    broken.loss = lambda *_: {"loss": weight.sum() * float("nan")}
    with pytest.raises(NonFiniteLoss):
        train(broken, data, tmp_path, overwrite=True)
    assert contents(tmp_path) == before


def test_a_rehearsal_takes_a_step_and_leaves_no_trace(data, build, weights, monkeypatch):
    model, calls = build("sasrec"), []
    before, state = weights(model).clone(), torch.random.get_rng_state()
    loss = type(model).loss

    def counted(self, batch, noise, epoch=0.0):
        calls.append(len(batch.users))
        return loss(self, batch, noise, epoch)

    monkeypatch.setattr(type(model), "loss", counted)
    rehearse(model, data, Recipe(batch_size=16), "fp32")
    assert calls == [16] and torch.equal(weights(model), before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


# ---------------------------------------------------------------- who uses it


def test_a_folder_in_use_is_refused_and_says_who_has_it(data, tmp_path):
    program = (
        "import sys, time\nfrom diffrec_lite.training.device import make_accelerator\n"
        "from diffrec_lite.training.folder import claimed\n"
        "with claimed(sys.argv[1], False, False, make_accelerator('cpu')):\n"
        "    print('mine', flush=True)\n    time.sleep(99)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(CheckpointError, match=rf"in use by process {other.pid} on .* since 20..-.*remove .*\.lock"):
            train(popularity(data), data, tmp_path)
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert (tmp_path / HOLDER).exists()  # the dead can't tidy up, and their folder is free all the same
    train(popularity(data), data, tmp_path)
    assert is_run(tmp_path) and not (tmp_path / HOLDER).exists()


def test_a_folder_is_free_again_after_an_error(tmp_path):
    accelerator = make_accelerator("cpu")
    with pytest.raises(RuntimeError, match="mine"), claimed(tmp_path, False, False, accelerator):
        raise RuntimeError("mine")
    with claimed(tmp_path, False, False, accelerator) as folder:
        assert folder == tmp_path


def test_a_stale_record_goes_and_a_true_one_stays(data, build, tmp_path):
    train(build("sasrec"), data, tmp_path / "a", epochs=2)
    train(build("sasrec"), data, tmp_path / "b", epochs=1)
    stale = (tmp_path / "b" / "run.json").read_bytes()
    (tmp_path / "a" / "run.json").write_bytes(stale)  # as a kill leaves it, right after the checkpoint was replaced
    train(build("sasrec"), data, tmp_path / "a", epochs=2, resume=True)
    assert len(Run.load(tmp_path / "a").history) == 2
    state = run_folder.Progress.load(tmp_path / "a" / CHECKPOINT)
    model = models.load(tmp_path / "a")
    assert model.catalogue == Catalogue.of(data)
    before = (tmp_path / "a" / "run.json").read_bytes()
    run_folder.mend(state, model, tmp_path / "a")
    assert (tmp_path / "a" / "run.json").read_bytes() == before
    (tmp_path / "a" / "run.json").write_bytes(stale)
    run_folder.mend(state, model, tmp_path / "a")
    assert not (tmp_path / "a" / "run.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": []}, "does not name its items, for an older version wrote it; --overwrite trains anew"),
        ({"epoch": "two"}, "epoch cannot be 'two'"),
        ({"history": None}, "history cannot be None"),
        ({"unknown": 1}, "not a checkpoint of this version"),
        ({"weights": {}}, "(?s)does not fit this version of diffrec-lite .*Missing key"),
        ({"best": {}}, "(?s)does not fit this version of diffrec-lite .*Missing key"),
        ({"optimizer": {"elsewhere/step": torch.zeros(())}}, "does not fit this version of diffrec-lite"),
    ],
)
def test_a_checkpoint_of_another_version_is_refused_in_words(data, build, tmp_path, change, message):
    train(build("sasrec"), data, tmp_path)
    tensors, about = {}, {}
    state = run_folder.Progress.load(tmp_path / CHECKPOINT)
    for name, value in {**vars(state), **change}.items():
        if name in state.GROUPS:
            tensors |= {f"{name}|{key}": x for key, x in value.items()}
        else:
            about[name] = value
    (tmp_path / CHECKPOINT).write_bytes(pack(tensors, about))
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        train(build("sasrec"), data, tmp_path, resume=True, epochs=2)
    assert contents(tmp_path) == before


# ---------------------------------------------------------------- kills


@pytest.mark.skipif(sys.platform == "win32", reason="no fork and no SIGKILL")
def test_twenty_kills_lose_nothing(tmp_path):
    killer, dice = kill_runs.Killer(tmp_path), random.Random(0)
    found = Counter(
        killer.kill(
            kill_runs.KINDS[i % 3], **({"change": dice.randrange(100)} if i % 4 else {"after": dice.random() / 4})
        )
        for i in range(20)
    )
    assert found["older"] and found["newer"], "all kills came too early, or too late"
