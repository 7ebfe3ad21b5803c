"""Every number that a sentence of a notebook claims is printed, set in code, or recorded in the file that it names."""

import nbformat
import pytest
from claims import DEFINED, claims, unfound

from notebooks import course

COURSE = course()
names = pytest.mark.parametrize("path", COURSE, ids=[path.stem for path in COURSE])


@names
def test_every_number_of_a_sentence_is_found(path):
    assert unfound(nbformat.read(path, as_version=4)) == []


def test_no_constant_is_defined_that_no_notebook_says():
    said = {claim.text for path in COURSE for claim in claims(nbformat.read(path, as_version=4))}
    assert set(DEFINED) - said == set()


# On small notebooks.


def notebook(sentence, shown="", code="1"):
    outputs = [nbformat.v4.new_output("stream", text=shown)]
    figure = nbformat.v4.new_output("display_data", data={"text/plain": "Figure: it ends at 0.77", "image/png": "aGk="})
    cells = [nbformat.v4.new_code_cell(code, outputs=[*outputs, figure]), nbformat.v4.new_markdown_cell(sentence)]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("HR@5 is .338.", "0.338"),
        ("HR@5 is about .34.", "0.338"),
        ("It falls by 0.338.", "-0.338"),
        ("A third, 34 %, is left.", "0.338"),
        ("A third, 33.8 %, is left.", "0.338"),
        ("A third, .34, is left.", "34%"),
        ("There are 1,544 readers.", "1544"),
        ("There are 1544 readers.", "(1,544, 3)"),
        ("Five of 12 in 2019, reader 776 among them.", ""),
        ("Set `x = .338`, and $y = .338$.", ""),
        ("See [Ho et al. 2020](https://arxiv.org/abs/2006.11239).", ""),
        ("```python\nx = 0.338\n```\nis it.", ""),
        ("## Quiz\n\nA has .338.", ""),
        ("### Predict\n\nA tenth, .1? Say it, .12 or .13.\n\n### See\n\nIt is .34.", "0.338"),
        ("Is it .3?", ""),
        ("As in arXiv 2605.07125.", ""),
        ("The mean is 8.87 [P]. The paper gives .0667 for HR@5 [P].", "8.87"),
        ("The ledger says 0.73 %.", ""),
        ("HR@5 is .0634 (`data/runs/beauty_dcrec_repaired_0.json`).", ""),
        ("A half in 95 % of them.", ""),
    ],
)
def test_a_number_is_found(sentence, shown):
    assert unfound(notebook(sentence, shown)) == []


@pytest.mark.parametrize(
    ("sentence", "shown", "missing"),
    [
        ("HR@5 is .339.", "0.338", ".339"),
        ("HR@5 is .33.", "0.338", ".33"),
        ("HR@5 is .338.", "0.34", ".338"),
        ("33 % are left.", "0.338", "33 %"),
        ("There are 1,545 readers.", "1544", "1,545"),
        ("It ends at .77.", "", ".77"),
        ("The paper gives .06673 for HR@5 [P].", "", ".06673"),
        ("The paper gives .0667 for HR@5.", "", ".0667"),
        ("HR@5 is .06349 (`data/runs/beauty_dcrec_repaired_0.json`).", "", ".06349"),
        ("It says .338. The rest follows.\n\n## Quiz\n\n.5", "", ".338"),
        ("### Predict\n\nIs it .3?\n\n### See\n\nIt is .338.", "", ".338"),
        ("Is it .3? It is .338.", "", ".338"),
        ("| a | .338 |\n|---|---|\n| b | `.3` |", "", ".338"),
    ],
)
def test_a_number_is_missed(sentence, shown, missing):
    found = unfound(notebook(sentence, shown))
    assert [line.split(" is found nowhere")[0] for line in found] == [missing]


def test_a_number_that_the_code_sets_is_found_as_it_stands():
    assert unfound(notebook("A backoff of 500, and .25.", code="f(backoff=500.0, share=0.25)")) == []
    assert len(unfound(notebook("A backoff of 501, and .3.", code="f(backoff=500.0, share=0.25)"))) == 2
