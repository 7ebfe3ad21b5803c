"""The explorer of notebook 06: drag the true next book through a ranking, and watch what each metric gives for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import traitlets
from torch import Tensor

from diffrec_lite import metrics
from diffrec_lite.lessons.metrics import figures
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, Board, question, script

KS = (1, 5, 10, 20)
SHOWN = 20  # rows of the list; a target further down is told in words


def ranking(scores: Tensor, target: int, titles: Sequence[str], history: Sequence[int], name: str) -> dict[str, Any]:
    """One reader for the explorer: `scores (V,)`, the id of the true next book, titles of all V ids, past books' ids.

    "others" are the titles of all books but the target, best first; "rank" is where the model puts the target.
    """
    order = [i for i in scores.double().argsort(descending=True, stable=True).tolist() if i not in (0, target)]
    return {
        "name": name,
        "history": [titles[i] for i in history],
        "target": titles[target],
        "others": [titles[i] for i in order[:SHOWN]],
        "rank": int(metrics.ranks(scores[None].double(), torch.tensor([target]))[0]),
    }


def gains(books: int, ks: Sequence[int] = KS) -> dict[str, list[list[float]]]:
    """What one reader adds at each rank 1 … books: "HR" and "NDCG" hold a list for each k, "MRR" one list."""
    table = metrics.per_rank(torch.arange(1, books + 1), ks).T.tolist()
    rounded = [[round(gain, 4) for gain in column] for column in table]
    return {"HR": rounded[: len(ks)], "NDCG": rounded[len(ks) : -1], "MRR": rounded[-1:]}


def view(data: dict[str, Any], reader: int, rank: int, k: int) -> dict[str, Any]:
    """What the explorer shows in one state: the rows (title, whether it is the target, whether inside k), the gains.

    `data` is `lab(...)`. Raises ValueError for a rank or a k that the explorer does not offer.
    """
    if not 1 <= rank <= data["books"] or k not in data["ks"]:
        raise ValueError(f"rank must lie in 1 … {data['books']} and k in {data['ks']}, got {rank} and {k}")
    chosen, which = data["readers"][reader], data["ks"].index(k)
    titles = list(chosen["others"])
    titles.insert(rank - 1, chosen["target"])
    rows = [
        {"rank": i, "title": title, "target": i == rank, "inside": i <= k}
        for i, title in enumerate(titles[:SHOWN], start=1)
    ]
    g = data["gains"]
    return {
        "rows": rows,
        "HR": g["HR"][which][rank - 1],
        "NDCG": g["NDCG"][which][rank - 1],
        "MRR": g["MRR"][0][rank - 1],
    }


def lab(readers: Sequence[dict[str, Any]], books: int, ks: Sequence[int] = KS) -> dict[str, Any]:
    """All that the explorer needs, as plain data: readers (`ranking`), the number of books, the gains at each rank."""
    return {"readers": list(readers), "books": books, "ks": list(ks), "shown": SHOWN, "gains": gains(books, ks)}


def asked(books: int, k: int = 10) -> dict[str, Any]:
    """The question before the explorer: which slip by one rank costs most in NDCG@k."""
    ndcg = metrics.per_rank(torch.arange(1, books + 1), (k,))[:, 1]
    before = (1, k // 2, k)
    costs = [float(ndcg[rank - 1] - ndcg[rank]) for rank in before]
    slips = [f"from {rank} to {rank + 1}" for rank in before]
    return question(
        f"The true book slips by one rank. Which slip costs most in NDCG@{k}?",
        slips,
        costs.index(max(costs)),
        f"They cost {', '.join(f'{cost:.3f}' for cost in costs[:-1])} and {costs[-1]:.3f}: the top counts most, the "
        "middle hardly, and the end of the list is a cliff.",
    )


class RankingLab(Board):
    """The list with the true book in it, a slider for its rank, and for each metric its equation in numbers and a bar.

    All numbers lie in `data` (made by `lab`), so it works without a kernel and in an exported page.
    """

    _esm = script(Path(__file__).with_suffix(".js"))
    _css = CSS + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")

    alt = traitlets.Unicode(
        "A list of books with the true next book in it, its rank, and the gain in HR, NDCG and MRR."
    ).tag(sync=True)
    reader = traitlets.Int(0).tag(sync=True)
    rank = traitlets.Int(1).tag(sync=True)
    k = traitlets.Int(10).tag(sync=True)

    def picture(self) -> bytes:
        return style.png(figures.one_ranking(view(self.data, self.reader, self.rank, self.k), self.k))


def ranking_explorer(readers: Sequence[dict[str, Any]], books: int, k: int = 10) -> RankingLab:
    """The widget for readers made by `ranking`; it starts where the model puts the first reader's book."""
    return RankingLab(data=lab(readers, books), ask=asked(books), k=k, rank=readers[0]["rank"])
