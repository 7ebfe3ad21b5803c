"""Notebook 06 in a real browser: slider, keyboard, k, reader and mouse all move the true book and its gains."""

import re

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_the_true_book_can_be_moved_through_the_ranking(lab, page):
    run_notebook(lab, page, "06_metrics")
    root = page.locator(".rl").first
    root.scroll_into_view_if_needed()
    told, rank, k = (
        root.locator(".rl-told"),
        root.get_by_label("rank of the true book"),
        root.get_by_label("k, the length"),
    )
    target = root.locator("li.target")
    expect(told).to_contain_text("Here the model put it.")
    look(page, "06_metrics_before")

    rank.fill("10")
    expect(told).to_contain_text("is at rank 10 of 240, inside the first 10")
    expect(root.locator(".rl-gain b")).to_have_text(["1.000", "0.289", "0.100"])
    rank.press("ArrowRight")
    expect(told).to_contain_text("outside the first 10: only MRR still sees it")
    expect(root.locator(".rl-gain b")).to_have_text(["0.000", "0.000", "0.091"])
    expect(target).to_have_text(re.compile("^11"))
    k.select_option("20")
    expect(root.locator(".rl-gain b").first).to_have_text("1.000")
    expect(root.locator("li.in")).to_have_count(20)

    row, first = target.bounding_box(), root.locator("li").first.bounding_box()
    page.mouse.move(row["x"] + 40, row["y"] + row["height"] / 2)
    page.mouse.down()
    page.mouse.move(first["x"] + 40, first["y"] + first["height"] / 2, steps=6)
    page.mouse.up()
    expect(target).to_have_text(re.compile("^1[^0-9]"))
    expect(root.locator(".rl-gain b")).to_have_text(["1.000", "1.000", "1.000"])

    before = root.locator(".rl-past").inner_text()
    root.get_by_label("reader").select_option(index=3)
    expect(root.locator(".rl-past")).not_to_have_text(before)
    expect(target).to_have_text(re.compile("^40"))  # further down than the list, and told below it
    look(page, "06_metrics_after")
