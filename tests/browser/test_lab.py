"""JupyterLab itself: a notebook opens, runs, and a failing cell is noticed."""

import sys

import nbformat
import pytest
from browser.lab import ERRORS, MODEL, look, open_notebook, run_notebook, save
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


def test_the_first_notebook_opens_with_its_stored_figures_and_no_error(lab, page):
    assert open_notebook(lab, page, FIRST) > 0
    expect(page.locator(".jp-NotebookPanel h1").first).to_be_visible()
    assert page.locator(".jp-NotebookPanel .jp-OutputArea-output img").count() > 0
    assert page.locator(ERRORS).count() == 0
    expect(page.locator(".Toastify__toast")).to_have_count(0)  # no news: the learner came for the course


def test_a_notebook_that_is_only_opened_is_not_marked_as_changed(lab, page):
    path = lab.folder / f"{FIRST}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.language_info.version = ".".join(map(str, sys.version_info[:3]))  # of the kernel that opens it
    nbformat.write(notebook, path)
    open_notebook(lab, page, FIRST)
    page.wait_for_timeout(2000)  # what JupyterLab still has to write into it comes after the kernel
    assert not page.evaluate(f"{MODEL}.dirty")


def test_explorers_are_there_and_move_when_a_saved_notebook_is_opened_again_the_next_day(lab, page):
    run_notebook(lab, page, "01_forward_noising")
    save(page)
    lab.stop_kernels()
    open_notebook(lab, page, "01_forward_noising")  # with a new kernel, which knows nothing of what stands there
    explorer = page.locator(".drl-explorer").first
    explorer.scroll_into_view_if_needed()
    look(page, "reopened_the_next_day")
    before = explorer.inner_text()
    explorer.locator("input[type=range]").first.press("ArrowRight")
    assert explorer.inner_text() != before
    assert page.get_by_text("Error displaying widget").count() == 0


def test_markdown_is_shown_as_a_page(lab, page):
    page.goto(f"{lab.url}/lab/tree/notation.md?reset")
    expect(page.locator(".jp-MarkdownViewer h1")).to_contain_text("Notation and glossary")
