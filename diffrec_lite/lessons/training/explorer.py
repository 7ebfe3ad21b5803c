"""The explorer of notebook 07: the curves of a run beside those of a healthy one; guess what is wrong, then see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import traitlets

from diffrec_lite.lessons.training import figures
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, Board, script

HEALTHY = "healthy"
# What each patient has, in words: the diagnosis to choose, the sign that tells it from all others, and the cure.
DISEASES = {
    "learning rate x 50": (
        "learning rate far too high",
        "The loss falls in the first epochs and then stays where it is, though there is much left to learn; accuracy "
        "jumps up and down without rising, and the gradient stays long: most likely every step overshoots.",
        "Divide lr by 10 until the loss falls smoothly.",
    ),
    "learning rate / 100": (
        "learning rate far too low",
        "Everything moves in the right direction, smoothly and far too slowly. The gradient starts long: "
        "its longest part, that of the one number for what was read, is hardly learnt yet.",
        "Multiply lr by 10 as long as the loss falls smoothly.",
    ),
    "item vectors drawn at std 1": (
        "item vectors too long at the start",
        "The loss of the first epoch lies far above that of an even guess: the model begins with loud opinions on what "
        "it does not know. It forgets them first, and then it learns as the healthy one did, some epochs late.",
        "Draw the item vectors with a small standard deviation (item_std=0.05).",
    ),
    "no dropout": (
        "no dropout, so it overfits",
        "The loss keeps falling, below that of the healthy run, while accuracy on validation readers has passed its "
        "best epoch and turns down: the training histories are being learnt by heart.",
        "Switch dropout on, or take a smaller model; and keep the best epoch.",
    ),
    "target in the history": (
        "the target stands in its own history",
        "A loss near 0 that no honest model reaches, and an accuracy that never leaves the floor: in use the answer "
        "is not in the history any more, and nothing else was learnt.",
        "Print one example with its titles, history and target, and read it.",
    ),
    "target loud in x_t": (
        "the noised target is too loud (lambda)",
        "The loss falls from epoch to epoch, and accuracy hardly follows: it stays below counting from the first epoch "
        "to the last. The network learns slowly, and later to read the answer off x_t, which in use is pure noise.",
        "Make lambda small again (delta=0.001).",
    ),
}
# The range of each panel and its ticks, from the lowest curve to the highest.
AXES = {
    "loss": ((0.0, 8.0), (0, 2, 4, 6, 8)),
    "val NDCG@10": ((0.0, 0.42), (0, 0.1, 0.2, 0.3, 0.4)),
    "gradient norm": ((0.1, 10.0), (0.1, 0.3, 1, 3, 10)),
}
NARROW = {**AXES, "loss": ((3.0, 6.0), (3, 4, 5, 6)), "gradient norm": ((0.3, 3.0), (0.3, 1, 3))}
NAMES = {"loss": "training loss", "val NDCG@10": "validation NDCG@10", "gradient norm": "gradient norm (log scale)"}


def panels(guides: Mapping[str, tuple[float, str]], axes: Mapping[str, tuple]) -> list[dict[str, Any]]:
    """The three panels, each with an axis that no run changes, and a guide line where `guides` has one."""
    return [
        {
            "name": NAMES[signal],
            "scale": "log" if signal == "gradient norm" else "linear",
            "range": list(axes[signal][0]),
            "ticks": list(axes[signal][1]),
            "guide": _guide(signal, *guides[signal]) if signal in guides else None,
        }
        for signal in figures.SIGNALS
    ]


def _guide(signal: str, value: float, text: str) -> dict[str, Any]:
    """A guide line; its text stands on the side of it where no curve goes."""
    return {"value": value, "text": text, "below": signal != "loss"}


def curves(runs: pd.DataFrame, variant: str) -> list[list[float]]:
    """The curves of a variant, one list a panel; the mean over its seeds."""
    found = figures.of_variant(runs, variant)
    return [[round(value, 4) for value in found[signal]] for signal in figures.SIGNALS]


def clinic(runs: pd.DataFrame, order: Sequence[str], guides: Mapping[str, tuple[float, str]]) -> dict[str, Any]:
    """Patients without their names: all that the explorer shows and says. `order` lists keys of `DISEASES`."""
    first = runs[runs.seed == 0]
    labels = {variant: f"Patient {letter}" for letter, variant in zip("ABCDEFGH", order, strict=False)}
    data = _data("What is wrong with this run?", "Run", first, labels, panels(guides, AXES))
    data["choices"] = [name for name, _, _ in DISEASES.values()]
    for run, variant in zip(data["runs"], order, strict=True):
        run["right"] = list(DISEASES).index(variant)
        run["answers"] = [verdict(variant, guessed) for guessed in DISEASES]
    return data


def switched_off(
    runs: pd.DataFrame, labels: Mapping[str, str], guides: Mapping[str, tuple[float, str]]
) -> dict[str, Any]:
    """One part of the model off, in each of `labels`: what the explorer shows, with nothing to guess."""
    return _data("Switch one part off", "Without", runs, labels, panels(guides, NARROW))


def _data(title: str, pick: str, runs: pd.DataFrame, labels: Mapping[str, str], axes: list) -> dict[str, Any]:
    healthy = curves(runs, HEALTHY)
    each = [{"label": label, "curves": curves(runs, variant)} for variant, label in labels.items()]
    for run in each:
        run["readouts"] = [readout(epoch, run["curves"], healthy) for epoch in range(1, len(healthy[0]) + 1)]
    return {
        "title": title,
        "pick": pick,
        "last": len(healthy[0]),
        "panels": axes,
        "healthy": healthy,
        "runs": each,
        "choices": [],
    }


def readout(epoch: int, own: list[list[float]], healthy: list[list[float]]) -> str:
    """The numbers of one epoch in words, each beside the healthy run's."""
    pairs = [
        f"{name} {a[epoch - 1]:.{n}f} (healthy {b[epoch - 1]:.{n}f})"
        for name, a, b, n in zip(("loss", "NDCG@10", "gradient norm"), own, healthy, (2, 3, 2), strict=True)
    ]
    return f"After epoch {epoch}: {', '.join(pairs)}."


