"""Notebook 08 in a real browser: the balance of the losses moves by buttons, pickers and keys, with no kernel too."""

from browser.lab import command, look, run_notebook
from playwright.sync_api import expect


def test_the_balance_of_the_losses_moves(lab, page):
    run_notebook(lab, page, "08_dcrec", shows=["loss_balance"])
    root = page.locator(".diffrec-balance").first
    root.scroll_into_view_if_needed()
    told, charts = root.locator(".drl-readout"), root.locator(".lb-charts svg")
    expect(told).to_contain_text("After 161 batches")
    expect(charts).to_have_count(2)
    printed = told.inner_text()
    look(page, "08_dcrec_printed")

    root.get_by_role("button", name="Detach the target").click()
    expect(told).not_to_have_text(printed)
    expect(root.get_by_role("button", name="Detach the target")).to_have_attribute("aria-pressed", "true")
    expect(root.get_by_label("L_t", exact=True)).to_have_value("2")
    slider = root.get_by_label("batch", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    expect(told).to_contain_text("After 0 batches")
    page.keyboard.press("ArrowRight")
    expect(told).to_contain_text("After 5 batches")
    page.keyboard.press("End")

    root.get_by_label("L_t", exact=True).select_option(value="0")
    root.get_by_label("L_T", exact=True).select_option(value="0")
    expect(told).to_contain_text("L_T 0 %, L_t 0 %, L_z 100 %")
    expect(root.locator(".lb-bar").first).to_have_attribute("aria-label", "L_T 0 %, L_t 0 %, L_z 100 %")

    root.get_by_role("button", name="Detach the target").click()
    for width in (1400, 1100, 400):
        if width == 400:
            command(page, "application:toggle-left-area")  # on a narrow page the list of files covers the notebook
        page.set_viewport_size({"width": width, "height": 1000})
        root.scroll_into_view_if_needed()
        box = root.bounding_box()
        for chart in charts.all():
            inside = chart.bounding_box()
            assert inside["x"] >= box["x"] and inside["x"] + inside["width"] <= box["x"] + box["width"], width
        look(page, f"08_dcrec_{width}")

    lab.stop_kernels()
    root.get_by_role("button", name="As printed").click()
    expect(told).to_have_text(printed)
