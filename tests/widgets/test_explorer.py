"""An explorer draws every state once, knows which picture belongs to which state, and looks the same each time."""

import base64
import io

import pytest
from PIL import Image, ImageChops

from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import choice, explorer, question, slider


def draw(step, colour):
    fig, ax = style.axes(size=(2, 1.5))
    ax.bar([0], [step], color=colour)
    ax.set_ylim(0, 4)
    return fig


def readout(step, colour):
    return f"{step} in {colour}"


def make(**changes):
    options = {
        "title": "Bars",
        "alt": "One bar.",
        "step": slider("Step t", [1, 2, 4], start=2),
        "colour": choice("Colour", ["red", "blue"], texts=["Red", "Blue"]),
    }
    return explorer(draw, readout, **{**options, **changes})


def test_every_state_is_there_once():
    bars = make()
    assert len(bars.pictures) == len(set(bars.pictures)) == len(bars.readouts) == 6
    assert bars.controls == [
        {"kind": "slider", "label": "Step t", "texts": ["1", "2", "4"]},
        {"kind": "choice", "label": "Colour", "texts": ["Red", "Blue"]},
    ]


def test_a_frame_belongs_to_its_state():
    bars = make()
    picture, text = bars.frame(step=4, colour="blue")
    assert text == "4 in blue"
    assert picture == style.small_png(draw(4, "blue"), 90)
    assert bars.frame()[1] == "2 in red"
    bars.state = [0, 1]
    assert bars.frame()[1] == "1 in blue"


def test_the_size_is_that_of_the_picture():
    bars = make()
    assert tuple(bars.size) == Image.open(io.BytesIO(bars.picture())).size


def test_the_picture_stands_in_for_the_widget():
    bars = make()
    data, metadata = bars._repr_mimebundle_()
    assert data["text/plain"] == "Explorer: One bar." == repr(make())
    stored, picture = (
        Image.open(io.BytesIO(png)).convert("RGB") for png in (base64.b64decode(data["image/png"]), bars.picture())
    )
    assert (stored.width, stored.height) == (picture.width, picture.height + 26)
    upper = ImageChops.difference(stored.crop((0, 0, *picture.size)), picture)
    assert max(high for _, high in upper.getextrema()) < 40  # the palette is another, the picture the same
    line = stored.crop((0, picture.height, *stored.size)).convert("L")
    assert line.getextrema()[0] < 100  # something is written below it
    assert metadata["image/png"]["alt"] == "One bar."
    assert "application/vnd.jupyter.widget-view+json" in data


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make(alt=" "), "alt"),
        (lambda: make(step=slider("Step t", range(400))), "states"),
        (lambda: slider("Step t", []), "no values"),
        (lambda: choice("Colour", ["red"], start="green"), "green"),
        (lambda: choice("Colour", ["red"], texts=[]), "texts"),
        (lambda: question("Which?", ["one"], 0, "One."), "two options"),
        (lambda: question("Which?", ["one", "two"], 2, "None."), "right one"),
    ],
)
def test_a_mistake_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
