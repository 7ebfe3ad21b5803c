"""An explorer from two pure functions: one draws a state, one says in words what there is to see.

    from diffrec_lite.widgets.explorer import choice, explorer, slider

    def draw(step, schedule):            # -> matplotlib Figure
        ...

    def readout(step, schedule):         # -> a few words with the numbers that matter
        return f"step {step}: abar = {abar[step]:.3f}"

    explorer(
        draw,
        readout,
        title="What is left of a book's vector",
        alt="A cloud of item vectors at one step of the forward process.",
        step=slider("Step t", range(0, 33, 2)),
        schedule=choice("Schedule", ["cosine", "trunc_lin"]),
    )

Every combination is drawn once, when the explorer is made. The pictures travel to the page, so a control answers at
once, nothing flickers, and it all goes on working when the kernel has stopped and in an exported page. The price is
one drawing, some 0.1 s and 15 kB, for each combination: keep to about 60.

A test calls `draw` and `readout` directly, or reads `explorer(...).frame(step=4, schedule="cosine")`.

An explorer with a page of its own is a `Board`: data, a `question`, and a script that draws with `marks.js`.
"""

from __future__ import annotations

import base64
import io
import itertools
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from matplotlib.figure import Figure

from diffrec_lite.widgets import style

MOST_STATES = 300
STILL = "A still picture. Run this cell to move it."
CSS = (Path(__file__).parent / "explorer.css").read_text(encoding="utf-8")  # what all explorers look like
MARKS = (Path(__file__).parent / "marks.js").read_text(encoding="utf-8")  # what all explorers are drawn with


def script(path: Path) -> str:
    """The module of an explorer: its own file, after the helpers of `marks.js`, with which it draws."""
    return MARKS + "\n" + path.read_text(encoding="utf-8")


