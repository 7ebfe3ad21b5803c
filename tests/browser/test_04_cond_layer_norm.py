"""Notebook 04 in a real browser: step, reader, layer and feature change the maps, the numbers and the words."""

from browser.lab import command, look, run_notebook
from playwright.sync_api import expect


def test_the_fields_follow_step_reader_layer_and_feature(lab, page):
    run_notebook(lab, page, "04_cond_layer_norm", shows=["fields_explorer"])
    root = page.locator(".diffrec-fields").first
    root.scroll_into_view_if_needed()
    step, feature = (root.get_by_label(name, exact=True) for name in ("Step t", "Feature"))
    readout, numbers = root.locator(".drl-readout"), root.locator(".field-number")
    expect(readout).to_contain_text("Step 16. Strongest:")
    answer, height = root.locator(".drl-told"), root.bounding_box()["height"]
    expect(answer).not_to_contain_text("genre")
    root.locator(".drl-options button").first.press("Enter")
    expect(answer).to_contain_text("✓ Yes.")
    look(page, "04_cond_layer_norm_before")

    before = painted(root)
    step.press("ArrowRight")
    expect(readout).to_contain_text("Step 24.")
    assert painted(root) != before
    step.press("End")
    expect(readout).to_contain_text("Step 32.")
    expect(root.get_by_role("img", name="Step 32")).to_be_visible()

    before = numbers.all_inner_texts()
    feature.press("ArrowRight")
    expect(root.locator(".drl-value").last).to_have_text("2 of 32")
    after = numbers.all_inner_texts()
    assert len(after) == 16 and after != before
    line = root.locator(".drl-equation div").last
    expect(line).to_contain_text("feature 2 beside the strongest book")
    gain, shift = line.inner_text().split("·")[1].split()[0], "".join(line.inner_text().split()[-2:])
    assert (gain, shift) in list(zip(after[::2], after[1::2], strict=True))

    told = readout.inner_text()
    root.get_by_label("Reader", exact=True).select_option("1")
    expect(readout).not_to_have_text(told)
    before = painted(root)
    root.get_by_label("Layer", exact=True).select_option("1")
    expect(readout).to_contain_text("Step 32.")
    assert painted(root) != before
    assert root.bounding_box()["height"] == height
    look(page, "04_cond_layer_norm_after")
    command(page, "application:toggle-left-area")
    for width in (1100, 400):
        page.set_viewport_size({"width": width, "height": 1000})
        root.scroll_into_view_if_needed()
        look(page, f"04_cond_layer_norm_{width}")
    assert root.evaluate("node => node.scrollWidth <= node.clientWidth")


def painted(root):
    """What the strips show, as pictures."""
    return root.locator("canvas").evaluate_all("strips => strips.map(strip => strip.toDataURL())")
