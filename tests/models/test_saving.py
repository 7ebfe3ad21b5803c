"""A saved model comes back as it was, and what is not one is refused."""

import json
import os

import pandas as pd
import pytest
import torch
from models.small import ITEMS, make

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, pad
from diffrec_lite.models import MODELS, DiffuRec, DiffuRecSys, ModelError
from diffrec_lite.models.packed import PackError, about, pack, unpack


@pytest.mark.parametrize("name", list(MODELS))
def test_a_saved_model_gives_the_same_scores(name, histories, tmp_path):
    model = make(name)
    if model.learns_from == "counts":
        log = pd.DataFrame({"user": 0, "item": range(1, ITEMS + 1), "timestamp": range(ITEMS)})
        model.fit_counts(SequenceDataset.from_log(log, name="toy"))
    model.save_pretrained(tmp_path)
    loaded = models.load(tmp_path)
    assert type(loaded) is type(model) and not loaded.training
    assert torch.equal(loaded.score(pad(histories)), model.score(pad(histories)))
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".md") == [
        "config.json",
        "model.safetensors",
    ]


def test_loading_refuses_what_is_not_a_model(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        models.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        models.load(tmp_path)
    for nothing in ("[]", "{}", '{"num_items": 30}'):
        (tmp_path / "config.json").write_text(nothing)
        with pytest.raises(ModelError, match="does not name its model"):
            models.load(tmp_path)
    (tmp_path / "config.json").write_text('{"model": "Oracle", "num_items": 30}')
    with pytest.raises(ModelError, match="unknown model 'oracle'; this version knows popularity"):
        models.load(tmp_path)
    make("sasrec").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.load(tmp_path)
    make("diffurec").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="holds a DiffuRec, not a DiffuRecSys"):
        DiffuRecSys.from_pretrained(tmp_path)


def test_loading_is_strict(tmp_path):
    model = make("diffurec")
    for change, message in (
        ({"blocks": 3}, "Missing key"),
        ({"blocks": 1}, "Unexpected key"),
        ({"d": 8}, "size mismatch"),
    ):
        config = {**model.config, **change}
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "model.safetensors").write_bytes(pack(model.state_dict(), {"config": config}))
        with pytest.raises(ModelError, match=message):
            DiffuRec.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [lambda x: x[None], lambda x: x.to(torch.complex64), lambda x: x.float() if x.dtype == torch.long else x[0]],
)
def test_counts_whose_size_the_file_decides_are_tensors_of_the_right_kind(changed, tmp_path):
    model = make("markov")
    log = pd.DataFrame({"user": 0, "item": range(1, ITEMS + 1), "timestamp": range(ITEMS)})
    model.fit_counts(SequenceDataset.from_log(log, name="toy"))
    model.save_pretrained(tmp_path)
    for name, tensor in model.state_dict().items():
        about = {"config": model.config}
        (tmp_path / "model.safetensors").write_bytes(pack({**model.state_dict(), name: changed(tensor)}, about))
        with pytest.raises(ModelError, match=f"{name}"):
            models.load(tmp_path)


def test_a_config_that_the_weights_were_not_made_with_is_refused(tmp_path):
    """Another number of steps or heads would load, and only give other scores."""
    model = make("diffurec")
    model.save_pretrained(tmp_path)
    for name, value in (("T", 16), ("heads", 1), ("max_len", 3)):
        (tmp_path / "config.json").write_text(json.dumps({**model.config, name: value}))
        with pytest.raises(ModelError, match=f"made with {name} {model.config[name]}, but config.json beside it"):
            models.load(tmp_path)
    (tmp_path / "config.json").unlink()
    assert models.load(tmp_path).config == model.config
    assert DiffuRec.from_pretrained(tmp_path, sampling_steps=3).sampling_steps == 3  # asked for, and so no mistake


@pytest.mark.parametrize("change", [0, 1, 2, 3])
def test_saving_over_another_model_leaves_one_or_the_other_whatever_stops_it(change, tmp_path, monkeypatch):
    old, new = make("sasrec"), make("gru4rec")
    old.save_pretrained(tmp_path)
    calls, replace, fsync = [], os.replace, os.fsync

    def stops(function):
        def counted(*arguments):
            calls.append(function)
            if len(calls) == change + 1:
                raise OSError(28, "No space left on device")
            return function(*arguments)

        return counted

    monkeypatch.setattr(os, "replace", stops(replace))
    monkeypatch.setattr(os, "fsync", stops(fsync))
    with pytest.raises(OSError, match="space"):
        new.save_pretrained(tmp_path)
    assert len(calls) == change + 1
    found = models.load(tmp_path)
    assert found.config in (old.config, new.config)
    whole = {"SASRec": old, "GRU4Rec": new}[type(found).__name__].state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in found.state_dict().items())
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")]


# ---------------------------------------------------------------- the checksum


def test_no_changed_bit_is_read(tmp_path):
    """What it is about might look like a checksum itself, and a damaged one must not pass for none."""
    deceptive = {"titles": ['\\"sha256\\": \\"' + "0" * 64, '"sha256": "' + "1" * 64], "config": {"d": 16}}
    data = pack({"weight": torch.arange(6.0), "bias": torch.zeros(2)}, deceptive)
    path = tmp_path / "file"
    path.write_bytes(data)
    assert unpack(path)[0] == about(path) == deceptive
    assert pack({"weight": torch.arange(6.0), "bias": torch.zeros(2)}, deceptive) == data
    read = []
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            read.append((data[place - 1 : place + 1], unpack(path)[1]["weight"].tolist()))
        except PackError:
            continue
    # Only where the name of the checksum is damaged, and then nothing else is.
    assert len(read) == len("sha256") and all(weight == [0, 1, 2, 3, 4, 5] for _, weight in read)
