"""Notebook 06 in a real browser: slider, keyboard, k, reader and mouse all move the true book and its gains."""

import re

from browser.lab import command, look, run_notebook
from playwright.sync_api import expect


def test_the_true_book_can_be_moved_through_the_ranking(lab, page):
    run_notebook(lab, page, "06_metrics", shows=["ranking_explorer"])
    root = page.locator(".drl-ranking").first
    root.scroll_into_view_if_needed()
    told, rank, k = (
        root.locator(".drl-readout"),
        root.get_by_label("Rank of the true book"),
        root.get_by_label("k, the"),
    )
    target, gains = root.locator("li.target"), root.locator(".rank-gain b")
    expect(told).to_contain_text("Here the model put it.")
    answer = root.locator(".drl-told")
    expect(answer).not_to_contain_text("cost")
    root.locator(".drl-options button").last.press("Enter")
    expect(answer).to_contain_text("They cost 0.369, 0.031 and 0.289")
    look(page, "06_metrics_before")

    height = root.bounding_box()["height"]
    rank.fill("10")
    expect(told).to_contain_text("is at rank 10 of 240, inside the first 10")
    expect(gains).to_have_text(["1.000", "0.289", "0.100"])
    expect(root.locator(".drl-equation").nth(1)).to_have_text("NDCG@10 = [10 ≤ 10] / log2(10 + 1)")
    rank.press("ArrowRight")
    expect(told).to_contain_text("outside the first 10: only MRR still sees it")
    expect(gains).to_have_text(["0.000", "0.000", "0.091"])
    expect(target.locator(".number")).to_have_text("11")
    rank.press("End")
    expect(root.locator(".drl-value")).to_have_text("240 of 240")
    expect(target.locator(".number")).to_have_text("240")  # below the list
    assert root.bounding_box()["height"] == height
    rank.fill("11")
    k.select_option("20")
    expect(gains.first).to_have_text("1.000")
    expect(root.locator("li.in")).to_have_count(20)

    row, first = target.bounding_box(), root.locator("li").first.bounding_box()
    page.mouse.move(row["x"] + 60, row["y"] + row["height"] / 2)
    page.mouse.down()
    page.mouse.move(first["x"] + 60, first["y"] + first["height"] / 2, steps=6)
    page.mouse.up()
    expect(target.locator(".number")).to_have_text("1")
    expect(gains).to_have_text(["1.000", "1.000", "1.000"])
    # A finger scrolls the page everywhere but on the grip.
    touched = "node => getComputedStyle(node).touchAction"
    assert target.evaluate(touched) == "auto" and target.locator(".grip").evaluate(touched) == "none"
    assert target.locator(".grip").bounding_box()["width"] < 40

    before = root.locator(".rank-past").inner_text()
    root.get_by_label("Reader").select_option(index=3)
    expect(root.locator(".rank-past")).not_to_have_text(before)
    expect(target.locator(".number")).to_have_text("40")  # further down than the list, and told below it
    expect(told).to_contain_text(re.compile("rank 40 of 240, outside"))
    look(page, "06_metrics_after")
    command(page, "application:toggle-left-area")
    for width in (1100, 400):
        page.set_viewport_size({"width": width, "height": 1000})
        root.scroll_into_view_if_needed()
        look(page, f"06_metrics_{width}")
    assert root.evaluate("node => node.scrollWidth <= node.clientWidth")
