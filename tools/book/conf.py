"""How Sphinx sets the course. `tools/book.py` writes the pages that it reads."""

from __future__ import annotations

import itertools
from typing import Any

project = author = "diffrec-lite"
html_title = "Diffusion models for sequential recommendation"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc"]

nb_execution_mode = "off"  # they have been run
myst_enable_extensions: list[str] = []  # formulas are MathML by then
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]
default_role = "code"
autodoc_member_order = "bysource"

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_context = {"default_mode": "auto"}  # light or dark, as the reader's computer is
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navigation_with_keys": False,  # the arrow keys belong to the explorers
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def literal(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """What a docstring sets apart by indenting it, an equation or an example, keeps its lines."""
    plain = []
    for before, line in itertools.pairwise(["", *lines]):
        last = next((text for text in reversed(plain) if text), "")
        if line.startswith("    ") and not before and not last.startswith((" ", "- ", "::")):
            plain += ["::", ""]
        plain.append(line)
    lines[:] = plain


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", literal)
