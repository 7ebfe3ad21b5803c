"""Notebook 04 in a real browser: step, reader and layer change the picture and the words below it."""

import re

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_the_fields_follow_step_reader_and_layer(lab, page):
    run_notebook(lab, page, "04_cond_layer_norm")
    root = page.locator(".drl-explorer").first
    root.scroll_into_view_if_needed()
    step, readout, picture = root.get_by_label("Step t"), root.locator(".drl-readout"), root.locator(".drl-picture")
    expect(readout).to_contain_text("Step 16. Strongest:")
    look(page, "04_cond_layer_norm_before")

    before = picture.get_attribute("src")
    step.press("ArrowRight")
    expect(readout).to_contain_text("Step 24.")
    expect(picture).not_to_have_attribute("src", before)
    step.press("End")
    expect(readout).to_contain_text("Step 32.")
    expect(picture).to_have_attribute("alt", re.compile("heat maps.*Step 32"))

    told = readout.inner_text()
    root.get_by_label("Reader").select_option("1")
    expect(readout).not_to_have_text(told)
    before = picture.get_attribute("src")
    root.get_by_label("Layer").select_option("1")
    expect(picture).not_to_have_attribute("src", before)
    expect(readout).to_contain_text("Step 32.")
    look(page, "04_cond_layer_norm_after")
