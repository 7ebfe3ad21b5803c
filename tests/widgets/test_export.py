"""What the exported page makes of a notebook's text and pictures."""

import html
import re

import nbformat
import pytest
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from diffrec_lite.widgets.export import formula, main, mount, set_formulas
from notebooks import course


def texts():
    for path in course():
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                yield cell.source


def drawn(markdown):
    """The formulas of a text as the page has them, after Markdown had its turn."""
    return re.findall(r"<math .*?</math>", markdown2html_mistune(set_formulas(markdown)), flags=re.S)


def test_every_formula_of_the_course_reaches_the_page_as_it_was_drawn():
    """No TeX is left over, and Markdown changes nothing, not even in a table, where a bar would end the cell."""
    count = 0
    for text in texts():
        made = re.findall(r"<math .*?</math>", set_formulas(text), flags=re.S)
        assert [html.unescape(one) for one in drawn(text)] == [html.unescape(one) for one in made]
        for one in made:
            inside = re.sub("<[^>]*>", "", html.unescape(one))
            assert "\\" not in inside and "$" not in inside, one
        count += len(made)
    assert count > 300


@pytest.mark.parametrize("tex", [r"\mathcal N(0, I)", r"r \le 5", r"\sqrt d", r"\frac1N", r"a\;b", r"|x|", r"a^*_i"])
def test_a_formula_survives_between_stars_and_bars(tex):
    text = f"| a | b |\n|---|---|\n| *see* ${tex}$ | __c__ |\n"
    (one,) = drawn(text)
    assert html.unescape(re.search('alttext="([^"]*)"', one)[1]) == tex
    assert markdown2html_mistune(set_formulas(text)).count("<td>") == 2


@pytest.mark.parametrize("tex", ["x_a_b", r"\left( x", r"\nosuchcommand x"])
def test_a_formula_that_cannot_be_set_is_named(tex):
    with pytest.raises(ValueError, match=re.escape(f"cannot be set: {tex}")):
        formula(tex, block=False)


def test_code_keeps_its_dollars():
    assert set_formulas("`$x$` and\n```\n$y$\n```\n") == "`$x$` and\n```\n$y$\n```\n"


def test_a_picture_keeps_its_description():
    picture = nbformat.v4.new_output("display_data", {"image/png": "AAAA\n", "text/plain": 'Figure: a "bar"'})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("show()", outputs=[picture])])
    mount(notebook, {})
    data = notebook.cells[0].outputs[0].data
    assert data["text/html"] == '<img alt="Figure: a &quot;bar&quot;" src="data:image/png;base64,AAAA">'


def test_a_folder_that_is_not_there_is_named_before_the_notebook_runs(tmp_path, capsys):
    notebook = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("open('ran', 'w')")]), notebook)
    with pytest.raises(SystemExit):
        main([str(notebook), str(tmp_path / "nowhere" / "one.html")])
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
