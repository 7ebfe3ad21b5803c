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
CELLS = [SHOWN, "raise RuntimeError('nothing hangs on this cell')", "place = 2", "Shown(place)"]


def stored(description="at 2", count=1):
    """A notebook whose last cell showed an explorer with this description."""
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source, execution_count=count) for source in CELLS])
    data = {"image/png": "", "text/plain": description}
    notebook.cells[-1].outputs = [v4.new_output("execute_result", data=data, execution_count=count)]
    notebook.cells[1].outputs = [v4.new_output("stream", text="as it was")]
    return nbformat.from_dict(notebook)


def test_only_what_an_explorer_hangs_on_is_run_again(tmp_path):
    notebook = book.revive(stored(), tmp_path)
    assert notebook.cells[1].outputs[0].text == "as it was"
    assert notebook.cells[3].outputs[0].data["text/plain"] == "at 2"
    assert [cell.source for cell in notebook.cells] == CELLS


@pytest.mark.parametrize("notebook, why", [(stored("at 1"), "older run"), (stored(count=None), "not been run")])
def test_what_is_stored_must_be_what_a_run_shows(notebook, why, tmp_path):
    with pytest.raises(ValueError, match=why):
        book.revive(notebook, tmp_path)
