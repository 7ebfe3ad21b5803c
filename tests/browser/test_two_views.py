"""Two places that show one explorer: for either, what is done in the other comes from elsewhere, as from a kernel."""

import pytest
from browser import pages
from playwright.sync_api import expect

from diffrec_lite.data import load

KEEP_WAITS = """window.waits = [];
const plain = window.setInterval;
window.setInterval = (tick, wait) => { window.waits.push(wait); return plain(tick, wait); };"""


@pytest.fixture
def two(page, tmp_path):
    """Open one explorer twice; returns both places."""

    def open_twice(widget):
        pages.open_exported(page, tmp_path, widget, widget)
        return page.locator(".drl-explorer").all()

    return open_twice


def test_a_film_stops_when_the_step_is_set_elsewhere(two, page):
    one, other = two(pages.cloud())
    play, shown = one.get_by_role("button", name="Play"), one.locator(".drl-value")
    one.get_by_label("Step t").press("Home")
    play.click()
    expect(shown).to_contain_text("t = 2")  # its own steps do not stop it
    expect(one.get_by_role("button", name="Pause")).to_be_visible()
    other.get_by_label("Step t").fill("20")
    expect(play).to_be_visible()
    expect(shown).to_contain_text("t = 20")
    page.wait_for_timeout(800)
    expect(shown).to_contain_text("t = 20")


@pytest.mark.parametrize(("motion", "wait"), [("no-preference", 350), ("reduce", 1200)])
def test_a_film_is_slow_for_who_asks_for_little_motion(two, page, motion, wait):
    page.emulate_media(reduced_motion=motion)
    page.add_init_script(KEEP_WAITS)
    one, _ = two(pages.cloud())
    one.get_by_role("button", name="Play").click()
    assert page.evaluate("window.waits") == [wait]


@pytest.fixture
def shelves(two):
    """The live shelf twice, full at first."""
    return two(pages.shelf())


def test_words_about_a_change_go_when_the_shelf_changes_elsewhere(shelves):
    one, other = shelves
    one.get_by_label("Noise seed").select_option(label="3")
    expect(one.locator(".ls-told")).to_contain_text("Last change: noise seed 3.")
    other.get_by_role("button", name="short", exact=True).click()
    expect(other.locator(".ls-told")).to_contain_text("Last change: the shelf is now that of short.")
    expect(one.locator(".ls-told")).not_to_contain_text("Last change")
    expect(one.locator(".ls-told")).to_contain_text("from noise to a book")
    assert "was" not in one.locator(".ls-best").inner_text()
    assert one.locator(".ls-books").inner_text() == other.locator(".ls-books").inner_text()


def test_a_full_shelf_says_which_book_fell_off(shelves):
    books, (one, _) = load("bookshop"), shelves
    shop = one.get_by_label("Books of the shop")
    one.get_by_label("Words of a title").fill(books.title(200))
    shop.select_option(label=books.title(200))
    shop.press("Enter")
    expect(one.locator(".ls-told")).to_contain_text(
        f"{books.title(200)} was added, and {books.title(1)} fell off: the shelf holds 50."
    )
    assert one.locator(".ls-books li").count() == 50
    assert books.title(2) in one.locator(".ls-books li").first.inner_text()
