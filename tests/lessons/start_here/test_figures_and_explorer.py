"""The pure functions behind notebook 00's explorer and figures."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch

from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.lessons import start_here as lesson
from diffrec_lite.models import build, load_checkpoint
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
    assert shelf["models"][1]["top"][0] == shelf["truth"]


@pytest.mark.parametrize("row", range(6))
def test_the_candidates_are_the_truth_and_what_the_models_like_of_the_unread(dataset, scorers, row):
    shelf = lesson.explorer.shelves(dataset, scorers, [row], k=9)[0]
    chosen, read = shelf["candidates"], shelf["history"]
    assert shelf["truth"] in chosen and len(chosen) == len({book["title"] for book in chosen})
    assert [book["title"] for book in chosen] == sorted(book["title"] for book in chosen)
    others = [book for book in chosen if book != shelf["truth"]]
    assert not any(book in read for book in others)
    unread = 9 - len({book["title"] for book in [*read, shelf["truth"]]})
    assert len(others) == min(unread, lesson.explorer.CANDIDATES - 1)
    for model in shelf["models"]:
        assert model["top"][0] in [*chosen, *read]


@pytest.mark.parametrize("row", [0, 5])
def test_the_picture_shows_all_books_and_does_not_give_the_answer_away(dataset, scorers, row):
    shelf = lesson.explorer.shelves(dataset, scorers, [row])[0]
    shown = [text for ax in lesson.figures.shelf(shelf).axes for text in ax.texts]
    assert min(text.get_fontsize() for text in shown) >= 9
    texts = [text.get_text() for text in shown]
    count = len(shelf["history"])
    assert texts[: count + 1] == [
        f"Reader {shelf['reader']}: all {count} books, oldest first",
        *(book["title"] for book in shelf["history"]),
    ]
    assert texts[count + 1 :] == ["Which book comes next?", *(book["title"] for book in shelf["candidates"])]


def test_the_explorer_begins_without_a_guess_and_has_a_picture_of_each_reader(dataset, scorers):
    explorer = lesson.explorer.shelf_explorer(dataset, scorers, [0, 3])
    assert explorer.state == {"reader": 0, "guesses": {}}
    first = explorer.picture()
    explorer.state = {**explorer.state, "reader": 1}
    assert first.startswith(b"\x89PNG") and explorer.picture() != first


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


# ---------------------------------------------------------------- the map

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"


@pytest.fixture(scope="module")
def course_map():
    trained = {"DiffuRecSys": load_checkpoint("diffurecsys"), "DCRec": load_checkpoint("dcrec")}
    return lesson.figures.course_map(trained, load("bookshop"))


def test_every_part_of_both_models_is_a_box_with_a_link_to_a_notebook_that_exists(course_map):
    columns = course_map._repr_html_().split("<section>")[1:]
    assert [re.search("<h4>(.*?)</h4>", column)[1] for column in columns] == list(course_map.systems)
    for boxes, column in zip(course_map.systems.values(), columns, strict=True):
        items = re.findall("<li .*?</li>", column)
        assert len(items) == len(boxes)
        for box, item in zip(boxes, items, strict=True):
            assert f"<b>{box.name}</b>" in item and box.shape in item and box.kind in item
            assert all((NOTEBOOKS / link).exists() for link in re.findall('href="(.*?)"', item))
            assert "<a " in item


def test_the_map_leads_to_every_notebook_but_this_one_and_the_hybrid(course_map):
    links = set(re.findall('href="(.*?)"', course_map._repr_html_()))
    assert links == {path.name for path in NOTEBOOKS.glob("[0-9]*.ipynb")} - {
        "00_start_here.ipynb",
        "10_hybrid.ipynb",
    }


def test_no_part_is_explained_that_no_model_has(course_map):
    found = {word for boxes in course_map.systems.values() for box in boxes for word in (box.name, box.kind)}
    assert set(lesson.figures.PARTS) <= found


def test_a_part_that_nobody_explained_is_reported():
    model = build("dcrec", 240, d=16, heads=2, blocks=1, T=6, cond_ln=False).eval()
    with pytest.raises(KeyError, match="PlainLN"):
        lesson.figures.course_map({"DCRec": model}, load("bookshop"))
