"""What the site runs again of a notebook, and what it refuses to show."""

import book
import nbformat
import pytest
from nbformat import v4

SHOWN = """class Shown:
    def __init__(self, place):
        self.bundle = {"image/png": "", "text/plain": f"at {place}"}

    def _repr_mimebundle_(self, **_):
        return self.bundle
"""
SHOW = "display(Shown(1))\nShown(place)"
CELLS = [SHOWN, "raise RuntimeError('nothing hangs on this cell')", "place = 2", SHOW]


def picture(kind, description, **more):
    return v4.new_output(kind, data={"image/png": "", "text/plain": description}, **more)


def stored(first="at 1", second="at 2", count=1):
    """A notebook whose last cell displayed an explorer and has another for its value; its second shows a figure."""
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source, execution_count=count) for source in CELLS])
    explorers = [picture("display_data", first), picture("execute_result", second, execution_count=count)]
    notebook.cells[-1].outputs = explorers
    notebook.cells[1].outputs = [picture("display_data", "Figure: as it was")]
    return nbformat.from_dict(notebook)


def test_only_what_an_explorer_hangs_on_is_run_again(tmp_path):
    notebook = book.revive(stored(), tmp_path)
    assert notebook.cells[1].outputs[0].data["text/plain"] == "Figure: as it was"
    assert [output.data["text/plain"] for output in notebook.cells[3].outputs] == ["at 1", "at 2"]
    assert [cell.source for cell in notebook.cells] == CELLS


@pytest.mark.parametrize(
    ("notebook", "why"),
    [(stored(first="at 3"), "older run"), (stored(second="at 3"), "older run"), (stored(count=None), "not been run")],
)
def test_what_is_stored_must_be_what_a_run_shows(notebook, why, tmp_path):
    with pytest.raises(ValueError, match=why):
        book.revive(notebook, tmp_path)
