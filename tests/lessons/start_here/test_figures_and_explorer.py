"""The pure functions behind notebook 00's explorer and figures."""

import pandas as pd
import pytest
import torch

from diffrec_lite.data import SequenceDataset
from diffrec_lite.evaluation import evaluate
from diffrec_lite.lessons import start_here as lesson
from diffrec_lite.models import build
from diffrec_lite.widgets import style


@pytest.fixture(scope="module")
def dataset():
    rows = [(user, (user + step) % 9 + 1, step) for user in range(6) for step in range(4 + user)]
    log = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    books = pd.DataFrame({"title": [f"Book {i}" for i in range(1, 10)], "genre": "Tales"}, index=list("123456789"))
    return SequenceDataset.from_log(log, "rings", books)


@pytest.fixture(scope="module")
def scorers(dataset):
    models = {name: build(name, dataset.num_items) for name in ("popularity", "markov")}
    for model in models.values():
        model.fit_counts(dataset)
    return models


def test_a_shelf_holds_history_truth_and_ranks(dataset, scorers):
    shelf = lesson.explorer.shelves(dataset, scorers, [2], k=3)[0]
    items = dataset.history(2)
    assert [book["title"] for book in shelf["history"]] == [dataset.title(i) for i in items[:-1]]
    assert shelf["truth"] == {"title": dataset.title(items[-1]), "genre": "Tales"}
    assert [model["name"] for model in shelf["models"]] == ["popularity", "markov"]
    assert [len(model["top"]) for model in shelf["models"]] == [3, 3]


def test_ranks_are_those_of_the_evaluation(dataset, scorers):
    found = lesson.explorer.shelves(dataset, scorers, range(len(dataset.test)))
    for place, (_name, scorer) in enumerate(scorers.items()):
        assert [shelf["models"][place]["rank"] for shelf in found] == evaluate(scorer, dataset).ranks.tolist()


def test_the_markov_model_finds_the_ring(dataset, scorers):
    shelf = lesson.explorer.shelves(dataset, scorers, [5])[0]
    assert shelf["models"][1]["rank"] == 1
    assert shelf["models"][1]["top"][0]["hit"] and shelf["models"][1]["top"][0]["title"] == shelf["truth"]["title"]


def test_a_hidden_answer_is_not_given_away(dataset, scorers):
    shelf = lesson.explorer.shelves(dataset, scorers, [0])[0]
    assert shelf["truth"]["title"] in lesson.explorer.readout(shelf)
    hidden = lesson.explorer.readout(shelf, "hidden")
    assert shelf["truth"]["title"] not in hidden and "rank" not in hidden


@pytest.mark.parametrize("row, words", [(5, "last 7 of 8, oldest first"), (0, "all 3, oldest first")])
def test_a_shelf_says_how_many_books_it_shows(dataset, scorers, row, words):
    shelf = lesson.explorer.shelves(dataset, scorers, [row])[0]
    texts = [text.get_text() for text in lesson.figures.shelf(shelf).axes[0].texts]
    assert words in texts
    assert min(text.get_fontsize() for text in lesson.figures.shelf(shelf).axes[0].texts) > 8


def test_the_explorer_has_a_picture_for_each_state(dataset, scorers):
    explorer = lesson.explorer.shelf_explorer(dataset, scorers, [0, 3])
    assert "Which book comes next?" in explorer.frame()[1]  # the answer is hidden at first
    picture, text = explorer.frame(reader=dataset.user_tokens[3], answer="shown")
    assert picture != explorer.frame(reader=dataset.user_tokens[3], answer="hidden")[0]
    assert f"Reader {dataset.user_tokens[3]}" in text


def test_every_figure_draws(dataset, scorers):
    evaluations = {name: evaluate(model, dataset) for name, model in scorers.items()}
    for fig in (
        lesson.figures.split([5, 3, 2]),
        lesson.figures.popularity(dataset),
        lesson.figures.ceiling(evaluations),
    ):
        assert style.png(fig).startswith(b"\x89PNG")
    with pytest.raises(KeyError):
        lesson.figures.ceiling({**evaluations}, names=("HR@5", "no such metric"))
    assert torch.is_tensor(evaluations["markov"].ranks)
