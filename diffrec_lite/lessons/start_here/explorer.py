"""The explorer of notebook 00: one reader's shelf, the next book, and what each model would have recommended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from diffrec_lite import metrics
from diffrec_lite.data import SequenceDataset
from diffrec_lite.evaluation import Scorer
from diffrec_lite.lessons.start_here import figures
from diffrec_lite.widgets.explorer import Explorer, choice, explorer


@torch.inference_mode()
def shelves(
    dataset: SequenceDataset, scorers: Mapping[str, Scorer], rows: Sequence[int], k: int = 5
) -> list[dict[str, Any]]:
    """What the explorer shows, for rows of the test split: plain data, one dict a reader.

    Each has the reader's name, the books of the history, oldest first, the true next book and, for each scorer, the
    titles of its k best items, best first, and the true book's rank among all (from 1, ties against the model).
    """
    batch = dataset.test.batch(torch.as_tensor(rows), int(dataset.test.positions.max()))
    result = [
        {
            "reader": dataset.user_tokens[int(user)],
            "history": [_book(dataset, int(item)) for item in history if item],
            "truth": _book(dataset, int(target)),
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
            top = [{**_book(dataset, int(i)), "hit": dataset.title(int(i)) == shelf["truth"]["title"]} for i in items]
            shelf["models"].append({"name": name, "rank": int(rank), "top": top})
    return result


def readout(shelf: Mapping[str, Any], answer: str = "shown") -> str:
    """A shelf in words; the next book and its ranks only where the answer is shown."""
    books = f"Reader {shelf['reader']} has {len(shelf['history'])} books, the last is {shelf['history'][-1]['title']}."
    if answer != "shown":
        return f"{books}\nWhich book comes next?"
    ranks = ", ".join(f"{model['name']} {model['rank']}" for model in shelf["models"])
    return f"{books}\nThe next one is {shelf['truth']['title']}. Its rank: {ranks}."


def shelf_explorer(dataset: SequenceDataset, scorers: Mapping[str, Scorer], rows: Sequence[int]) -> Explorer:
    """Choose one of `rows` of the test split, guess the next book, then uncover it."""
    found = shelves(dataset, scorers, rows)
    by_reader = {shelf["reader"]: shelf for shelf in found}
    return explorer(
        lambda reader, answer: figures.shelf(by_reader[reader], answer),
        lambda reader, answer: readout(by_reader[reader], answer),
        title="One reader, the next book, and what each model recommends",
        alt="A column with a reader's last books and the next one, and a column for each model with its five best.",
        reader=choice("Reader", list(by_reader)),
        answer=choice("Answer", ["hidden", "shown"]),
    )


def _book(dataset: SequenceDataset, item: int) -> dict[str, str]:
    genre = dataset.item_features.loc[item, "genre"] if dataset.item_features is not None else ""
    return {"title": dataset.title(item), "genre": str(genre)}
