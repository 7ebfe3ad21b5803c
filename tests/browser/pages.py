"""Explorers in an exported page, as the browser tests open them: offline, from a file."""

import nbformat
import pandas as pd
import torch

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.data.shipped import shipped
from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons import (
    comparison,
    cond_layer_norm,
    cross_attention,
    dcrec,
    forward_noising,
    metrics,
    offset_noise,
    start_here,
    training,
)
from diffrec_lite.training import results
from diffrec_lite.widgets.export import VIEW, export
from diffrec_lite.widgets.live import live
from diffrec_lite.widgets.player import player
from diffrec_lite.widgets.trajectories import trajectory_data

SMALL = {"d": 16, "blocks": 1, "heads": 2, "T": 8}


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


def open_exported(page, folder, *widgets):
    """Write the page and go to it, with the network cut."""
    path = folder / "page.html"
    path.write_text(export(notebook_of(*widgets), folder, "A page"), encoding="utf-8")
    page.context.set_offline(True)
    page.goto(path.as_uri())
    page.wait_for_selector(".drl-explorer")


# ---------------------------------------------------------------- one explorer each, over models that learned nothing


def model_of(name, books):
    torch.manual_seed(0)
    return models.build(name, books.num_items, **SMALL).eval()


def genres_of(books):
    return ["", *books.item_features["genre"].fillna("")]


def guess():
    books = load("bookshop")
    scorers = {name: models.build(name, books.num_items) for name in ("popularity", "markov")}
    for scorer in scorers.values():
        scorer.fit_counts(books)
    return start_here.explorer.shelf_explorer(books, scorers, rows=[1, 15, 6])


def cloud():
    books = load("bookshop")
    torch.manual_seed(0)
    vectors, noise = torch.randn(2, books.num_items + 1, 16)
    diffusions = {name: GaussianDiffusion.of(name, 32) for name in ("trunc_lin", "cosine")}
    return forward_noising.explorer.cloud_explorer(
        vectors, books.titles, genres_of(books), noise, diffusions, [1, 50, 120]
    )


def noise():
    books = load("bookshop")
    return offset_noise.explorer.noise_explorer(model_of("diffurec", books), books, range(20))


def attention():
    books = load("bookshop")
    return cross_attention.explorer.attention_explorer(model_of("diffurecsys", books), books, [1, 4])


def fields():
    books = load("bookshop")
    readers = {f"reader {user}": books.history(user)[:-1].tolist() for user in (7, 40)}
    model = model_of("dcrec", books)
    for layer in cond_layer_norm.explorer.cond_layers(model).values():
        torch.nn.init.normal_(layer.modulation[1].weight, std=0.3)  # at the start of a training they are zero
    return cond_layer_norm.explorer.fields_explorer(model, readers, books.titles, genres_of(books))


def ranking():
    books = load("bookshop")
    scores = torch.randn(2, books.num_items + 1, generator=torch.Generator().manual_seed(0))
    readers = [metrics.explorer.ranking(s, 9 + i, books.titles, [3, 4, 5], str(i)) for i, s in enumerate(scores)]
    return metrics.explorer.ranking_explorer(readers, books.num_items)


def clinic():
    runs = pd.read_csv(shipped("runs/sick_runs.csv"))
    guides = {"loss": (5.48, "an even guess"), "val NDCG@10": (0.328, "counting")}
    return training.explorer.curves_explorer(training.explorer.clinic(runs, list(training.explorer.DISEASES), guides))


def balance():
    return dcrec.explorer.loss_balance(pd.read_csv(shipped("runs/loss_balance.csv")), popularity=0.08)


def cost():
    return comparison.explorer.cost_explorer(results.recorded())


def shelf():
    books, model = load("bookshop"), models.load_checkpoint("dcrec")
    full = [*range(1, model.settings.max_len + 1)]
    return live([model], books, {"full": full, "short": [5, 7]})


def trajectories():
    books = load("bookshop")
    data = trajectory_data(model_of("dcrec", books), books, [3, 8], steps=[8, 2, 1], seeds=[0, 1])
    return player(data, panels=[("DCRec", 2)])
