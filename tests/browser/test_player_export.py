"""An exported page: the player works from file://, offline, without a kernel."""

from itertools import pairwise

import pytest
import torch
from browser.pages import open_exported

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.widgets.player import player
from diffrec_lite.widgets.trajectories import trajectory_data

ITEMS = "all => all.map(one => one.dataset.item)"
STICKS_OUT = """root => [...root.querySelectorAll("*")]
    .filter(one => !one.closest(".drl-read"))
    .filter(one => one.getBoundingClientRect().right > root.getBoundingClientRect().right + 1)
    .map(one => one.outerHTML.slice(0, 80))"""
SIZES = """root => [...root.querySelectorAll("*")].filter(one => [...one.childNodes].some(n => n.nodeType === 3))
    .map(one => parseFloat(getComputedStyle(one).fontSize))"""


@pytest.fixture(scope="module")
def data():
    books = load("bookshop")
    torch.manual_seed(0)
    model = models.build("dcrec", books.num_items, d=16, blocks=1, heads=2, T=8, signal=0.1).eval()
    return trajectory_data(model, books, [3, 8], steps=[8, 2, 1], seeds=[0, 1])


@pytest.fixture
def offline(page, tmp_path):
    """Open an exported page with the network cut; afterwards, no request may have been tried and no error seen."""
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))

    def open_page(*widgets):
        open_exported(page, tmp_path, *widgets)
        return page

    yield open_page
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert errors == []


def test_keys_move_both_chains(offline, data):
    page = offline(player(data, panels=[("DCRec", 8), ("DCRec", 2)]))
    full, skipped = (page.locator(".drl-panel .drl-readout").nth(i) for i in range(2))
    assert "t = 8, move 0 of 8\nprediction: none yet" in full.inner_text()

    page.get_by_label("Step t").press("ArrowRight")
    state = data.states(0, 8, 0)[1]
    assert f"t = 7, move 1 of 8\nprediction: rank {state['rank']} of 240" in full.inner_text()
    assert f"distance {state['distance']:.2f}" in full.inner_text()
    assert "t = 8, move 0 of 2" in skipped.inner_text()
    titles = [data.items["title"][item] for item in state["nearest"]]
    rows = [row.inner_text() for row in page.locator(".drl-nearest").first.locator("button").all()]
    assert [row.replace(" ★", "") for row in rows] == [title.replace(" (", " ").replace(")", "") for title in titles]

    page.keyboard.press("End")
    assert "t = 0, move 8 of 8" in full.inner_text()
    assert f"t = 0, move 2 of 2\nprediction: rank {data.states(0, 2, 0)[-1]['rank']}" in skipped.inner_text()
    page.keyboard.press("Home")
    assert "t = 8, move 0 of 8" in full.inner_text()


def test_reader_seed_and_steps_can_be_chosen(offline, data):
    page = offline(player(data, panels=[("DCRec", 8), ("DCRec", 2)]))
    page.get_by_label("To the end").click()
    page.get_by_label("Reader", exact=True).select_option(value="1")
    page.get_by_label("Noise seed").select_option(value="1")
    page.get_by_label("Steps of panel 2").select_option(index=2)
    text = page.locator(".drl-live").inner_text()
    assert data.items["title"][data.readers[1]["target"]] in text
    assert f"8 steps: rank {data.states(1, 8, 1)[-1]['rank']}" in text
    assert f"1 step: rank {data.states(1, 1, 1)[-1]['rank']}" in text


def test_the_curves_follow_the_states_and_the_cursor_the_clock(offline, data):
    page = offline(player(data, panels=[("DCRec", 8), ("DCRec", 2)]))
    curves = page.locator(".drl-curve")
    assert curves.count() == 4

    def heights(curve, line):
        return [
            float(place.split(",")[1]) for place in curve.locator("polyline").nth(line).get_attribute("points").split()
        ]

    states = data.states(0, 8, 0)[1:]
    for curve, key in ((curves.nth(0), "rank"), (curves.nth(1), "distance")):
        drawn = heights(curve, 0)
        assert len(drawn) == 8
        order = sorted(range(8), key=lambda i: states[i][key])
        assert all(drawn[a] >= drawn[b] - 0.05 for a, b in pairwise(order)), key  # low is good, and drawn low
        assert heights(curves.nth(2 if key == "rank" else 3), 2) == pytest.approx(drawn, abs=0.11)  # overlaid
        for reached in (1, 3):  # nothing yet, of the own chain and of the other
            assert curve.locator("polyline").nth(reached).get_attribute("points") == ""
    page.get_by_label("Step t").press("End")
    assert heights(curves.nth(0), 1) == heights(curves.nth(0), 0)
    assert heights(curves.nth(0), 3) == heights(curves.nth(0), 2)
    x = {float(curves.nth(i).locator("line").last.get_attribute("x1")) for i in range(4)}
    assert len(x) == 1 and x.pop() > 200


