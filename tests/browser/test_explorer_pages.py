"""The explorers of 01 to 04 and 06 in an exported page on a phone: offline, legible, steady, by keyboard alone."""

import nbformat
import pytest
import torch
from playwright.sync_api import expect

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons import cond_layer_norm, cross_attention, forward_noising, metrics, offset_noise
from diffrec_lite.widgets.export import export

# The size of every text in pixels; in a drawing, what the page makes of its units.
SIZES = """root => [...root.querySelectorAll(":not(title)")].flatMap(node => {
    if (![...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim())) return [];
    const svg = node.namespaceURI.endsWith("svg") ? node.closest("svg") : null;
    const zoom = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    return [[zoom * parseFloat(getComputedStyle(node).fontSize), node.outerHTML.slice(0, 90)]];
})"""
# The contrast of every text of the page with what is behind it, after WCAG 2.1; drawings are left out.
CONTRASTS = """root => {
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    const light = colour => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
        const part = colour[i] / 255;
        return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    }, 0.05);
    const behind = node => {
        const colour = rgb(getComputedStyle(node).backgroundColor);
        return (colour[3] ?? 1) > 0 || node === root ? colour : behind(node.parentElement);
    };
    return [...root.querySelectorAll("*")].flatMap(node => {
        const shown = getComputedStyle(node);
        if (!(node instanceof HTMLElement) || shown.visibility === "hidden") return [];
        if (![...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim())) return [];
        const [a, b] = [light(rgb(shown.color)), light(behind(node))];
        return [[Math.max(a, b) / Math.min(a, b), node.outerHTML.slice(0, 90)]];
    });
}"""


def cloud(books, genres):
    torch.manual_seed(0)
    vectors, noise = torch.randn(2, books.num_items + 1, 16)
    diffusions = {name: GaussianDiffusion.of(name, 32) for name in ("trunc_lin", "cosine")}
    return forward_noising.explorer.cloud_explorer(vectors, books.titles, genres, noise, diffusions, [1, 50, 120])


def noise(books, genres):
    torch.manual_seed(0)
    model = models.build("diffurec", books.num_items, d=16, blocks=1, heads=2, T=8).eval()
    return offset_noise.explorer.noise_explorer(model, books, range(20))


def attention(books, genres):
    torch.manual_seed(0)
    model = models.build("diffurecsys", books.num_items, d=16, blocks=1, heads=2, T=8).eval()
    return cross_attention.explorer.attention_explorer(model, books, [1, 4])


def fields(books, genres):
    torch.manual_seed(0)
    model = models.build("dcrec", books.num_items, d=16, blocks=1, heads=2, T=8).eval()
    readers = {f"reader {user}": books.history(user)[:-1].tolist() for user in (7, 40)}
    return cond_layer_norm.explorer.fields_explorer(model, readers, books.titles, genres)


def ranking(books, genres):
    scores = torch.randn(2, books.num_items + 1, generator=torch.Generator().manual_seed(0))
    readers = [metrics.explorer.ranking(s, 9 + i, books.titles, [3, 4, 5], str(i)) for i, s in enumerate(scores)]
    return metrics.explorer.ranking_explorer(readers, books.num_items)


@pytest.fixture(params=[cloud, noise, attention, fields, ranking], ids=lambda make: make.__name__)
def explorer(request, page, tmp_path):
    """An explorer in an exported page, as wide as a phone; no request may be tried and no error seen."""
    books = load("bookshop")
    widget = request.param(books, ["", *books.item_features["genre"].fillna("")])
    bundle, metadata = widget._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data=bundle, metadata=metadata, execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("show()", outputs=[output])])
    states = {widget.model_id: {"state": widget.get_state()}}
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": states}}
    path = tmp_path / "page.html"
    path.write_text(export(notebook, tmp_path, "A page"), encoding="utf-8")
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size({"width": 400, "height": 800})
    page.context.set_offline(True)
    page.goto(path.as_uri())
    root = page.locator(".drl-explorer")
    root.wait_for()
    yield root
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


def test_nothing_sticks_out_and_every_text_can_be_read(explorer):
    assert explorer.evaluate("root => root.scrollWidth <= root.clientWidth")
    right = explorer.bounding_box()["x"] + explorer.bounding_box()["width"]
    for control in explorer.locator("select, input, button").all():
        box = control.bounding_box()
        assert box["x"] + box["width"] <= right, control.evaluate("node => node.outerHTML")
    sizes, contrasts = explorer.evaluate(SIZES), explorer.evaluate(CONTRASTS)
    assert len(sizes) > 10 and len(contrasts) > 10
    assert [found for found in sizes if found[0] < 11.9] == []
    assert [found for found in contrasts if found[0] < 4.5] == []


def test_a_guess_is_clicked_before_the_answer_shows(explorer):
    told, buttons = explorer.locator(".drl-told"), explorer.locator(".drl-options button")
    expect(told).to_have_text("Click a guess: the answer shows here.")
    assert buttons.count() >= 2 and explorer.locator("[aria-pressed=true]").count() == 0
    marks = []
    for button in buttons.all():
        button.press("Enter")
        expect(button).to_have_attribute("aria-pressed", "true")
        assert explorer.locator("[aria-pressed=true]").count() == 1
        marks.append(told.inner_text()[0])
    assert sorted(marks) == ["✓"] + ["✗"] * (len(marks) - 1)


def test_every_state_is_told_and_nothing_jumps(explorer):
    height, live = explorer.bounding_box()["height"], explorer.locator(".drl-readout[aria-live=polite]")
    explorer.locator(".drl-options button").last.press("Enter")
    heard = {live.inner_text()}
    for slider in explorer.locator("input[type=range]").all():
        assert slider.get_attribute("aria-label") and slider.get_attribute("aria-valuetext")
        for key in ("Home", "ArrowRight", "End"):
            slider.press(key)
            heard.add(live.inner_text())
            assert explorer.bounding_box()["height"] == height
    for select in explorer.locator("select").all():
        assert select.get_attribute("aria-label")
        for i in range(select.locator("option").count()):
            select.select_option(index=i)
            heard.add(live.inner_text())
            assert explorer.bounding_box()["height"] == height
    assert len(heard) > 3
