"""A saved model comes back as it was, and what is not one is refused."""

import json

import pandas as pd
import pytest
import torch
from models.small import ITEMS, make

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, pad
from diffrec_lite.models import MODELS, DiffuRec, DiffuRecSys, ModelError


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
    make("diffurec").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, message in (
        ({"blocks": 3}, "Missing key"),
        ({"blocks": 1}, "Unexpected key"),
        ({"d": 8}, "size mismatch"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(ModelError, match=message):
            DiffuRec.from_pretrained(tmp_path)
