"""Notebook 10 in JupyterLab: three models side by side in one player, which goes on when the kernel has stopped."""

from itertools import pairwise

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_three_models_play_side_by_side(lab, page):
    run_notebook(lab, page, "10_hybrid", shows=["model_player"])
    player = page.locator(".drl-player").first
    player.scroll_into_view_if_needed()
    panels = [player.locator(".drl-panel").nth(i) for i in range(3)]
    for panel, chain in zip(panels, ("DiffuRecSys", "DCRec", "hybrid"), strict=True):
        expect(panel.locator(".drl-readout")).to_contain_text("t = 32, move 0 of 8")
        assert panel.locator("select").first.locator("option:checked").inner_text() == chain
    look(page, "10_hybrid_start")

    scrub = player.get_by_label("Step t")
    scrub.focus()
    page.keyboard.press("End")
    for panel in panels:
        expect(panel.locator(".drl-readout")).to_contain_text("t = 0, move 8 of 8")

    # The comparison is seen at once: three panels side by side, also where the window is narrow.
    for width in (1400, 1100):
        page.set_viewport_size({"width": width, "height": 1000})
        player.scroll_into_view_if_needed()
        look(page, f"10_hybrid_end_{width}")
        boxes = [panel.bounding_box() for panel in panels]
        assert len({box["y"] for box in boxes}) == 1, width
        assert all(a["x"] + a["width"] <= b["x"] for a, b in pairwise(boxes)), width

    lab.stop_kernels()
    live = player.locator(".drl-live")
    before = live.inner_text()
    player.get_by_label("Reader", exact=True).select_option(value="1")
    expect(live).not_to_have_text(before)
    look(page, "10_hybrid_second_reader")
