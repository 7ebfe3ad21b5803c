"""Build your own shelf: the learner picks books, and trained models recommend in the page itself, without a kernel.

    live([load_checkpoint("diffurecsys"), load_checkpoint("dcrec")], dataset, shelves={"Reader 2": [12, 5, 33]})

The weights travel to the page, where `network.js` walks the reverse process: on the same noise as PyTorch, to the same
scores. `pack` says what is sent, and refuses a model that `network.js` does not know.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import anywidget
import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure

from diffrec_lite.data import SequenceDataset
from diffrec_lite.diffusion import Transition
from diffrec_lite.models import DiffusionRecommender
from diffrec_lite.models.base import ModelError
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, StandIn, script

HERE = Path(__file__).parent
NETWORK = (HERE / "network.js").read_text(encoding="utf-8")
BEST = 5
STEPS = (1, 2, 4, 8, 16, 32)

# What `network.js` does not ask for: sizes that show in the weights, and what acts in training alone.
FREE = {"num_items", "max_len", "d", "blocks", "heads", "T", "schedule", "delta", "sampling_steps", "transition"}
FREE |= {"dropout", "item_dropout", "item_std", "seen_bias"}
FREE_OF = {
    "DiffuRecSys": {"offset_mean", "offset_strength"},
    "DCRec": {"signal", "prior", "denoising", "ranking", "lambda_schedule", "lambda_epochs", "detach_target"}
    | {"share_at_T", "step_for_each", "copies"},
}
# What it does in one way only.
KNOWN_OF: dict[str, dict[str, Any]] = {
    "DiffuRecSys": {
        "samples": 1,
        "positions": True,
        "input_norm": False,
        "cross_attention": "efficient",
        "residual": True,
        "mask_rows": False,
        "only_last_block": False,
        "key_softmax_over_heads": False,
        "query_from_target": False,
    },
    "DCRec": {
        "samples": 1,
        "implicit": True,
        "explicit": True,
        "cond_ln": True,
        "noise_on": "sequence",
        "rounding_by": "inner",
        "mask_rows": False,
        "delta_in_training": False,
        "stream": "guess",
        "slot": True,
        "positions": "after",
        "project": False,
        "causal": False,
    },
}


def pack(model: DiffusionRecommender) -> dict[str, Any]:
    """A model as plain data: its settings, abar_0 … abar_T, and each weight by name, its shape and float32 in base64.

    Raises ModelError for a model, or for a setting of it, that `network.js` does not know.
    """
    settings = model.config
    name = settings["model"]
    if name not in KNOWN_OF:
        raise ModelError(f"network.js knows {' and '.join(KNOWN_OF)}, not {name}")
    for setting, value in settings.items():
        if setting == "model" or setting in FREE | FREE_OF[name]:
            continue
        if setting not in KNOWN_OF[name]:
            raise ModelError(f"network.js has no {setting} for {name}: write it there, then name it in live.py")
        if value != (known := KNOWN_OF[name][setting]):
            raise ModelError(f"network.js knows {name} with {setting}={known!r} only; this one has {setting}={value!r}")
    return {
        "settings": {**settings, "sampling_steps": model.sampling_steps},
        "abar": model.diffusion.abar.tolist(),
        "weights": {part: _coded(weight) for part, weight in model.state_dict().items()},
    }


def _coded(weight: torch.Tensor) -> dict[str, Any]:
    numbers = weight.detach().cpu().numpy().astype("<f4")
    return {"shape": list(numbers.shape), "data": base64.b64encode(np.ascontiguousarray(numbers)).decode()}


@torch.inference_mode()
def answers(
    model: DiffusionRecommender, shelf: Sequence[int], steps: int, seed: int = 0, transition: str | None = None
) -> list[dict[str, Any]]:
    """What PyTorch says to a shelf at each state from t = T to 0: `t`, and the five `best` items with their `scores`.

    At t = T there is no prediction yet, and the items are those that the noise itself is nearest to.
    """
    history = torch.tensor([list(shelf)])
    states = []
    for t, xt, x0_hat in model.trajectory(history, steps, seed, transition=transition):
        scores = model.rounding(xt if x0_hat is None else x0_hat, history[:, -model.max_len :])[0]
        best = scores.topk(min(BEST, model.num_items))
        states.append({"t": t, "best": best.indices.tolist(), "scores": best.values.tolist()})
    return states


def books_of(dataset: SequenceDataset) -> list[dict[str, str]]:
    """The title, genre and series of every item, index = item id; what the data set does not tell is empty."""
    features = dataset.item_features

    def told(column: str, item: int) -> str:
        value = None if features is None or column not in features else features[column].get(item)
        return value if isinstance(value, str) else ""

    empty = {"title": "", "genre": "", "series": ""}
    return [empty] + [
        {"title": dataset.title(item), "genre": told("genre", item), "series": told("series", item)}
        for item in range(1, dataset.num_items + 1)
    ]


class Live(StandIn, anywidget.AnyWidget):
    """The page. Made by `live`. `state` holds what the learner chose; setting it moves the page.

    It has the `shelf` (item ids, oldest first), the noise `seed`, the number of `steps`, the `sampler` ("own" or a
    transition's name) and `at`, the state that is shown: 0 is t = T.
    """

    _esm = NETWORK + "\n" + script(HERE / "live.js")
    _css = CSS + (HERE / "live.css").read_text(encoding="utf-8")

    alt = traitlets.Unicode().tag(sync=True)
    packs = traitlets.List().tag(sync=True)
    books = traitlets.List().tag(sync=True)
    shelves = traitlets.List().tag(sync=True)
    steps = traitlets.List().tag(sync=True)
    samplers = traitlets.List().tag(sync=True)
    seeds = traitlets.Int(10).tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, models: Sequence[DiffusionRecommender], **traits: Any) -> None:
        self.models = list(models)
        super().__init__(packs=[pack(model) for model in models], **traits)

    def picture(self) -> bytes:
        state = self.state
        transition = None if state["sampler"] == "own" else state["sampler"]
        columns = {
            type(model).__name__: answers(model, state["shelf"], state["steps"], state["seed"], transition)[state["at"]]
            for model in self.models
        }
        return style.png(draw([book["title"] for book in self.books], state["shelf"], columns))


def draw(titles: Sequence[str], shelf: Sequence[int], columns: Mapping[str, dict[str, Any]]) -> Figure:
    """A still picture: a column with the last books of the shelf, and one with the five best of each model."""
    fig, axes = style.axes(1, 1 + len(columns), size=(3.4 * (1 + len(columns)), 2.6))
    shown = shelf[-BEST:]
    count = f"the last {len(shown)} of {len(shelf)} books" if len(shown) < len(shelf) else f"{len(shelf)} books"
    _column(axes[0], f"The shelf: {count}", [titles[item] for item in shown], style.HISTORY)
    for ax, (name, answer) in zip(axes[1:], columns.items(), strict=True):
        lines = [f"{rank}  {titles[item]}" for rank, item in enumerate(answer["best"], start=1)]
        _column(ax, f"{name}, t = {answer['t']}", lines, style.PREDICTION)
    return fig


def _column(ax: Any, heading: str, lines: Sequence[str], colour: str) -> None:
    ax.axis("off")
    ax.set(xlim=(0, 1), ylim=(BEST, -0.9))
    ax.text(0, -0.5, heading, weight="bold", va="center")
    for row, line in enumerate(lines):
        ax.plot([0, 0], [row + 0.1, row + 0.9], color=colour, lw=3)
        ax.text(0.03, row + 0.5, "\n".join(textwrap.wrap(line, 34)), va="center", fontsize=8.5)


def live(
    models: Sequence[DiffusionRecommender],
    dataset: SequenceDataset,
    shelves: Mapping[str, Sequence[int]],
    steps: int | None = None,
) -> Live:
    """Trained models at work in the page, on a shelf that the learner builds.

    `shelves` are named samples to begin with, each a list of item ids, oldest first; the first one is shown. `steps`
    is the number of denoising steps at first (default: the first model's own). Raises ModelError for a model that
    `network.js` does not know, ValueError for other data than the models', no shelf, an empty shelf or unknown ids.
    """
    if not models or not shelves:
        raise ValueError("live needs at least one model and one shelf")
    dataset = models[0].numbered(dataset)
    for model in models[1:]:
        if model.numbered(dataset).item_tokens != dataset.item_tokens:
            raise ValueError("the models number their items differently, and cannot share a shelf")
    for name, shelf in shelves.items():
        if not shelf or not all(0 < item <= dataset.num_items for item in shelf):
            raise ValueError(f"shelf {name!r} needs item ids from 1 to {dataset.num_items}, got {list(shelf)}")
    most = min(model.diffusion.T for model in models)
    offered = sorted({*(n for n in STEPS if n < most), most})
    steps = models[0].sampling_steps if steps is None else steps
    if steps not in offered:
        raise ValueError(f"steps must be one of {', '.join(map(str, offered))}, got {steps}")
    names = " and ".join(type(model).__name__ for model in models)
    return Live(
        models,
        alt=f"Build your own shelf: a list of books, and the five books that {names} recommend next after each "
        "denoising step.",
        books=books_of(dataset),
        shelves=[{"name": name, "shelf": [int(item) for item in shelf]} for name, shelf in shelves.items()],
        steps=offered,
        samplers=list(get_args(Transition)),
        colours={"history": style.HISTORY, "prediction": style.PREDICTION, "noise": style.NOISE},
        state={"shelf": list(next(iter(shelves.values()))), "seed": 0, "steps": steps, "sampler": "own", "at": steps},
    )
