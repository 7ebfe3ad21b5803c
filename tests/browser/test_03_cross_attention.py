"""Notebook 03 in a real browser: reader, block and head choose another attention map."""

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_reader_block_and_head_change_the_map(lab, page):
    run_notebook(lab, page, "03_cross_attention")
    root = page.locator(".drl-explorer").first
    root.scroll_into_view_if_needed()
    told, picture = root.locator(".drl-readout"), root.locator(".drl-picture")
    expect(told).to_contain_text("It looks most at")
    reader, first = told.inner_text().splitlines()[0], picture.get_attribute("src")
    look(page, "03_cross_attention_before")

    root.get_by_label("Block").select_option(index=1)
    expect(picture).not_to_have_attribute("src", first)
    second = picture.get_attribute("src")
    root.get_by_label("Head").select_option(index=1)
    expect(picture).not_to_have_attribute("src", second)
    assert told.inner_text().splitlines()[0] == reader
    root.get_by_label("Reader").select_option(index=1)
    expect(told).not_to_contain_text(reader)
    look(page, "03_cross_attention_after")
