"""What all explorers share: a question, a stable description, and a picture where no page can be shown."""

import base64
import io

import pytest
from PIL import Image, ImageChops

from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import STILL, Board, chosen, question, script


def drawing():
    fig, ax = style.axes(size="small")
    ax.bar([0], [1], color=style.TARGET)
    return fig


class Bars(Board):
    _esm = "export default { render() {} }"

    def picture(self):
        return style.small_png(drawing()) if self.data.get("small") else style.png(drawing())


def decoded(png):
    return Image.open(io.BytesIO(png))


@pytest.mark.parametrize("small", [True, False])
def test_the_picture_stands_in_for_the_widget_and_says_what_it_is(small):
    bars = Bars(alt="One bar.", data={"small": small})
    data, metadata = bars._repr_mimebundle_()
    assert data["text/plain"] == "Explorer: One bar." == repr(Bars(alt="One bar."))
    assert metadata["image/png"]["alt"] == "One bar."
    assert "application/vnd.jupyter.widget-view+json" in data
    stored, picture = decoded(base64.b64decode(data["image/png"])), decoded(bars.picture())
    assert stored.mode == ("P" if small else "RGB")
    stored, picture = stored.convert("RGB"), picture.convert("RGB")
    assert stored.width == picture.width and stored.height > picture.height
    upper = ImageChops.difference(stored.crop((0, 0, *picture.size)), picture)
    assert max(high for _, high in upper.getextrema()) < 40  # a palette may be another, the picture is the same
    line = stored.crop((0, picture.height, *stored.size)).convert("L")
    ink = [x for x in range(line.width) if min(line.getpixel((x, y)) for y in range(line.height)) < 100]
    assert "Run this cell" in STILL and len(ink) > 100 and max(ink) < line.width - 10  # all of it is on the picture


def test_the_line_below_the_picture_names_the_state_and_is_never_cut():
    controls = [{"label": "Reader", "texts": ["2", "5"]}, {"label": "Head", "texts": ["1", "2"]}]
    assert chosen(controls, [1, 0, 7]) == "Reader: 5, Head: 1"

    class Named(Bars):
        def shows(self):
            return "a long name of a state, " * self.data["times"]

    heights = []
    for times in (0, 1, 9):
        bars = Named(alt="One bar.", data={"small": False, "times": times})
        stored = decoded(base64.b64decode(bars._repr_mimebundle_()[0]["image/png"])).convert("L")
        heights.append(stored.height)
        above = decoded(bars.picture()).height
        ink = [
            x for x in range(stored.width) if min(stored.getpixel((x, y)) for y in range(above, stored.height)) < 100
        ]
        assert max(ink) < stored.width - 4
    assert heights[0] <= heights[1] < heights[2]


def test_it_looks_the_same_each_time():
    one, two = (Bars(alt="One bar.", data={"small": True})._repr_mimebundle_()[0] for _ in range(2))
    assert one["image/png"] == two["image/png"]


def test_a_question_is_unanswered_at_first():
    asked = question("Which?", ["this", "that"], 1, "That it is.")
    bars = Bars(alt="One bar.", ask=asked)
    assert bars.guess == -1 and bars.get_state()["ask"] == asked
    assert asked == {"text": "Which?", "options": ["this", "that"], "right": 1, "told": "That it is."}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: question("Which?", ["one"], 0, "One."), "two options"),
        (lambda: question("Which?", ["one", "two"], 2, "None."), "right one"),
    ],
)
def test_a_mistake_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_script_stands_behind_its_helpers(tmp_path):
    (tmp_path / "own.js").write_text("export default { render };")
    whole = script(tmp_path / "own.js")
    assert whole.index("function make(") < whole.index("function askFirst(") < whole.index("export default")
