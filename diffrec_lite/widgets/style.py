"""The one plot style of the course: colours with a fixed meaning, fixed sizes, and alt text on every figure.

    from diffrec_lite.widgets import style

    def draw():
        fig, ax = style.axes()
        ax.plot(steps, abar, color=style.HISTORY)
        return fig

    style.show(draw(), alt="A falling curve: the signal is gone after 20 of 32 steps.")

The colours come from the palette of Okabe and Ito (2008), which readers with any common colour blindness can tell
apart. The same thing has the same colour in every notebook:

    HISTORY     blue        what a reader has read
    TARGET      vermilion   the true next book
    PREDICTION  green       what the model says
    NOISE       purple      noise, and noised vectors
    NEUTRAL     grey        everything else: the catalogue, a baseline, a guide line

Text and markers carry the meaning a second time, so that no figure depends on colour alone.

Two more things have colours of their own: a model is drawn as `look(name)` says, in every figure, and the genres of the
bookshop are tinted with GENRES, pale enough for the five meanings to stand out on them.
"""

from __future__ import annotations

import base64
import html
import io
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HISTORY = "#0072B2"
TARGET = "#D55E00"
PREDICTION = "#009E73"
NOISE = "#CC79A7"
NEUTRAL = "#8A8A8A"
HIGHLIGHT = "#E69F00"
SKY = "#56B4E9"
INK = "#222222"
GRID = "#E6E6E6"

# A model's colour and marker. Told apart with normal and with colour-blind eyes, and no colour of a meaning among them
# but those of the catalogue (popularity counts it) and of ink.
MODELS = {
    "popularity": (NEUTRAL, "o"),
    "Recent": ("#4B0F00", "h"),
    "Markov": (INK, "X"),
    "Gap": ("#591966", "<"),
    "Ridge": ("#FF527D", ">"),
    "genre clerk": ("#882255", "v"),
    "SASRec": ("#332288", "s"),
    "DiffuRec": ("#5B8DEF", "^"),
    "DiffuRecSys": ("#AA4499", "D"),
    "DCRec": ("#999933", "P"),
    "hybrid": ("#117733", "*"),
    "oracle": ("#4E2FE8", "p"),
}
# Tints for genres, in the order of their names: the "light" scheme of Paul Tol (2021), its orange made a tan.
GENRES = ("#77AADD", "#CDAA7D", "#EEDD88", "#FFAABB", "#44BB99", "#BBCC33", "#99DDFF", "#AAAA00")

# For lines or groups that have no fixed meaning, in this order; black-and-white readers get MARKERS as well.
CYCLE = (HISTORY, HIGHLIGHT, PREDICTION, NOISE, SKY, TARGET, INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Colour maps: values that grow from 0, and values on both sides of 0.
SEQUENTIAL = "cividis"
DIVERGING = "PuOr"

DPI = 110
SIZES = {"wide": (7.6, 3.0), "pair": (7.6, 3.4), "square": (4.2, 4.0), "tall": (7.6, 5.4), "small": (4.6, 2.8)}

RC: dict[str, Any] = {
    "figure.dpi": DPI,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "savefig.dpi": DPI,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": "#666666",
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler('color', {list(CYCLE)})",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "image.cmap": SEQUENTIAL,
}


def use() -> rc_context:
    """The style as a context: `with style.use(): …`. Called alone, it changes nothing after the cell."""
    return rc_context(RC)


def look(model: str) -> dict[str, str]:
    """How a model's line is drawn, in every figure: options for `plot`. Capitals do not count: "sasrec" is SASRec.

    What follows a comma names a variant, such as "hybrid, no diffusion": the same colour and marker, but dashed and
    hollow. Raises ValueError for a model that has no colour yet.
    """
    name, _, variant = model.partition(", ")
    looks = {known.lower(): look for known, look in MODELS.items()}
    if name.lower() not in looks:
        raise ValueError(f"no colour for the model {name!r}: give it one in style.MODELS, beside {', '.join(MODELS)}")
    colour, marker = looks[name.lower()]
    shown = {"color": colour, "marker": marker, "linestyle": "-"}
    return {**shown, "linestyle": "--", "markerfacecolor": "white"} if variant else shown


def axes(rows: int = 1, columns: int = 1, size: str | tuple[float, float] = "wide", **options: Any) -> tuple:
    """A new figure and its axes in the course's style: `(fig, ax)`, or an array of axes when there are several.

    `size` is a name from SIZES or (width, height) in inches; other options go to `Figure.subplots`. The figure
    belongs to no window and to no global state, so nothing has to be closed and nothing is shown twice.
    """
    with use():
        fig = Figure(figsize=SIZES[size] if isinstance(size, str) else size)
        FigureCanvasAgg(fig)
        return fig, fig.subplots(rows, columns, **options)


def png(fig: Figure, dpi: int = DPI) -> bytes:
    """`fig` as a PNG in the course's style, with no date or program version in the file."""
    buffer = io.BytesIO()
    with use():
        fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def small_png(fig: Figure, dpi: int = 80, colours: int = 48) -> bytes:
    """`fig` as a small PNG with a palette: some 10 kB, for explorers that hold many pictures."""
    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png(fig, dpi))).convert("RGB")
    picture.quantize(colours, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


class Picture:
    """A PNG with its description, as Jupyter shows it. `text/plain` is the description: stable, and read aloud."""

    def __init__(self, data: bytes, alt: str) -> None:
        self.data = data
        self.alt = alt

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        image = base64.b64encode(self.data).decode()
        return {"text/plain": repr(self), "image/png": image}, {"image/png": {"alt": self.alt}}


class Caption:
    """The description once more, out of sight: JupyterLab gives images no alt text, but screen readers find this."""

    def __init__(self, alt: str) -> None:
        self.alt = alt

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def _repr_html_(self) -> str:
        hidden = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
        return f'<span class="figure-alt" style="{hidden}">Figure: {html.escape(self.alt)}</span>'


def show(fig: Figure, alt: str) -> None:
    """Show `fig` in a notebook with its description `alt`: one or two sentences that say what there is to see.

    Raises ValueError without a description: a reader who cannot see the figure would be left with nothing.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("show needs alt: one or two sentences that say what the figure shows")
    display(Picture(png(fig), alt))
    display(Caption(alt))
