"""Notebook 05 in JupyterLab: the player moves by its keys, and goes on moving when the kernel has stopped."""

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_the_player_steps_and_changes_reader(lab, page):
    run_notebook(lab, page, "05_step_skipping")
    player = page.locator(".drl-player").first
    player.scroll_into_view_if_needed()
    left, right = (player.locator(".drl-panel .drl-readout").nth(i) for i in range(2))
    expect(left).to_contain_text("t = 16, move 0 of 16")
    expect(left).to_contain_text("prediction: none yet")
    look(page, "05_step_skipping_start")

    scrub = player.get_by_label("Step t")
    scrub.focus()
    page.keyboard.press("ArrowRight")
    expect(left).to_contain_text("t = 15, move 1 of 16")
    expect(right).to_contain_text("t = 16, move 0 of 4")
    page.keyboard.press("End")
    expect(left).to_contain_text("t = 0, move 16 of 16")
    expect(right).to_contain_text("t = 0, move 4 of 4")
    look(page, "05_step_skipping_end")

    lab.stop_kernels()
    live = player.locator(".drl-live")
    before = live.inner_text()
    player.get_by_label("Reader").select_option(value="1")
    expect(live).not_to_have_text(before)
