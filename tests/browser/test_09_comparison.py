"""Notebook 09 in a real browser: four pickers move the chart and the list, at every width, and without a kernel."""

from browser.lab import look, run_notebook
from playwright.sync_api import expect

WIDTHS = (1400, 1100)


def test_accuracy_against_cost_can_be_filtered(lab, page):
    run_notebook(lab, page, "09_comparison", shows=["cost_explorer"])
    root = page.locator(".diffrec-cost").first
    root.scroll_into_view_if_needed()
    told, rows, chart = root.locator(".drl-readout"), root.locator("tbody tr"), root.locator(":scope > svg")
    expect(told).to_contain_text("beauty, unfiltered. Best recorded NDCG@5")
    count = rows.count()
    assert count >= 4
    before, axis = told.inner_text(), chart.locator("text").all_text_contents()

    root.get_by_label("protocol", exact=True).select_option("seen-filtered")
    expect(told).to_contain_text("beauty, seen-filtered")
    ticks = [text for text in axis if text.startswith("0.")]
    assert [t for t in chart.locator("text").all_text_contents() if t.startswith("0.")] == ticks  # the axes stay
    root.get_by_label("cost", exact=True).select_option("weights learned")
    expect(root.locator("thead th").nth(4)).to_have_text("weights learned")
    expect(root.locator("tbody")).to_contain_text("none")
    root.get_by_label("data set", exact=True).select_option("bookshop")
    expect(told).to_contain_text("bookshop, seen-filtered")
    assert "bookshop" in chart.get_attribute("aria-label")

    lab.stop_kernels()
    for name, value in (("data set", "beauty"), ("protocol", "unfiltered"), ("cost", "seconds of training")):
        root.get_by_label(name, exact=True).select_option(value)
    expect(told).to_have_text(before)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1000})
        root.scroll_into_view_if_needed()
        look(page, f"09_comparison_{width}")
        frame, drawn = root.bounding_box(), chart.bounding_box()
        assert drawn["x"] >= frame["x"] and drawn["x"] + drawn["width"] <= frame["x"] + frame["width"] + 1
        wide = root.evaluate("e => e.scrollWidth - e.clientWidth")
        assert wide <= 1, f"{wide} px are cropped at {width} px"
