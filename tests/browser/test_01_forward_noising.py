"""Notebook 01 in a real browser: the cloud dissolves under the slider, and rounding starts to fail."""

import re

from browser.lab import command, look, run_notebook
from playwright.sync_api import expect


def test_the_cloud_dissolves(lab, page):
    run_notebook(lab, page, "01_forward_noising")
    cloud = page.locator(".diffrec-cloud").first
    cloud.scroll_into_view_if_needed()
    slider, shown = cloud.get_by_label("Step t"), cloud.locator(".drl-value")
    readout, nearest = cloud.locator(".drl-readout"), cloud.locator(".diffrec-nearest li")
    expect(nearest).to_have_count(5)
    told, equation = cloud.locator(".drl-told"), cloud.locator(".drl-equation")
    expect(told).to_have_text("Click a guess: the answer shows here.")
    cloud.locator(".drl-options button").first.press("Enter")
    expect(told).to_contain_text("By two numbers")

    slider.focus()
    page.keyboard.press("Home")
    expect(shown).to_contain_text("t = 0")
    expect(readout).to_contain_text("Its own rank is 1.")
    expect(nearest.first).to_contain_text("✓")
    clean = cloud.locator("circle").last.get_attribute("cx")
    look(page, "01_forward_noising_clean")

    cloud.get_by_label("Schedule", exact=True).select_option(label="trunc_lin")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(shown).to_contain_text("t = 1")
    height = cloud.bounding_box()["height"]
    filled = re.findall(r"√(\d\.\d+)", equation.inner_text())
    assert sum(map(float, filled)) == 1 and f"abar = {filled[0]}" in shown.inner_text()
    keep, x0, add, eps, xt = map(float, re.findall(r"[+-]?\d\.\d+", numbers(equation)))
    assert abs(keep * x0 + add * eps - xt) < 0.01 and abs(keep**2 - float(filled[0])) < 0.001
    page.keyboard.press("End")
    expect(shown).to_contain_text("t = 32")
    expect(readout).not_to_contain_text("Its own rank is 1.")
    assert cloud.locator("circle").last.get_attribute("cx") != clean
    assert cloud.bounding_box()["height"] == height  # nothing below it jumps
    look(page, "01_forward_noising_dissolved")

    before = readout.inner_text()
    cloud.get_by_label("Book", exact=True).select_option("3")
    expect(readout).not_to_have_text(before)

    cloud.get_by_label("Schedule", exact=True).select_option(label="linear")
    expect(readout).to_contain_text("Its own rank is 1.")

    slider.focus()
    page.keyboard.press("End")
    shown.evaluate("""readout => {
        window.seen = [];
        const keep = () => window.seen.push(Number(readout.textContent.match(/t = (\\d+)/)[1]));
        new MutationObserver(keep).observe(readout, { childList: true, characterData: true, subtree: true });
    }""")  # a slow page may not be asked in time for a step that it did show
    cloud.get_by_role("button", name="Play").click()
    page.wait_for_function("window.seen.includes(3)")
    assert list(dict.fromkeys(page.evaluate("window.seen")))[:4] == [0, 1, 2, 3]
    cloud.get_by_role("button", name="Pause").click()
    stopped = shown.inner_text()
    page.wait_for_timeout(800)
    assert shown.inner_text() == stopped
    command(page, "application:toggle-left-area")  # on a narrow page the list of files covers the notebook
    for width in (1100, 400):
        page.set_viewport_size({"width": width, "height": 1000})
        cloud.scroll_into_view_if_needed()
        look(page, f"01_forward_noising_{width}")
    assert cloud.evaluate("node => node.scrollWidth <= node.clientWidth")


def numbers(equation):
    """The last line of the equation, with plain signs and without the brackets around a number."""
    return equation.locator("div").last.inner_text().replace("−", "-").replace("(", " ").replace(")", " ")
