"""An exported page: the player and the simple explorers work from file://, offline, without a kernel."""

import nbformat
import pytest
import torch

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import explorer, slider
from diffrec_lite.widgets.export import VIEW, export
from diffrec_lite.widgets.player import player, trajectory_data


@pytest.fixture(scope="module")
def data():
    books = load("bookshop")
    torch.manual_seed(0)
    model = models.build("dcrec", books.num_items, d=16, blocks=1, heads=2, T=8).eval()
    return trajectory_data(model, books, [3, 8], steps=[8, 2, 1], seeds=[0, 1])


def notebook_of(*widgets):
    """A notebook as nbclient leaves it after running one cell for each widget."""
    notebook = nbformat.v4.new_notebook()
    states = {}
    for widget in widgets:
        bundle, metadata = widget._repr_mimebundle_()
        states[widget.model_id] = {"state": widget.get_state()}
        output = nbformat.v4.new_output("execute_result", data=bundle, metadata=metadata, execution_count=1)
        notebook.cells.append(nbformat.v4.new_code_cell("show()", outputs=[output], execution_count=1))
        assert VIEW in bundle
    notebook.cells.append(nbformat.v4.new_markdown_cell(r"The signal $\sqrt{\bar\alpha_t}$ fades, and `$x$` is code."))
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": states}}
    return notebook


@pytest.fixture
def offline(page, tmp_path):
    """Open an exported page with the network cut; afterwards, no request may have been tried and no error seen."""
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))

    def open_page(*widgets):
        path = tmp_path / "page.html"
        path.write_text(export(notebook_of(*widgets), tmp_path, "A page"), encoding="utf-8")
        page.context.set_offline(True)
        page.goto(path.as_uri())
        page.wait_for_selector(".drl-explorer")
        return page

    yield open_page
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert errors == []


def test_keys_move_both_chains(offline, data):
    page = offline(player(data, panels=[("DCRec", 8), ("DCRec", 2)]))
    full, skipped = (page.locator(".drl-panel .drl-readout").nth(i) for i in range(2))
    assert "t = 8, move 0 of 8\nprediction: none yet" in full.inner_text()

    page.get_by_label("Step t").press("ArrowRight")
    state = data.states(0, 8, 0)[1]
    assert f"t = 7, move 1 of 8\nprediction: rank {state['rank']} of 240" in full.inner_text()
    assert f"distance {state['distance']:.2f}" in full.inner_text()
    assert "t = 8, move 0 of 2" in skipped.inner_text()
    titles = [data.items["title"][item] for item in state["nearest"]]
    assert page.locator(".drl-nearest").first.inner_text().replace(" ★", "").split("\n") == titles

    page.keyboard.press("End")
    assert "t = 0, move 8 of 8" in full.inner_text()
    assert f"t = 0, move 2 of 2\nprediction: rank {data.states(0, 2, 0)[-1]['rank']}" in skipped.inner_text()
    page.keyboard.press("Home")
    assert "t = 8, move 0 of 8" in full.inner_text()


def test_reader_seed_and_steps_can_be_chosen(offline, data):
    page = offline(player(data, panels=[("DCRec", 8), ("DCRec", 2)]))
    page.get_by_label("To the end").click()
    page.get_by_label("Reader").select_option(value="1")
    page.get_by_label("Noise seed").select_option(value="1")
    page.get_by_label("Steps of panel 2").select_option(index=2)
    text = page.locator(".drl-live").inner_text()
    assert data.items["title"][data.readers[1]["target"]] in text
    assert f"8 steps: rank {data.states(1, 8, 1)[-1]['rank']}" in text
    assert f"1 step: rank {data.states(1, 1, 1)[-1]['rank']}" in text


def test_play_runs_to_the_end_and_pause_stops_it(offline, data):
    page = offline(player(data, panels=[("DCRec", 2), ("DCRec", 1)]))
    page.locator(".drl-player").focus()
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Pause").is_visible()
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Play").is_visible()
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('.drl-live').textContent.startsWith('t = 0.')")
    page.get_by_role("button", name="Play").wait_for()


def test_a_simple_explorer_answers_too(offline):
    def draw(step):
        fig, ax = style.axes(size="small")
        ax.bar([0], [step])
        return fig

    page = offline(
        explorer(draw, lambda step: f"step {step} is shown", title="T", alt="A bar.", step=slider("Step", [1, 5]))
    )
    picture = page.locator(".drl-picture").get_attribute("src")
    page.get_by_label("Step").press("ArrowRight")
    assert page.locator(".drl-readout").inner_text() == "step 5 is shown"
    assert page.locator(".drl-picture").get_attribute("src") != picture
    assert page.locator(".drl-picture").get_attribute("alt") == "A bar. step 5 is shown"


def test_formulas_are_drawn_and_code_is_left_alone(offline, data):
    page = offline(player(data))
    drawn = page.locator("math")
    assert drawn.get_attribute("alttext") == r"\sqrt{\bar\alpha_t}"
    assert drawn.locator("msqrt").bounding_box()["width"] > 10
    assert page.locator("code", has_text="$x$").count() == 1
