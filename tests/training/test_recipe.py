"""The settings of training, the presets, and changes written as words."""

import pytest
import torch

from diffrec_lite import models
from diffrec_lite.models.settings import SettingError
from diffrec_lite.training import results
from diffrec_lite.training.recipe import PRESETS, Recipe, parse, settings


def test_the_learning_rate_warms_up_and_decays():
    recipe = Recipe(lr=1.0, warmup=4, lr_decay=0.5, lr_decay_from=2)
    assert [recipe.lr_at(1, step) for step in (1, 2, 4, 9)] == [0.25, 0.5, 1.0, 1.0]
    assert [recipe.lr_at(epoch, 9) for epoch in (2, 3, 4)] == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("setting", [{"epochs": 0}, {"lr": -1.0}, {"lr": float("nan")}, {"optimizer": "sgd"}])
def test_senseless_settings_are_refused(setting):
    with pytest.raises(SettingError, match=next(iter(setting))):
        Recipe(**setting)


@pytest.mark.parametrize("rule", models.COUNTS, ids=lambda kind: kind.__name__.lower())
def test_a_rule_has_no_training_to_set(rule):
    name = rule.__name__.lower()
    assert settings(name) == ({}, {})
    for change in ("epochs=3", "lr=0.1"):
        with pytest.raises(SettingError, match=f"unknown setting of {name} .*there is .*max_len"):
            settings(name, changes=[change])


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_fused_optimizer_takes_the_plain_one_s_steps(name):
    recipe = Recipe(optimizer=name, lr=0.1, weight_decay=0.1)
    plain = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    ours, theirs = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    for model, optimizer in (
        (ours, recipe.make_optimizer(ours)),
        (theirs, plain(theirs.parameters(), lr=0.1, weight_decay=0.1, fused=False)),
    ):
        for step in range(3):
            model(torch.full((1, 3), step + 1.0)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert recipe.make_optimizer(ours).defaults["fused"]
    torch.testing.assert_close(ours.weight, theirs.weight)


@pytest.mark.parametrize(("preset", "model"), [(preset, model) for preset in PRESETS for model in PRESETS[preset]])
def test_every_preset_builds_its_model(model, preset):
    of_model, of_training = settings(model, preset)
    built = models.build(model, 20, **of_model)
    recipe = Recipe(**of_training)
    assert built.num_items == 20 and recipe.batch_size > 0
    assert of_model.keys() | of_training.keys() == PRESETS[preset][model].keys()


@pytest.mark.parametrize("model", PRESETS["narrow"])
def test_the_recorded_narrow_runs_are_those_of_the_preset(model):
    """They were asked for by changes to the preset "repaired"."""
    assert settings(model, "narrow") == settings(model, "repaired", list(results.NARROW))
    of_model, of_training = settings(model, "narrow")
    run = results.find(results.recorded(), "toys", model, "narrow").runs[0]
    assert run["config"].items() >= {**of_model, **of_training}.items()


def test_a_preset_need_not_know_every_model(monkeypatch):
    monkeypatch.setitem(PRESETS, "repaired", {"dcrec": {"d": 8}})
    assert settings("dcrec", "repaired") == ({"d": 8}, {})
    with pytest.raises(SettingError, match="unknown preset of sasrec 'repaired'"):
        settings("sasrec", "repaired")


@pytest.mark.parametrize("model", models.MODELS)
def test_no_setting_belongs_to_a_model_and_to_training(model):
    assert not models.MODELS[model].Settings.defaults().keys() & Recipe.defaults().keys()


def test_the_papers_settings():
    model, training = settings("diffurecsys", "paper")
    wanted = {"d": 128, "max_len": 100, "blocks": 4, "T": 32, "dropout": 0.1, "item_dropout": 0.3}
    assert wanted.items() <= model.items()
    wanted = {"batch_size": 1024, "epochs": 41, "weight_decay": 1e-4, "lr_decay_from": 30, "optimizer": "adam"}
    assert wanted.items() <= training.items()
    model, training = settings("dcrec", "paper")
    assert {"d": 128, "max_len": 50, "blocks": 4, "T": 50, "item_dropout": 0.4}.items() <= model.items()
    assert {"batch_size": 512, "lr": 4e-3, "patience": 5}.items() <= training.items()


def test_changes_have_the_type_of_the_setting():
    changes = ["d=32", "dropout=0", "positions=true", "sampling_steps=none", "schedule=cosine", "lr=1e-2"]
    model, training = settings("diffurec", "quick", [*changes, "val_steps=none"])
    assert model["d"] == 32 and isinstance(model["dropout"], float) and model["positions"] is True
    assert model["sampling_steps"] is None and model["schedule"] == "cosine" and training["lr"] == 0.01
    assert training["val_steps"] is None
    with pytest.raises(SettingError, match="true or false"):
        settings("diffurec", "quick", ["positions=1"])
    with pytest.raises(SettingError, match="whole number"):
        settings("diffurec", "quick", ["sampling_steps=2.5"])
    with pytest.raises(SettingError, match="d must be a whole number"):
        parse("d", "none", "int")
