"""The plot style: colours that can be told apart, pictures that are the same each time, and alt text everywhere."""

import io
import itertools
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from diffrec_lite.data.shipped import shipped
from diffrec_lite.models import COUNTS
from diffrec_lite.widgets import style

MEANINGS = ("HISTORY", "TARGET", "PREDICTION", "NOISE", "NEUTRAL")
ROOT = Path(__file__).parents[2]
# Two linear maps of light, after Machado et al. (2009): as it is, and as an eye without its green receptor sees it.
SIGHTS = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def drawing():
    fig, ax = style.axes()
    ax.plot([0, 1], [1, 0], color=style.TARGET)
    ax.set(xlabel="step t", ylabel="abar_t")
    return fig


def light(colour):
    return np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)])


def luminance(colour):
    return float(np.array([0.2126, 0.7152, 0.0722]) @ light(colour))


def lab(colour, sight):
    """CIE L*a*b* under D65: distances in it are about as large as differences look, and 2.3 is just noticeable."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x = to_xyz @ np.clip(SIGHTS[sight] @ light(colour), 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_each_meaning_has_a_colour_of_its_own():
    assert len({getattr(style, name) for name in MEANINGS}) == len(MEANINGS)


@pytest.mark.parametrize("name", [*MEANINGS, "INK"])
def test_every_colour_is_visible_on_white(name):
    # WCAG 2.1 asks 3:1 for graphics; the lightest pair of the palette comes close.
    assert 1.05 / (luminance(getattr(style, name)) + 0.05) > 2.9


@pytest.mark.parametrize("sight", SIGHTS)
def test_models_are_told_apart_by_colour_and_by_marker(sight):
    for (one, (colour, marker)), (other, (colour_2, marker_2)) in itertools.combinations(style.MODELS.items(), 2):
        assert np.linalg.norm(lab(colour, sight) - lab(colour_2, sight)) > 20, (one, other)
        assert marker != marker_2


@pytest.mark.parametrize("name", style.MODELS)
def test_a_model_is_visible_and_takes_no_colour_of_a_meaning(name):
    colour, _ = style.MODELS[name]
    assert 1.05 / (luminance(colour) + 0.05) > 2.9
    assert colour not in {style.HISTORY, style.TARGET, style.PREDICTION, style.NOISE, style.HIGHLIGHT, style.SKY}


def test_a_variant_looks_like_its_model_but_hollow():
    whole, variant = style.look("hybrid"), style.look("hybrid, no diffusion")
    assert (whole["color"], whole["marker"]) == (variant["color"], variant["marker"])
    assert whole["linestyle"] != variant["linestyle"] and variant["markerfacecolor"] == "white"


@pytest.mark.parametrize(
    "name", [*(model.__name__ for model in COUNTS), *(path.name for path in shipped("checkpoints").iterdir())]
)
def test_every_counting_rule_and_every_shipped_model_has_a_look(name):
    assert style.look(name) == style.look(name.lower())


def test_a_model_without_a_colour_is_refused():
    with pytest.raises(ValueError, match="no colour for the model 'GPT'"):
        style.look("GPT")


def test_the_colours_of_models_stand_in_one_file():
    """No other file pairs a model's name with a colour: figures and explorers ask `style.look`."""
    name = "|".join(map(re.escape, style.MODELS))
    pair = re.compile(rf"""["'`]?\b(?i:{name})\b["'`]?\s*[:=,]\s*(\(?\s*style\.[A-Z]+|["']#[0-9A-Fa-f]{{6}})""")
    files = [path for end in ("py", "js", "css") for path in (ROOT / "diffrec_lite").rglob(f"*.{end}")]
    files += [*(ROOT / "tools").glob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]
    assert pair.search('"DCRec": style.HISTORY') and pair.search("sasrec: '#332288'")
    found = [f"{path.name}: {match[0]}" for path in files for match in pair.finditer(path.read_text(encoding="utf-8"))]
    assert len(files) > 50 and found == []


def test_no_other_file_holds_a_colour_of_a_model():
    own = {colour.lower() for colour, _ in style.MODELS.values()} - {style.NEUTRAL.lower(), style.INK.lower()}
    files = [path for end in ("py", "js", "css") for path in (ROOT / "diffrec_lite").rglob(f"*.{end}")]
    found = [path.name for path in files if own & set(re.findall(r"#[0-9a-f]{6}", path.read_text().lower()))]
    assert found == ["style.py"]


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
