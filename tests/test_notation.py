"""The page of symbols and terms agrees with the package and with the notebooks."""

import nbformat
import pytest
from notation import PAGE, check, names_of_the_package

from notebooks import course


def text(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(source) for source in sources])


NOTEBOOKS = {
    "00": text(r"A score $s_j$ in words, $\text{count}$, and in code, `$q$`."),
    "01": text(r"Noise: $$x_t = \sqrt{\bar\alpha_t}\,x_0 + \hat x_0$$ with a schedule."),
}
GOOD = r"""
| symbol | what it is | shape | in code | first in |
|---|---|---|---|---|
| $s_j$ | a score | `(B, V)` | `score` | 00 |
| $x_0$ | clean | `(B, d)` | `x0` | 01 |
| $x_t$ | noised | `(B, d)` | `xt`, `q_sample` | 01 |
| $\hat x_0$ | guessed | `(B, d)` | | 01 |
| $\bar\alpha_t$ | left | number | `abar` | 01 |
| `V` | items | | | 00 |

## Glossary

- **Noise**: random numbers.
- **Schedule**: how much of it.
"""
NAMES = {"score", "x0", "xt", "q_sample", "abar"}


def test_the_page_agrees_with_the_package_and_the_notebooks():
    notebooks = {path.name[:2]: nbformat.read(path, as_version=4) for path in course()}
    assert check(PAGE.read_text(encoding="utf-8"), notebooks, names_of_the_package()) == []


def test_a_good_page_gives_no_complaint():
    assert check(GOOD, NOTEBOOKS, NAMES) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("| $s_j$ | a score |", "| $x_t$ | again | | | 01 |\n| $s_j$ | a score |", "x_t has 2 rows"),
        ("`q_sample`", "`q_simple`", "the package has no q_simple"),
        ("`score` | 00 |", "`score` | 01 |", "s_j stands first in 00, and its row says 01"),
        ("| $x_0$ |", "| $x_9$ |", "x_9 stands first in none, and its row says 01"),
        (r"| $\bar\alpha_t$ | left | number | `abar` | 01 |", "", r"\bar\alpha_t of 01 has no row"),
        (r"| $\hat x_0$ | guessed | `(B, d)` | | 01 |", "", r"\hatx_0 of 01 has no row"),
        ("- **Noise**: random numbers.\n", "- **Token**: a name.\n", "the glossary is not in the order"),
        ("- **Noise**", "- **Noice**", "no notebook says Noice"),
    ],
)
def test_the_page_is_reported(old, new, complaint):
    assert old in GOOD
    assert any(found.startswith(complaint) for found in check(GOOD.replace(old, new), NOTEBOOKS, NAMES))
