"""Notebook 03 in a real browser: reader, direction, head and the size of lambda choose another map of weights."""

from browser.lab import look, run_notebook
from playwright.sync_api import expect


def test_every_picker_changes_the_map(lab, page):
    run_notebook(lab, page, "03_cross_attention")
    root = page.locator(".diffrec-attention").first
    root.scroll_into_view_if_needed()
    told, cells, rows = root.locator(".drl-readout"), root.locator("td"), root.locator("tbody th")
    expect(cells).to_have_count(64)
    expect(told).to_contain_text("least cosine")
    assert set(cells.all_inner_texts()) == {"12.5"}  # the noised target answers everybody alike
    look(page, "03_cross_attention_paper")

    root.get_by_label("Size of lambda").select_option(index=2)
    expect(cells.first).not_to_have_text("12.5")
    root.get_by_label("Size of lambda").select_option(index=0)

    root.get_by_label("Attention").select_option(index=1)
    expect(rows.first).to_contain_text("noised target")
    table = [row.locator("td").all_inner_texts() for row in root.locator("tbody tr").all()]
    assert len(set(table[0])) > 1 and all(row == table[0] for row in table)  # one pooled answer for all
    look(page, "03_cross_attention_program")

    root.get_by_label("Attention").select_option(index=3)
    expect(told).to_contain_text("It looks most at")
    first = cells.all_inner_texts()
    root.get_by_label("Head").select_option(index=1)
    assert cells.all_inner_texts() != first
    last = told.inner_text().splitlines()[0]
    root.get_by_label("Reader").select_option(index=1)
    expect(told).not_to_contain_text(last)
    look(page, "03_cross_attention_self")
    page.set_viewport_size({"width": 1100, "height": 1000})
    root.scroll_into_view_if_needed()
    look(page, "03_cross_attention_1100")
