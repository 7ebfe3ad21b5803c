"""Notebook 05 in JupyterLab: the player moves by its keys, and goes on moving when the kernel has stopped."""

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_the_player_steps_and_changes_reader(lab, page):
    run_notebook(lab, page, "05_step_skipping")
    player = page.locator(".drl-player").first
    player.scroll_into_view_if_needed()
    left, right = (player.locator(".drl-panel .drl-readout").nth(i) for i in range(2))
    expect(left).to_contain_text("t = 32, move 0 of 32")
    expect(left).to_contain_text("prediction: none yet; x_t is pure noise")
    look(page, "05_step_skipping_start")

    scrub = player.get_by_label("Step t")
    scrub.focus()
    page.keyboard.press("ArrowRight")
    expect(left).to_contain_text("t = 31, move 1 of 32")
    expect(right).to_contain_text("t = 32, move 0 of 8")
    page.keyboard.press("End")
    expect(left).to_contain_text("t = 0, move 32 of 32")
    expect(right).to_contain_text("t = 0, move 8 of 8")
    look(page, "05_step_skipping_end")

    # A comparison has to be seen at once: both panels side by side, also where the window is narrow.
    for width in (1400, 1100):
        page.set_viewport_size({"width": width, "height": 1000})
        player.scroll_into_view_if_needed()
        first, second = (player.locator(".drl-panel").nth(i).bounding_box() for i in range(2))
        assert first["y"] == second["y"] and first["x"] + first["width"] <= second["x"], width
        look(page, f"05_step_skipping_{width}")

    lab.stop_kernels()
    live = player.locator(".drl-live")
    before = live.inner_text()
    player.get_by_label("Reader").select_option(value="1")
    expect(live).not_to_have_text(before)
