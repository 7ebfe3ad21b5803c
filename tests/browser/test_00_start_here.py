"""Notebook 00 in a real browser: guess a book, walk the map, build a shelf."""

import pytest
from browser.lab import PANEL, look, run_notebook
from playwright.sync_api import expect


@pytest.fixture
def notebook(lab, page):
    run_notebook(lab, page, "00_start_here")
    return page


def test_the_notebook_answers(notebook, lab):
    """One run for all: it costs more than what is tried in it."""
    nothing_is_shown_before_a_guess(notebook)
    lab.stop_kernels()
    the_shelf_works_without_a_kernel(notebook)
    a_box_of_the_map_opens_its_notebook(notebook)


def nothing_is_shown_before_a_guess(page):
    guess = page.locator(".drl-guess").first
    guess.scroll_into_view_if_needed()
    told, truth = guess.locator(".gs-told"), "The Secret Kiss (Summers of Larkspur Bay 3)"
    expect(told).to_contain_text("Choose one of the six")
    expect(guess.locator(".gs-read li")).to_have_count(10)
    expect(guess.locator(".gs-truth")).to_have_count(0)
    expect(guess.locator(".gs-top li").first).to_have_text("?")
    height = guess.bounding_box()["height"]
    look(page, "00_start_here_hidden")

    guess.get_by_role("button", name="The Lemon").or_(guess.get_by_role("button", name="Forgotten")).first.press(
        "Enter"
    )
    expect(told).to_contain_text(f"Not this time: the next one is {truth}")
    expect(guess.get_by_text("You were right for 0 of 1.")).to_be_visible()
    expect(told).to_contain_text("Its rank among all books: popularity")
    guess.get_by_role("button", name=truth).click(force=True)  # too late: the first guess counts
    expect(told).to_contain_text("Not this time")
    expect(guess.locator(".gs-lists .gs-truth").first).to_contain_text("✓ The Secret Kiss")
    assert guess.bounding_box()["height"] == height
    look(page, "00_start_here_shown")

    guess.get_by_label("Reader", exact=True).select_option(label="16")
    expect(told).to_contain_text("Choose one of the six")
    expect(guess.get_by_text("You were right for 0 of 1.")).to_be_visible()
    guess.get_by_role("button", name="(").first.click()
    expect(guess.get_by_text("of 2.")).to_be_visible()


def the_shelf_works_without_a_kernel(page):
    shelf = page.locator(".drl-live-shelf").first
    shelf.scroll_into_view_if_needed()
    first = shelf.locator(".ls-best").first.locator("li").first
    expect(first).to_contain_text("The Secret Kiss")
    shelf.get_by_role("button", name="The Lemon Wedding (Summers of Larkspur Bay 2): earlier").press("Enter")
    expect(first).to_contain_text("The Cold Verdict")
    expect(first).to_contain_text("was")
    shelf.get_by_label("After step").press("ArrowLeft")
    expect(shelf.locator(".ls-where").first).to_contain_text("noise alone")
    look(page, "00_start_here_shelf")


def a_box_of_the_map_opens_its_notebook(page):
    course_map = page.locator(".drl-map").first
    course_map.scroll_into_view_if_needed()
    look(page, "00_start_here_map")
    box = course_map.locator("li", has_text="cross_attention").first
    box.click(position={"x": 12, "y": 12})
    expect(page.locator(f"{PANEL} h1").first).to_contain_text("03", timeout=30_000)