class StandIn:
    """For a widget: a description that is the same each time, and a picture where no widget can be shown.

    GitHub, an untrusted notebook and a page without JavaScript show the picture, with a line below it that says how to
    get the explorer. A subclass sets the trait `alt` and writes `picture() -> bytes`, a PNG.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.alt}"

    def picture(self) -> bytes:
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        image = base64.b64encode(_with_line(self.picture(), STILL)).decode()
        described = {**metadata, "image/png": {"alt": self.alt}}
        return {**data, "text/plain": repr(self), "image/png": image}, described


def _with_line(picture: bytes, text: str) -> bytes:
    """A PNG with a line of text below it; one with a palette keeps to a palette."""
    from matplotlib.font_manager import findfont
    from PIL import Image, ImageDraw, ImageFont

    above = Image.open(io.BytesIO(picture))
    image = Image.new("RGB", (above.width, above.height + 26), "white")
    image.paste(above.convert("RGB"))
    font = ImageFont.truetype(findfont("DejaVu Sans"), 13)
    ImageDraw.Draw(image).text((8, above.height + 4), text, fill=style.INK, font=font)
    if above.mode == "P":
        image = image.quantize(64, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def question(text: str, options: Sequence[str], right: int, told: str) -> dict[str, Any]:
    """A question that is asked before an explorer is touched: `options` to click, the index of the right one.

    `told` is the answer in a sentence; it shows once an option has been clicked. Raises ValueError for fewer than two
    options, or a right one that is not among them.
    """
    if len(options) < 2 or not 0 <= right < len(options):
        raise ValueError(f"a question needs two options and a right one among them, got {len(options)} and {right}")
    return {"text": text, "options": list(options), "right": right, "told": told}


class Board(StandIn, anywidget.AnyWidget):
    """An explorer with a page of its own, drawn from `data` by the module in `_esm`, which a subclass sets by `script`.

    All data travel to the page, so it works without a kernel. `ask` is a `question`, and `guess` the option that was
    clicked, -1 before.
    """

    _css = CSS

    alt = traitlets.Unicode().tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    ask = traitlets.Dict().tag(sync=True)
    guess = traitlets.Int(-1).tag(sync=True)

    def __repr__(self) -> str:
        return f"Explorer: {self.alt}"


@dataclass(frozen=True)
class Control:
    """One control: its label, the values it can take, how each is written, and the index of the first one shown."""

    kind: str
    label: str
    values: tuple
    texts: tuple[str, ...]
    start: int


def slider(label: str, values: Iterable, start: Any = None, texts: Sequence[str] | None = None) -> Control:
    """A slider over `values`, in their order. Arrow keys move it; Home and End go to its ends."""
    return _control("slider", label, values, start, texts)


def choice(label: str, values: Iterable, start: Any = None, texts: Sequence[str] | None = None) -> Control:
    """A drop-down list of `values`."""
    return _control("choice", label, values, start, texts)


def _control(kind: str, label: str, values: Iterable, start: Any, texts: Sequence[str] | None) -> Control:
    values = tuple(values)
    if not values:
        raise ValueError(f"control {label!r} has no values to choose from")
    if start is not None and start not in values:
        raise ValueError(f"control {label!r} cannot start at {start!r}: it is not among its values")
    texts = tuple(str(value) for value in values) if texts is None else tuple(texts)
    if len(texts) != len(values):
        raise ValueError(f"control {label!r} has {len(values)} values but {len(texts)} texts")
    return Control(kind, label, values, texts, 0 if start is None else values.index(start))


class Explorer(StandIn, anywidget.AnyWidget):
    """Controls, a picture and a line of text over precomputed states. Made by `explorer`.

    `state` holds the index of each control's value; setting it moves the controls on the page.
    """

    _esm = script(Path(__file__).parent / "explorer.js")
    _css = CSS

    title = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    controls = traitlets.List().tag(sync=True)
    size = traitlets.List().tag(sync=True)
    pictures = traitlets.List().tag(sync=True)
    readouts = traitlets.List().tag(sync=True)
    state = traitlets.List().tag(sync=True)

    def __init__(self, names: dict[str, Control], **traits: Any) -> None:
        self.names = names
        super().__init__(**traits)

    def index(self, **values: Any) -> int:
        """The place of a state in `pictures` and `readouts`; a control that is not named stays where it is."""
        place = 0
        for at, (name, control) in zip(self.state, self.names.items(), strict=True):
            at = control.values.index(values[name]) if name in values else at
            place = place * len(control.values) + at
        return place

    def frame(self, **values: Any) -> tuple[bytes, str]:
        """The picture (a PNG) and the readout of a state."""
        place = self.index(**values)
        return base64.b64decode(self.pictures[place]), self.readouts[place]

    def picture(self) -> bytes:
        return self.frame()[0]


def explorer(
    draw: Callable[..., Figure],
    readout: Callable[..., str],
    *,
    title: str,
    alt: str,
    dpi: int = 90,
    **controls: Control,
) -> Explorer:
    """Make an Explorer: `draw(**state)` and `readout(**state)` are called once for each combination of values.

    The names of the controls are the argument names of both functions. `alt` describes the picture in one sentence;
    the readout completes it for each state. Raises ValueError for no controls, too many states, or a missing alt.
    """
    if not alt.strip():
        raise ValueError("an explorer needs alt: one sentence that says what its picture shows")
    states = [
        dict(zip(controls, values, strict=True)) for values in itertools.product(*(c.values for c in controls.values()))
    ]
    if not controls or len(states) > MOST_STATES:
        raise ValueError(f"an explorer needs 1 … {MOST_STATES} states, these controls make {len(states)}")
    pictures = [style.small_png(draw(**state), dpi) for state in states]
    return Explorer(
        controls,
        title=title,
        alt=alt,
        controls=[{"kind": c.kind, "label": c.label, "texts": list(c.texts)} for c in controls.values()],
        size=list(struct.unpack(">II", pictures[0][16:24])),  # where a PNG keeps its width and height
        pictures=[base64.b64encode(picture).decode() for picture in pictures],
        readouts=[readout(**state) for state in states],
        state=[c.start for c in controls.values()],
    )
