"""Notebook 03 in a real browser: reader, direction, head and the size of lambda choose another map of weights."""

import re

from browser.lab import command, look, run_notebook
from playwright.sync_api import expect


def test_every_picker_changes_the_map(lab, page):
    run_notebook(lab, page, "03_cross_attention", shows=["attention_explorer"])
    root = page.locator(".diffrec-attention").first
    root.scroll_into_view_if_needed()
    told, cells, rows = root.locator(".drl-readout"), root.locator("td"), root.locator("tbody th")
    pick = {name: root.get_by_label(name, exact=True) for name in ("Reader", "Attention", "Head", "Size of lambda")}
    expect(cells).to_have_count(64)
    expect(told).to_contain_text("least cosine")
    assert set(cells.all_inner_texts()) == {"12.5"}  # the noised target answers everybody alike
    answer, height = root.locator(".drl-told"), root.bounding_box()["height"]
    expect(answer).not_to_contain_text("points")
    root.locator(".drl-options button").first.press("Enter")
    expect(answer).to_contain_text("✓ Yes. Within a row the weights then differ")
    look(page, "03_cross_attention_paper")

    pick["Size of lambda"].select_option(index=2)
    expect(cells.first).not_to_have_text("12.5")
    pick["Size of lambda"].select_option(index=0)

    pick["Attention"].select_option(index=1)
    expect(rows.first).to_contain_text("noised target")
    table = [row.locator("td").all_inner_texts() for row in root.locator("tbody tr").all()]
    assert len(set(table[0])) > 1 and all(row == table[0] for row in table)  # one pooled answer for all
    sum_of = re.findall(r"0\.\d{3}", root.locator(".drl-equation div").last.inner_text())
    assert [f"{100 * float(weight):.0f}" for weight in sum_of] == [f"{float(weight):.0f}" for weight in table[-1]]
    look(page, "03_cross_attention_program")

    pick["Attention"].select_option(index=3)
    expect(told).to_contain_text("It looks most at")
    first = cells.all_inner_texts()
    pick["Head"].select_option(index=1)
    assert cells.all_inner_texts() != first
    last = told.inner_text().splitlines()[0]
    pick["Reader"].select_option(index=1)
    expect(told).not_to_contain_text(last)
    assert root.bounding_box()["height"] == height
    look(page, "03_cross_attention_self")
    command(page, "application:toggle-left-area")
    for width in (1100, 400):
        page.set_viewport_size({"width": width, "height": 1000})
        root.scroll_into_view_if_needed()
        look(page, f"03_cross_attention_{width}")
    assert root.evaluate("node => node.scrollWidth <= node.clientWidth")
