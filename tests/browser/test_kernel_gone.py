"""Every explorer goes on where its kernel has gone: telling it of a change fails, and the page follows all the same."""

import pytest
from browser import pages

EXPLORERS = [
    *("guess", "cloud", "noise", "attention", "fields", "ranking"),
    *("clinic", "balance", "cost", "shelf", "trajectories"),
]
# As anywidget draws a view, over a model whose way to its kernel is cut.
RENDER = """async ({ script, style, traits }) => {
    const heard = {};
    const model = {
        get: name => traits[name],
        set: (name, value) => { traits[name] = value; (heard[`change:${name}`] ?? []).forEach(act => act()); },
        on: (name, act) => (heard[name] ??= []).push(act),
        off: () => {},
        save_changes: () => { window.tries += 1; throw new Error("Canceled future for comm_msg"); },
    };
    window.tries = 0;
    document.head.append(Object.assign(document.createElement("style"), { textContent: style }));
    const { default: view } = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
    view.render({ model, el: document.body });
}"""


@pytest.mark.parametrize("name", EXPLORERS)
def test_an_explorer_follows_without_its_kernel(name, page):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    widget = getattr(pages, name)()
    traits = {key: value for key, value in widget.get_state().items() if not key.startswith(("_", "layout"))}
    page.evaluate(RENDER, {"script": str(widget._esm), "style": str(widget._css), "traits": traits})
    root = page.locator(".drl-explorer")
    drawn = "root => [root.innerText, ...[...root.querySelectorAll('svg, canvas')].map(one => one.outerHTML)].join()"
    before = root.evaluate(drawn)
    for control in root.locator("select:visible").all():
        control.select_option(index=control.locator("option").count() - 1)
    for control in root.locator("input[type=range]:visible").all():
        control.press("Home")
        control.press("ArrowRight")
    page.wait_for_timeout(200)
    assert page.evaluate("window.tries") > 0 and root.evaluate(drawn) != before
    assert errors == []
