"""Notebook 00 in a real browser: the shelf explorer answers to its two pickers."""

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_the_shelf_hides_and_shows_the_answer(lab, page):
    run_notebook(lab, page, "00_start_here")
    explorer = page.locator(".drl-explorer").first
    explorer.scroll_into_view_if_needed()
    readout, picture = explorer.locator(".drl-readout"), explorer.locator(".drl-picture")
    expect(readout).to_contain_text("Which book comes next?")
    expect(readout).not_to_contain_text("rank")
    hidden = picture.get_attribute("src")
    look(page, "00_start_here_hidden")

    explorer.get_by_label("Answer").select_option("1")
    expect(readout).to_contain_text("Its rank")
    assert picture.get_attribute("src") != hidden
    look(page, "00_start_here_shown")

    first = readout.inner_text()
    explorer.get_by_label("Reader", exact=True).select_option(index=2)
    expect(readout).not_to_have_text(first)
    explorer.get_by_label("Answer").select_option("0")
    expect(readout).not_to_contain_text("rank")
    page.set_viewport_size({"width": 1100, "height": 1000})
    explorer.scroll_into_view_if_needed()
    look(page, "00_start_here_1100")
