"""The trajectory player: the reverse process of a diffusion recommender, played step by step for one reader.

`Player` shows two or more chains of `trajectories.py` side by side, on the same noise: each in its plane of books, and
as curves of rank and distance against t. Everything is computed before it is shown: no kernel and no network is asked.

    data = trajectory_data(load_checkpoint("dcrec"), load("bookshop"), readers=[3, 8], steps=[50, 5], seeds=[0, 1])
    player(data, panels=[(data.name, 50), (data.name, 5)])

The page is drawn by `player.js`. What a panel holds has files of its own: `player_plane.js`, `player_curves.js` and
`player_books.js`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, StandIn, script
from diffrec_lite.widgets.still import draw
from diffrec_lite.widgets.trajectories import Trajectories, frame, span

HERE = Path(__file__).parent
PARTS = "\n".join((HERE / f"player_{part}.js").read_text(encoding="utf-8") for part in ("books", "plane", "curves"))


class Player(StandIn, anywidget.AnyWidget):
    """The player as a widget. Made by `player`.

    `state` holds what the controls show: `reader` and `seed` (places in the lists), `t` (the clock) and, for each
    panel, `source` (place in `sources`) and `steps` (place in its list). Setting it moves the page. `guides` are the
    buttons that set a part of it: a text for each, and the part.
    """

    _esm = PARTS + "\n" + script(HERE / "player.js")
    _css = CSS + (HERE / "player.css").read_text(encoding="utf-8")

    alt = traitlets.Unicode().tag(sync=True)
    sources = traitlets.List().tag(sync=True)
    frames = traitlets.List().tag(sync=True)
    span = traitlets.List().tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)
    guides = traitlets.List().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, trajectories: Sequence[Trajectories], **traits: Any) -> None:
        self.trajectories = list(trajectories)
        super().__init__(
            sources=[asdict(data) for data in trajectories],
            frames=[list(frame(data)) for data in trajectories],
            span=list(span(trajectories)),
            **traits,
        )

    def picture(self) -> bytes:
        chains = [
            (self.trajectories[panel["source"]], self.trajectories[panel["source"]].steps[panel["steps"]])
            for panel in self.state["panels"]
        ]
        return style.png(draw(chains, self.state["reader"], self.trajectories[0].seeds[self.state["seed"]]))

    def shows(self) -> str:
        return f"reader {self.trajectories[0].readers[self.state['reader']]['user']}, at the end of the walk"


def player(
    *trajectories: Trajectories,
    panels: Sequence[tuple[str, int]] | None = None,
    more: Sequence[tuple[str, int, Sequence[tuple[str, int]]]] = (),
) -> Player:
    """A player over one or more `Trajectories` of the same readers and seeds.

    `panels` lists, from left to right, (name, number of steps); the default is the full and the shortest chain of the
    first. Four buttons show them at t = T, after the first move of the leftmost panel, at a quarter of T, and at the
    end; `more` adds others: (text, t, panels). Raises ValueError when the trajectories differ in readers, seeds or T,
    or a panel names what is not there.
    """
    first = trajectories[0]
    for other in trajectories[1:]:
        if other.readers != first.readers or other.seeds != first.seeds:
            raise ValueError(f"{first.name} and {other.name} cannot share a player: their readers or seeds differ")
        if other.T != first.T:
            raise ValueError(f"{first.name} has {first.T} steps and {other.name} {other.T}; a player has one clock")
    names = [data.name for data in trajectories]
    if len(set(names)) != len(names):
        raise ValueError(f"trajectories need names of their own, got {', '.join(names)}")
    if panels is None:
        panels = [(first.name, first.steps[0]), (first.name, first.steps[-1])]

    def places(panels: Sequence[tuple[str, int]]) -> list[dict[str, int]]:
        found = []
        for name, steps in panels:
            if name not in names or steps not in trajectories[names.index(name)].steps:
                raise ValueError(f"there is no chain {name!r} with {steps} steps to put in a panel")
            source = names.index(name)
            found.append({"source": source, "steps": trajectories[source].steps.index(steps)})
        return found

    start = places(panels)
    moved = trajectories[start[0]["source"]].states(0, panels[0][1])[1]["t"]
    quarter = first.T // 4
    views = [("Pure noise", first.T, panels), ("After one move", moved, panels)]
    views += [(f"Look at t = {quarter}", quarter, panels), ("The end", 0, panels), *more]
    alt = (
        "Trajectory player: "
        + " beside ".join(f"{name} with {steps} step{'s' * (steps != 1)}" for name, steps in panels)
        + ", for one reader, on the same noise. Dots are books, a star is the true next book; a dashed line follows "
        "the noised vector x_t and a solid one the prediction x0_hat as t falls to 0. Below, curves of the true book's "
        "rank and of the distance to it against t."
    )
    return Player(
        trajectories,
        alt=alt,
        colours={
            "history": style.HISTORY,
            "target": style.TARGET,
            "prediction": style.PREDICTION,
            "noise": style.NOISE,
            "ink": style.INK,
        },
        guides=[{"text": text, "part": {"t": t, "panels": places(shown)}} for text, t, shown in views],
        state={"reader": 0, "seed": 0, "t": first.T, "panels": start},
    )