def test_a_button_sets_the_moment_and_the_panels(offline, data):
    page = offline(player(data, panels=[("DCRec", 8), ("DCRec", 2)]))
    page.get_by_label("Steps of panel 2").select_option(index=2)
    page.get_by_role("button", name="Look at t = 2", exact=True).click()
    readouts = page.locator(".drl-panel .drl-readout").all_inner_texts()
    assert [text.split("\n")[0] for text in readouts] == ["t = 2, move 6 of 8", "t = 4, move 1 of 2"]
    assert page.locator(".drl-views button[aria-pressed=true]").all_inner_texts() == ["Look at t = 2"]
    assert not page.get_by_text("This is pure noise.").first.is_visible()
    page.get_by_role("button", name="Pure noise", exact=True).click()
    assert page.get_by_text("This is pure noise.").first.is_visible()


def test_a_book_lights_up_in_plane_list_and_shelf_by_pointer_focus_and_tap(offline, data):
    page = offline(player(data, panels=[("DCRec", 8), ("DCRec", 2)]))
    reader = data.readers[0]
    cards = page.locator(".drl-read .drl-entry")
    assert cards.count() == len(reader["history"])
    assert "last" in cards.last.inner_text() and page.locator(".drl-next").inner_text().startswith("★ next")
    last = reader["history"][-1]
    name = data.items["title"][last].split(" (")[0]
    lit = page.locator(".drl-lit-title")

    cards.last.hover()
    assert lit.all_text_contents() == [name, name]
    assert page.locator(".drl-lit").all() and set(page.locator(".drl-lit").evaluate_all(ITEMS)) == {str(last)}
    page.mouse.move(1, 1)
    assert lit.all_text_contents() == ["", ""]

    row = page.locator(".drl-nearest .drl-entry").first  # of the noise
    row.focus()
    item = int(row.get_attribute("data-item"))
    title = data.items["title"][item].split(" (")[0]
    assert lit.all_text_contents() == [title, title]
    page.locator(".drl-player").focus()
    assert lit.all_text_contents() == ["", ""]

    page.locator(".drl-target").first.dispatch_event("click")  # a tap keeps it lit
    truth = data.items["title"][reader["target"]].split(" (")[0]
    assert lit.all_text_contents() == [truth, truth]
    assert "drl-lit" in page.locator(".drl-next .drl-entry").get_attribute("class")
    page.get_by_label("Step t").press("ArrowRight")
    page.mouse.move(2, 2)
    assert lit.all_text_contents() == [truth, truth]
    page.locator(".drl-target").first.dispatch_event("click")
    assert lit.all_text_contents() == ["", ""]


@pytest.mark.parametrize("width", [1400, 400, 320])
def test_nothing_jumps_and_nothing_sticks_out(offline, data, width):
    page = offline(player(data, panels=[("DCRec", 8), ("DCRec", 2)]))
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(100)
    places = page.locator(".drl-plane, .drl-curve, .drl-nearest, .drl-legend")
    before = [place.bounding_box() for place in places.all()]
    for key in ("ArrowRight", "ArrowRight", "End"):
        page.get_by_label("Step t").press(key)
        assert [place.bounding_box() for place in places.all()] == before, key
    page.get_by_label("Reader", exact=True).select_option(value="1")
    assert [place.bounding_box() for place in places.all()] == before
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.locator(".drl-player").evaluate(STICKS_OUT)
    assert wide == [], wide
    sizes = page.locator(".drl-player").evaluate(SIZES)
    assert min(sizes) >= 12, sizes


def test_play_runs_to_the_end_and_pause_stops_it(offline, data):
    page = offline(player(data, panels=[("DCRec", 2), ("DCRec", 1)]))
    page.locator(".drl-player").focus()
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Pause").is_visible()
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Play").is_visible()
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('.drl-live').textContent.startsWith('t = 0.')")
    page.get_by_role("button", name="Play").wait_for()


def test_formulas_are_drawn_and_code_is_left_alone(offline, data):
    page = offline(player(data))
    drawn = page.locator("math")
    assert drawn.get_attribute("alttext") == r"\sqrt{\bar\alpha_t}"
    assert drawn.locator("msqrt").bounding_box()["width"] > 10
    assert page.locator("code", has_text="$x$").count() == 1


def test_two_places_of_one_explorer_show_one_state(offline, data):
    widget = player(data, panels=[("DCRec", 2)])
    page = offline(widget, widget)
    first, second = page.locator(".drl-player").all()
    first.get_by_label("To the end").click()
    assert first.locator(".drl-live").inner_text().startswith("t = 0.")
    assert second.locator(".drl-live").inner_text() == first.locator(".drl-live").inner_text()
