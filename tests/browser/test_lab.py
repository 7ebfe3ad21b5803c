"""JupyterLab itself: a notebook opens, runs, and a failing cell is noticed."""

import nbformat
import pytest
from browser.lab import ERRORS, ROOT, open_notebook, run_notebook
from playwright.sync_api import expect

from notebooks import normalise

FIRST = "00_start_here"


def write(lab, name, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(normalise(nbformat.v4.new_notebook(cells=cells)), lab.folder / f"{name}.ipynb")


def test_a_notebook_runs_and_shows_what_it_prints(lab, page):
    write(lab, "tiny", "print(6 * 7)", "'the ' + 'end'")
    run_notebook(lab, page, "tiny")
    expect(page.locator(".jp-OutputArea-output")).to_contain_text(["42", "'the end'"])


def test_a_failing_cell_is_noticed(lab, page):
    write(lab, "broken", "1 / 0", "print('never')")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_notebook(lab, page, "broken")


@pytest.mark.skipif(not (ROOT / "notebooks" / f"{FIRST}.ipynb").exists(), reason=f"{FIRST} is not there yet")
def test_the_first_notebook_opens_with_its_stored_figures_and_no_error(lab, page):
    assert open_notebook(lab, page, FIRST) > 0
    expect(page.locator(".jp-NotebookPanel h1").first).to_be_visible()
    assert page.locator(".jp-NotebookPanel .jp-OutputArea-output img").count() > 0
    assert page.locator(ERRORS).count() == 0
