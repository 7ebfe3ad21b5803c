"""Notebook 02 in a real browser: strength and form change the panels and the words, and no axis."""

from browser.lab import command, look, run_notebook
from playwright.sync_api import expect


def test_strength_and_form_move_the_noise(lab, page):
    run_notebook(lab, page, "02_offset_noise", shows=["noise_explorer"])
    root = page.locator(".diffrec-offset").first
    root.scroll_into_view_if_needed()
    told, bars, lines = root.locator(".drl-readout"), root.locator("svg path[fill]"), root.locator(".drl-equation div")
    expect(told).to_contain_text("mean shift, strength 0.1")
    answer = root.locator(".drl-told")
    expect(answer).not_to_contain_text("By x_t alone")
    root.locator(".drl-options button").first.press("Enter")
    expect(answer).to_contain_text("✓ Yes. By x_t alone")
    first, axes, height = bars.first.get_attribute("d"), ticks(root), root.bounding_box()["height"]
    expect(lines.nth(1)).to_contain_text("+ 0.1 =")
    look(page, "02_offset_noise_before")

    root.get_by_label("Strength", exact=True).press("End")
    expect(told).to_contain_text("mean shift, strength 5: the means of the vectors have centre +5.0")
    expect(lines.nth(1)).to_contain_text("+ 5.0 =")
    assert bars.first.get_attribute("d") != first
    root.get_by_label("Form", exact=True).select_option(index=1)
    expect(told).to_contain_text("per sample, strength 5")
    expect(lines.first).to_contain_text("one ζ a vector")
    expect(root.get_by_role("img", name="per sample, strength 5")).to_be_visible()
    assert ticks(root) == axes and root.bounding_box()["height"] == height
    look(page, "02_offset_noise_after")
    command(page, "application:toggle-left-area")
    for width in (1100, 400):
        page.set_viewport_size({"width": width, "height": 1000})
        root.scroll_into_view_if_needed()
        look(page, f"02_offset_noise_{width}")
    assert root.evaluate("node => node.scrollWidth <= node.clientWidth")


def ticks(root):
    """The texts on the axes and where they stand; those that count are left out, for they have no anchor."""
    found = root.locator("svg text[text-anchor]").all()
    return [(text.text_content(), text.get_attribute("x"), text.get_attribute("y")) for text in found]
