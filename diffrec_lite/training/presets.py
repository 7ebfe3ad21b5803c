"""Settings by name: "quick", for a first look at the bookshop, and "paper", what the papers print.

A preset is a starting point; `--set key=value` changes any setting of the model or of training (`Recipe`).
"""

from __future__ import annotations

import difflib
from typing import Any

from diffrec_lite.models import MODELS, ModelError
from diffrec_lite.training.recipe import Recipe

# "quick" finishes within two minutes on two CPU cores with the bookshop. Small and strongly regularised, since the
# bookshop is small; few denoising steps, since more do not help (notebook 05).
# "paper" is what each paper prints. SASRec's are ours, and so is what no paper states ("lr_decay").
# Two settings differ from the papers in kind and not in size. Positions: neighbours in a series are read in order, and
# without positions the model cannot see that. The weight of ranking: as published it is 0.2 at most and 0.003 at the
# end, beside two losses that are least when all item vectors are equal, and learning is slow.
SMALL: dict[str, Any] = {
    "d": 32,
    "blocks": 2,
    "heads": 2,
    "T": 16,
    "sampling_steps": 4,
    "item_dropout": 0.2,
    "epochs": 12,
    "lr": 3e-3,
    "val_users": 500,
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {
        "popularity": {},
        "markov": {},
        "sasrec": {"d": 64, "dropout": 0.2, "item_dropout": 0.2, "epochs": 40, "batch_size": 128, "lr": 2e-3},
        "diffurec": {**SMALL, "positions": True},
        "diffurecsys": {**SMALL, "positions": True},
        "dcrec": {**SMALL, "ranking": 20.0, "lambda_schedule": "fix"},
    },
    "paper": {
        "popularity": {},
        "markov": {},
        "sasrec": {
            "d": 128,
            "blocks": 2,
            "heads": 4,
            "max_len": 50,
            "dropout": 0.5,
            "item_dropout": 0.5,
            "epochs": 100,
            "batch_size": 256,
            "patience": 10,
        },
        "diffurec": {
            "d": 128,
            "blocks": 4,
            "heads": 4,
            "T": 32,
            "max_len": 50,
            "dropout": 0.1,
            "item_dropout": 0.3,
            "optimizer": "adam",
            "epochs": 100,
            "batch_size": 512,
            "patience": 5,
        },
        "diffurecsys": {
            "d": 128,
            "blocks": 4,
            "heads": 4,
            "T": 32,
            "max_len": 100,
            "dropout": 0.1,
            "item_dropout": 0.3,
            "optimizer": "adam",
            "weight_decay": 1e-4,
            "epochs": 41,
            "lr_decay_from": 30,
            "lr_decay": 0.8,  # the paper says that it decays, not how much
            "batch_size": 1024,
            "patience": 41,
        },
        "dcrec": {
            "d": 128,
            "blocks": 4,
            "heads": 4,
            "T": 50,
            "max_len": 50,
            "dropout": 0.1,
            "item_dropout": 0.4,
            "optimizer": "adam",
            "lr": 4e-3,
            "epochs": 150,
            "batch_size": 512,
            "patience": 5,
        },
    },
}


def settings(
    model: str, preset: str = "quick", changes: list[str] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of a model and of its training, from a preset and from changes written as "key=value".

    Raises ModelError for an unknown model, preset or key, and for a value of the wrong type.
    """
    model = one_of("model", model, MODELS)
    preset = one_of("preset", preset, PRESETS)
    of_model, of_training = MODELS[model].settings(), Recipe.defaults()
    wanted = dict(PRESETS[preset][model])
    for change in changes or []:
        key, equals, text = change.partition("=")
        if not equals:
            raise ModelError(f"--set needs key=value, got {change!r}")
        key = one_of(f"setting of {model}", key.strip(), [*of_model, *of_training])
        wanted[key] = parse(key, text.strip(), {**of_training, **of_model}[key])
    return (
        {key: value for key, value in wanted.items() if key in of_model},
        {key: value for key, value in wanted.items() if key in of_training},
    )


def parse(key: str, text: str, default: Any) -> Any:
    """A value in the type of its default: parse("d", "64", 128) is 64. "none" stands for None where that is allowed."""
    if isinstance(default, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ModelError(f"{key} must be true or false, got {text!r}")
    if isinstance(default, str):
        return text
    if default is None and text.lower() == "none":
        return None
    kind = float if isinstance(default, float) else int
    try:
        return kind(text)
    except ValueError:
        article = "a number" if kind is float else "a whole number"
        raise ModelError(f"{key} must be {article}, got {text!r}") from None


def one_of(what: str, name: str, choices: Any) -> str:
    """`name` if it is among the choices, else a ModelError that lists them and guesses what was meant."""
    if name in choices:
        return name
    near = difflib.get_close_matches(name, list(choices), n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    raise ModelError(f"unknown {what} {name!r}; {guess}there is {', '.join(sorted(choices))}")