def verdict(disease: str, guessed: str) -> str:
    """The answer to a guess; both are keys of `DISEASES`."""
    name, sign, cure = DISEASES[guessed]
    if guessed == disease:
        return f"Yes: {name}. {sign} Cure: {cure}"
    return f"Not that. With “{name}” you would see this: {sign} Compare, and guess again."


def view(data: Mapping[str, Any], run: int, epochs: int) -> dict[str, Any]:
    """What the panels of one state show: both curves up to epoch `epochs`, and the readout.

    Raises ValueError for a state that the explorer does not have.
    """
    if not (0 <= run < len(data["runs"]) and 1 <= epochs <= data["last"]):
        raise ValueError(f"there is no state with run {run} and {epochs} epochs")
    chosen = data["runs"][run]
    drawn = [
        {**panel, "healthy": healthy[:epochs], "run": own[:epochs]}
        for panel, healthy, own in zip(data["panels"], data["healthy"], chosen["curves"], strict=True)
    ]
    return {
        "label": chosen["label"] if data["choices"] else f"{data['pick']} {chosen['label']}",
        "last": data["last"],
        "panels": drawn,
        "readout": chosen["readouts"][epochs - 1],
    }


class Curves(Board):
    """Three panels on fixed axes, a picker for the run, a slider for the epochs seen so far, and a guess."""

    _esm = script(Path(__file__).with_suffix(".js"))
    _css = CSS + (Path(__file__).parent / "explorer.css").read_text(encoding="utf-8")

    run = traitlets.Int(0).tag(sync=True)
    epochs = traitlets.Int(1).tag(sync=True)

    def picture(self) -> bytes:
        return style.small_png(figures.one_run(view(self.data, self.run, self.epochs)), dpi=100)


def curves_explorer(data: dict[str, Any]) -> Curves:
    """The widget for `clinic(...)` or `switched_off(...)`; it starts with the first run, a patient's at epoch 3."""
    whose = "a sick run" if data["choices"] else "a run with one part of the model switched off"
    alt = f"Three panels, training loss, validation NDCG@10 and gradient norm by epoch: {whose} beside the healthy one."
    return Curves(data=data, epochs=3 if data["choices"] else data["last"], alt=alt)
