"""Notebook 02 in a real browser: strength and form change the words and the picture."""

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_strength_and_form_move_the_noise(lab, page):
    run_notebook(lab, page, "02_offset_noise")
    root = page.locator(".drl-explorer").first
    root.scroll_into_view_if_needed()
    told, picture = root.locator(".drl-readout"), root.locator(".drl-picture")
    expect(told).to_contain_text("mean shift, strength 0.1")
    first = picture.get_attribute("src")
    look(page, "02_offset_noise_before")

    root.get_by_label("Strength").press("End")
    expect(told).to_contain_text("mean shift, strength 5: the means of the vectors have centre +5.0")
    root.get_by_label("Form").select_option(index=1)
    expect(told).to_contain_text("per sample, strength 5")
    assert picture.get_attribute("src") != first
    assert "per sample, strength 5" in picture.get_attribute("alt")
    look(page, "02_offset_noise_after")
    page.set_viewport_size({"width": 1100, "height": 1000})
    root.scroll_into_view_if_needed()
    look(page, "02_offset_noise_1100")
