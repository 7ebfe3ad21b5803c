"""The plot style: colours that can be told apart, pictures that are the same each time, and alt text everywhere."""

import io
import subprocess
import sys

import matplotlib
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from diffrec_lite.widgets import style

MEANINGS = ("HISTORY", "TARGET", "PREDICTION", "NOISE", "NEUTRAL")


def drawing():
    fig, ax = style.axes()
    ax.plot([0, 1], [1, 0], color=style.TARGET)
    ax.set(xlabel="step t", ylabel="abar_t")
    return fig


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_each_meaning_has_a_colour_of_its_own():
    assert len({getattr(style, name) for name in MEANINGS}) == len(MEANINGS)


@pytest.mark.parametrize("name", [*MEANINGS, "INK"])
def test_every_colour_is_visible_on_white(name):
    # WCAG 2.1 asks 3:1 for graphics; the lightest pair of the palette comes close.
    assert 1.05 / (luminance(getattr(style, name)) + 0.05) > 2.9


def test_the_style_leaves_no_trace():
    before = matplotlib.rcParams["axes.grid"]
    drawing()
    assert matplotlib.rcParams["axes.grid"] == before


def test_a_figure_is_the_same_bytes_each_time():
    assert style.png(drawing()) == style.png(drawing())
    assert style.small_png(drawing()) == style.small_png(drawing())


def test_a_figure_has_the_size_it_says():
    width, height = Image.open(io.BytesIO(style.png(drawing()))).size
    assert (width, height) == tuple(round(side * style.DPI) for side in style.SIZES["wide"])


def test_show_stores_the_description(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    style.show(drawing(), alt="A line falls & ends.")
    picture, caption = shown
    data, metadata = picture._repr_mimebundle_()
    assert data["text/plain"] == "Figure: A line falls & ends."
    assert metadata["image/png"]["alt"] == "A line falls & ends."
    assert "A line falls &amp; ends." in caption._repr_html_()


def test_show_refuses_a_figure_without_description():
    with pytest.raises(ValueError, match="alt"):
        style.show(drawing(), alt=" ")


def test_the_package_imports_no_plots():
    code = "import diffrec_lite, sys; sys.exit(any(m in sys.modules for m in ('matplotlib', 'ipywidgets')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
