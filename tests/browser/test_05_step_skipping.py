"""Notebook 05 in JupyterLab: the player moves by its keys, and goes on moving when the kernel has stopped."""

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_the_player_steps_and_changes_reader(lab, page):
    run_notebook(lab, page, "05_step_skipping", shows=["step_player"])
    player = page.locator(".drl-player").first
    player.scroll_into_view_if_needed()
    left, right = (player.locator(".drl-panel .drl-readout").nth(i) for i in range(2))
    expect(left).to_contain_text("t = 32, move 0 of 32")
    expect(left).to_contain_text("prediction: none yet; x_t is pure noise")
    expect(player.get_by_text("This is pure noise.").first).to_be_visible()
    read, last = (player.locator(place).last.bounding_box() for place in (".drl-read", ".drl-read li"))
    assert last["x"] + last["width"] <= read["x"] + read["width"] + 1  # the last book is in sight
    look(page, "05_step_skipping_start")

    # What the text below the player says of its typical reader, and of the two ways to move.
    places = player.locator(".drl-plane, .drl-curve, .drl-nearest")
    before = [place.bounding_box() for place in places.all()]
    for view, ranks in (("After one move", (10,)), ("Look at t = 8", (11, 11)), ("The end", (12, 10))):
        player.get_by_role("button", name=view, exact=True).click()
        for panel, rank in zip((left, right), ranks, strict=False):
            expect(panel).to_contain_text(f"prediction: rank {rank} of 240")
        after = [place.bounding_box() for place in places.all()]
        assert [(box["height"], box["y"] - after[0]["y"]) for box in after] == [
            (box["height"], box["y"] - before[0]["y"]) for box in before
        ], view
    expect(left).to_contain_text("distance 1.79")
    expect(right).to_contain_text("distance 1.41")
    player.get_by_role("button", name="Two ways to move", exact=True).click()
    expect(right).to_contain_text("prediction: rank 14 of 240")
    expect(player.get_by_label("Chain of panel 2").locator("option:checked")).to_have_text("posterior")
    look(page, "05_step_skipping_two_ways")

    player.get_by_role("button", name="Pure noise", exact=True).click()
    player.get_by_label("Step t").focus()
    page.keyboard.press("ArrowRight")
    expect(left).to_contain_text("t = 31, move 1 of 32")
    expect(right).to_contain_text("t = 32, move 0 of 8")
    page.keyboard.press("End")
    expect(left).to_contain_text("t = 0, move 32 of 32")
    expect(right).to_contain_text("t = 0, move 8 of 8")

    # A comparison has to be seen at once: both panels side by side, also where the window is narrow.
    for width in (1400, 1100):
        page.set_viewport_size({"width": width, "height": 1000})
        player.scroll_into_view_if_needed()
        first, second = (player.locator(".drl-panel").nth(i).bounding_box() for i in range(2))
        assert first["y"] == second["y"] and first["x"] + first["width"] <= second["x"], width
        curve, box = player.locator(".drl-panel .drl-curve").first.bounding_box(), first
        assert curve["x"] + curve["width"] <= box["x"] + box["width"], width
        look(page, f"05_step_skipping_{width}")

    lab.stop_kernels()
    live = player.locator(".drl-live")
    before = live.inner_text()
    player.get_by_label("Reader", exact=True).select_option(value="1")
    expect(live).not_to_have_text(before)
    player.locator(".drl-read .drl-entry").last.hover()
    assert player.locator(".drl-lit-title").first.text_content() != ""
