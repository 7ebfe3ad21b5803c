"""The explorers of 00 to 09 but 05 in an exported page on a phone: offline, legible, steady, by keyboard alone."""

import pytest
from browser import pages
from playwright.sync_api import expect

ASKING = ["cloud", "noise", "attention", "fields", "ranking", "balance", "cost"]  # these ask to predict first
ALL = [*ASKING, "guess", "clinic"]

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


@pytest.fixture
def explorer(request, page, tmp_path):
    """An explorer in an exported page, as wide as a phone; no request may be tried and no error seen."""
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size({"width": 400, "height": 800})
    pages.open_exported(page, tmp_path, getattr(pages, request.param)())
    yield page.locator(".drl-explorer")
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


@pytest.mark.parametrize("explorer", ALL, indirect=True)
def test_nothing_sticks_out_and_every_text_can_be_read(explorer):
    assert explorer.evaluate("root => root.scrollWidth <= root.clientWidth")
    right = explorer.bounding_box()["x"] + explorer.bounding_box()["width"]
    for control in explorer.locator("select, input, button").all():
        box = control.bounding_box()
        assert box["x"] + box["width"] <= right, control.evaluate("node => node.outerHTML")
    cells = explorer.locator("td, th")
    crowded = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.outerHTML)"
    assert cells.evaluate_all(crowded) == []
    sizes, contrasts = explorer.evaluate(SIZES), explorer.evaluate(CONTRASTS)
    assert len(sizes) > 10 and len(contrasts) > 10
    assert [found for found in sizes if found[0] < 11.9] == []
    assert [found for found in contrasts if found[0] < 4.5] == []


@pytest.mark.parametrize("explorer", ASKING, indirect=True)
def test_a_guess_is_clicked_before_the_answer_shows(explorer):
    told, buttons = explorer.locator(".drl-told"), explorer.locator(".drl-options button")
    expect(told).to_have_text("Click a guess: the answer shows here.")
    assert buttons.count() >= 2 and explorer.locator(".drl-options [aria-pressed=true]").count() == 0
    marks = []
    for button in buttons.all():
        button.press("Enter")
        expect(button).to_have_attribute("aria-pressed", "true")
        assert explorer.locator(".drl-options [aria-pressed=true]").count() == 1
        marks.append(told.inner_text()[0])
    assert sorted(marks) == ["✓"] + ["✗"] * (len(marks) - 1)


# From the top of the explorer to the end of what it says, and to its own end unless a list of models stands below.
HEIGHTS = """root => [".drl-readout", ".cx-scroll"].map(name => root.querySelector(name) ?? root)
    .map((node, i) => node.getBoundingClientRect()[i ? "top" : "bottom"] - root.getBoundingClientRect().top)
    .concat(root.querySelector(".cx-scroll") ? [] : [root.clientHeight])"""


@pytest.mark.parametrize("explorer", ALL, indirect=True)
def test_every_state_is_told_and_nothing_jumps(explorer):
    live, places = explorer.locator(".drl-readout[aria-live=polite]"), explorer.locator(".drl-options, .gs-options")
    heights, heard = explorer.evaluate(HEIGHTS), set()

    def look():
        for button in places.locator("button[aria-pressed=false]:not([aria-disabled=true])").all()[:1]:
            button.press("Enter")
        heard.add(live.inner_text())
        assert explorer.evaluate(HEIGHTS) == heights

    for slider in explorer.locator("input[type=range]").all():
        assert slider.get_attribute("aria-label") and slider.get_attribute("aria-valuetext")
        for key in ("Home", "ArrowRight", "End"):
            slider.press(key)
            look()
    for select in explorer.locator("select").all():
        assert select.get_attribute("aria-label")
        for i in range(select.locator("option").count()):
            select.select_option(index=i)
            look()
    assert len(heard) >= 3


# Drawn before the page is laid out, as a notebook draws it.
HIDDEN = """const hidden = new CSSStyleSheet();
hidden.replaceSync("[data-explorer] { display: none; }");
document.adoptedStyleSheets = [hidden];"""


@pytest.mark.parametrize(
    ("name", "list_of_books", "reader"),
    [("guess", ".gs-read", "Reader"), ("shelf", ".ls-books", None), ("trajectories", ".drl-read", "Reader")],
)
def test_a_long_history_shows_its_last_books(page, tmp_path, name, list_of_books, reader):
    page.set_viewport_size({"width": 400, "height": 800})
    pages.open_exported(page, tmp_path, getattr(pages, name)())
    page.add_init_script(HIDDEN)
    page.reload()
    page.wait_for_selector(".drl-explorer", state="attached")
    page.evaluate("document.adoptedStyleSheets = []")
    books = page.locator(list_of_books)
    assert books.evaluate("it => it.scrollWidth > it.clientWidth || it.scrollHeight > it.clientHeight")
    at_its_end = """it => Math.abs(it.scrollWidth - it.clientWidth - it.scrollLeft) < 2
        && Math.abs(it.scrollHeight - it.clientHeight - it.scrollTop) < 2"""
    page.wait_for_function(f"({at_its_end})(document.querySelector('{list_of_books}'))")
    if reader:
        page.get_by_label(reader, exact=True).select_option(index=1)
        assert books.evaluate(at_its_end)
