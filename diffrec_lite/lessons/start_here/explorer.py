"""The explorer of notebook 00: guess a reader's next book, and only then see what each model would have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets

from diffrec_lite import metrics
from diffrec_lite.data import SequenceDataset
from diffrec_lite.evaluation import Scorer
from diffrec_lite.lessons.start_here import figures
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, StandIn, script
from diffrec_lite.widgets.trajectories import genres_of

CANDIDATES = 6  # books among which the learner chooses


@torch.inference_mode()
def shelves(
    dataset: SequenceDataset, scorers: Mapping[str, Scorer], rows: Sequence[int], k: int = 5
) -> list[dict[str, Any]]:
    """What the explorer shows, for rows of the test split: plain data, one dict a reader.

    Each has the reader's name, the books of the history, oldest first, the true next book, for each scorer the k best
    items, best first, and the true book's rank among all (from 1, ties against the model), and `candidates`: books for
    the learner to choose from, sorted by title.
    """
    genres = genres_of(dataset)

    def book(item: int) -> dict[str, str]:
        return {"title": dataset.title(item), "genre": genres[item]}

    batch = dataset.test.batch(torch.as_tensor(rows), int(dataset.test.positions.max()))
    result = [
        {
            "reader": dataset.user_tokens[int(user)],
            "history": [book(int(item)) for item in history if item],
            "truth": book(int(target)),
            "models": [],
        }
        for user, history, target in zip(batch.users, batch.history, batch.target, strict=True)
    ]
    for name, scorer in scorers.items():
        history = batch.history[:, -getattr(scorer, "max_len", batch.history.shape[1]) :]
        scores = scorer.score(history, users=batch.users, steps=None, seed=0).float()
        ranks = metrics.ranks(scores, batch.target)
        # A stable sort, so that books with equal scores stand in the same order on every machine.
        best = scores[:, 1:].sort(dim=1, descending=True, stable=True).indices[:, :k] + 1
        for shelf, items, rank in zip(result, best, ranks, strict=True):
            shelf["models"].append({"name": name, "rank": int(rank), "top": [book(int(item)) for item in items]})
    for shelf in result:
        shelf["candidates"] = candidates(shelf)
    return result


def candidates(shelf: Mapping[str, Any]) -> list[dict[str, str]]:
    """The true next book among those that the models would rather recommend, as far as the reader has not read them.

    The models' first books come first, then their second; sorted by title, so that the place tells nothing.
    """
    chosen = [shelf["truth"]]
    for books in zip(*(model["top"] for model in shelf["models"]), strict=True):
        for book in books:
            if book not in chosen and book not in shelf["history"] and len(chosen) < CANDIDATES:
                chosen.append(book)
    return sorted(chosen, key=lambda book: book["title"])


class ShelfExplorer(StandIn, anywidget.AnyWidget):
    """One reader's shelf and a few candidates; the truth and the models' lists show once a candidate was chosen.

    `state` holds the `reader` (a place in `shelves`) and `guesses`: the chosen candidate by reader, both as places.
    """

    _esm = script(Path(__file__).with_suffix(".js"))
    _css = CSS + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")

    alt = traitlets.Unicode(
        "A reader's books, oldest first, and six candidates for the next one. Once one is chosen, the true next book "
        "shows, and the five best of each model."
    ).tag(sync=True)
    shelves = traitlets.List().tag(sync=True)
    state = traitlets.Dict({"reader": 0, "guesses": {}}).tag(sync=True)

    def picture(self) -> bytes:
        return style.png(figures.shelf(self.shelves[self.state["reader"]]))


def shelf_explorer(dataset: SequenceDataset, scorers: Mapping[str, Scorer], rows: Sequence[int]) -> ShelfExplorer:
    """Choose one of `rows` of the test split, guess the next book, and see who else would have known it."""
    return ShelfExplorer(shelves=shelves(dataset, scorers, rows))
