"""Write a notebook as one HTML file in which the explorers work, with no network and no kernel.

    python -m diffrec_lite.widgets.export notebooks/05_step_skipping.ipynb step_skipping.html

The stored notebooks hold a picture in each explorer's place, so the notebook is run first to get the explorers back.
In the page, each explorer's own ES module and data stand inline, served by a model of ten lines; formulas are MathML,
since MathJax would have to come from the network. The page makes no request at all.
"""

from __future__ import annotations

import argparse
import html
import json
import re
from pathlib import Path
from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"

# The lab template without what it would fetch: RequireJS, the widget manager, MathJax, Mermaid.
TEMPLATE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""

SHIM = """
function modelOf(state) {
  const heard = {};
  return {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; (heard["change:" + name] ?? []).forEach((f) => f()); },
    on: (event, f) => (heard[event] ??= []).push(f),
    off: (event, f) => { heard[event] = (heard[event] ?? []).filter((g) => g !== f); },
    save_changes: () => {},
    send: () => {},
  };
}
const models = {};
for (const el of document.querySelectorAll("[data-explorer]")) {
  const { esm, css, state } = EXPLORERS[el.dataset.explorer];
  const model = (models[el.dataset.explorer] ??= modelOf(state)); // one for all places that show the same explorer
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  import(url).then((module) => { el.replaceChildren(); module.default.render({ model, el }); });
}
"""


def run(notebook: Any, folder: Path) -> Any:
    """The notebook, executed in `folder`, with the state of its widgets."""
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook, timeout=600, store_widget_state=True, resources={"metadata": {"path": str(folder)}}
    )
    return client.execute()


def explorers(notebook: Any) -> dict[str, dict[str, Any]]:
    """The module, style and state of every anywidget in an executed notebook, by model id."""
    states = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    return {
        key: {
            "esm": model["state"]["_esm"],
            "css": model["state"].get("_css", ""),
            "state": {name: value for name, value in model["state"].items() if not name.startswith("_")},
        }
        for key, model in states.items()
        if "_esm" in model["state"]
    }


def mount(notebook: Any, found: dict[str, Any]) -> None:
    """Put HTML where a picture is: a place for the explorer that it stands for until the module runs, or the picture
    with its description."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            key = data.pop(VIEW, {}).get("model_id")
            if "image/png" in data:
                alt = html.escape(data.get("text/plain", ""), quote=True)
                picture = f'<img alt="{alt}" src="data:image/png;base64,{data.pop("image/png").strip()}">'
                data["text/html"] = f'<div data-explorer="{key}">{picture}</div>' if key in found else picture


def script(found: dict[str, Any]) -> str:
    """What makes the explorers of a page move, as one inline script, to stand below them."""
    data = json.dumps(found).replace("<", "\\u003c")  # no "</script>" inside a script
    return f'<script type="module">\nconst EXPLORERS = {data};{SHIM}</script>\n'


def formula(tex: str, block: bool) -> str:
    """TeX as MathML, which browsers draw and screen readers read; its source as `alttext`.

    What Markdown would take for its own stands as a character reference. Raises ValueError for TeX that cannot be set.
    """
    from latex2mathml.converter import convert

    tex = " ".join(tex.split())
    try:
        drawn = convert(tex, display="block" if block else "inline")
        if unknown := re.search(r"\\\w+", drawn):  # which the converter sets as a word
            raise ValueError(f"unknown command {unknown[0]}")
    except Exception as problem:  # the converter has a class of its own for each mistake
        raise ValueError(f"this formula cannot be set: {tex}") from problem
    drawn = re.sub(r"[*_|`]", lambda found: f"&#{ord(found[0])};", drawn)
    wide = ' tabindex="0"' if block else ""  # where it is wider than the page, keys can move it
    return drawn.replace("<math ", f'<math alttext="{_reference(tex)}"{wide} ', 1)


def _reference(text: str) -> str:
    """Text for an attribute, every character that means something to HTML or Markdown as a reference."""
    return re.sub(r"[^\w\s(),.+=-]|_", lambda found: f"&#{ord(found[0])};", text)


def set_formulas(markdown: str) -> str:
    """Markdown with each $…$ and $$…$$ set by `formula`; code is left alone."""
    pattern = r"(```.*?```|`[^`\n]*`)|\$\$(.+?)\$\$|(?<![\\\w$])\$(?!\s)([^$\n]+?)(?<![\s\\])\$(?![\w$])"

    def replace(match: re.Match) -> str:
        if match[1]:
            return match[1]
        return formula(match[2], True) if match[2] else formula(match[3], False)

    return re.sub(pattern, replace, markdown, flags=re.S)


def export(notebook: Any, folder: Path, title: str) -> str:
    """The page of a notebook, run in `folder` first unless the state of its widgets is stored in it."""
    from nbconvert import HTMLExporter

    if not explorers(notebook):
        notebook = run(notebook, folder)
    found = explorers(notebook)
    mount(notebook, found)
    notebook.metadata.pop("widgets", None)
    notebook.metadata["title"] = title
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = set_formulas(cell.source)
    page, _ = HTMLExporter(raw_template=TEMPLATE).from_notebook_node(notebook)
    return page.replace("</body>", script(found) + "</body>")


def main(arguments: list[str] | None = None) -> None:
    """The command line: a notebook in, a page out."""
    import nbformat

    parser = argparse.ArgumentParser(prog="python -m diffrec_lite.widgets.export", description=__doc__.split("\n")[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("page", type=Path)
    given = parser.parse_args(arguments)
    if not given.notebook.is_file():
        parser.error(f"{given.notebook}: no such notebook")
    if not given.page.parent.is_dir():
        parser.error(f"{given.page.parent}: no such folder")
    notebook = nbformat.read(given.notebook, as_version=4)
    given.page.write_text(export(notebook, given.notebook.parent, given.notebook.stem), encoding="utf-8")
    print(f"{given.page}: {given.page.stat().st_size // 1000} kB, works without network")


if __name__ == "__main__":
    main()
