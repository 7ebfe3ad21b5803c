"""What all explorers share: a page drawn from data, a question before it, and a picture where no page can be shown.

An explorer is a `Board` with a JavaScript module of its own, which draws with the helpers of `marks.js`:

    class Cloud(Board):
        _esm = script(Path(__file__).with_suffix(".js"))
        alt = traitlets.Unicode("A cloud of item vectors at one step of the forward process.").tag(sync=True)
        t = traitlets.Int(0).tag(sync=True)

        def picture(self) -> bytes:
            return style.png(figures.state(self.data, self.t))

Everything that any state needs is computed once, when the explorer is made, and travels to the page. So a control
answers at once, and it all goes on working when the kernel has stopped and in an exported page.
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from diffrec_lite.widgets import style

STILL = "A still picture{}. Run this cell to move it."
CSS = (Path(__file__).parent / "explorer.css").read_text(encoding="utf-8")  # what all explorers look like
MARKS = (Path(__file__).parent / "marks.js").read_text(encoding="utf-8")  # what all explorers are drawn with


def script(path: Path) -> str:
    """The module of an explorer: its own file, after the helpers of `marks.js`, with which it draws."""
    return MARKS + "\n" + path.read_text(encoding="utf-8")


class StandIn:
    """For a widget: a description that is the same each time, and a picture where no widget can be shown.

    GitHub, an untrusted notebook and a page without JavaScript show the picture, with a line below it that says how to
    get the explorer. A subclass sets the trait `alt` and writes `picture() -> bytes`, a PNG. `shows()` names the state
    that the picture is of, where the picture itself does not.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.alt}"

    def picture(self) -> bytes:
        raise NotImplementedError

    def shows(self) -> str:
        return ""

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        line = STILL.format(f": {shown}" if (shown := self.shows()) else "")
        image = base64.b64encode(_with_line(self.picture(), line)).decode()
        described = {**metadata, "image/png": {"alt": self.alt}}
        return {**data, "text/plain": repr(self), "image/png": image}, described


def _with_line(picture: bytes, text: str) -> bytes:
    """A PNG with a line of text below it, or two where it is narrow; one with a palette keeps to a palette."""
    from matplotlib.font_manager import findfont
    from PIL import Image, ImageDraw, ImageFont

    above = Image.open(io.BytesIO(picture))
    font = ImageFont.truetype(findfont("DejaVu Sans"), 13)
    lines = textwrap.wrap(text, int(len(text) * (above.width - 16) / font.getlength(text)))
    image = Image.new("RGB", (above.width, above.height + 9 + 17 * len(lines)), "white")
    image.paste(above.convert("RGB"))
    ImageDraw.Draw(image).multiline_text((8, above.height + 4), "\n".join(lines), fill=style.INK, font=font)
    if above.mode == "P":
        image = image.quantize(64, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def chosen(controls: Sequence[Mapping[str, Any]], state: Sequence[int]) -> str:
    """What pickers show: "Reader: 2, Head: 1", from their `label` and `texts` and the place that is chosen in each."""
    return ", ".join(f"{each['label']}: {each['texts'][place]}" for each, place in zip(controls, state, strict=False))


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
