"""The bookshop: an invented data set whose true next-item odds are known.

How a reader chooses, book after book:

1. A hidden interest, one of eight genres, drifts: z_1 ~ START, z_{n+1} ~ DRIFT[z_n].
2. If the last book has a next volume that the reader does not own, the reader takes it with probability CONTINUE.
3. Otherwise the choice comes from TASTE[z_n], restricted to books not owned: mostly the genre's books, with Zipf
   popularity (the r-th book in proportion to 1/r), and a little of everything.

Nobody buys a book twice. Given a history the hidden interest can be filtered exactly (the forward algorithm), and so
`next_item_odds` is the best answer that any model can give. How long a reader stays does not depend on the choices.

    python -m diffrec_lite.data.bookshop        # writes data/bookshop again, byte for byte
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from diffrec_lite.data import titles
from diffrec_lite.data.batches import pad

SEED = 2024
NUM_READERS = 1500
SERIES = (6, 5, 4, 3)  # volumes of the series of each genre
SINGLES = 12  # books outside any series, in each genre
CONTINUE = 0.4  # probability of taking the next volume of the series just read
STAY = 0.9  # probability that the interest stays where it is
EVERYTHING = 0.2  # share of the whole catalogue in the taste of each genre
SHORTEST, LONGEST, LEAVE = 5, 40, 0.07  # books of a reader; from the fifth on, each is the last with this probability

GENRES = tuple(titles.GENRES)
K = len(GENRES)
V = K * (sum(SERIES) + SINGLES) + 1


class Process(NamedTuple):
    """The true parameters, float64 arrays. K genres; V columns, column 0 is the padding."""

    start: np.ndarray  # (K,)   START
    drift: np.ndarray  # (K, K) DRIFT, each row sums to 1
    taste: np.ndarray  # (K, V) TASTE, each row sums to 1
    sequel: np.ndarray  # (V,) id of the next volume, 0 where there is none


class Uniform:
    """Uniform numbers in [0, 1) made of the raw stream of PCG64, the part of numpy that never changes."""

    def __init__(self, seed: int) -> None:
        self.bits = np.random.PCG64(seed)

    def __call__(self, n: int) -> np.ndarray:
        return (self.bits.random_raw(n) >> np.uint64(11)) * 2.0**-53

    def permutation(self, n: int) -> np.ndarray:
        return self(n).argsort(kind="stable")


# ------------------------------------------------------------ the books


@cache
def books() -> pd.DataFrame:
    """The catalogue, index the item id: title, genre, series ("" for single books), volume (NaN for single books).

    A genre's series come first, volume after volume, then its single books.
    """
    random = Uniform(SEED)
    rows = []
    for genre in GENRES:
        names = titles.invent(genre, len(SERIES), V // K, random.permutation)
        book = iter(names.books)
        for series, volumes in zip(names.series, SERIES, strict=True):
            for volume in range(1, volumes + 1):
                rows.append((f"{next(book)} ({series} {volume})", genre, series, float(volume)))
        rows += [(title, genre, "", np.nan) for title in book]
    table = pd.DataFrame(rows, columns=["title", "genre", "series", "volume"])
    return table.set_axis(range(1, V)).rename_axis("item")


@cache
def process() -> Process:
    """The parameters of the process that made the data set."""
    random = Uniform(SEED + 1)
    size = V // K
    within = np.zeros((K, V))
    sequel = np.zeros(V, dtype=np.int64)
    for g in range(K):
        rank = random.permutation(size) + 1.0
        first = 0
        for volumes in SERIES:
            # The first volume of a series is its most popular one: later volumes are found through it.
            rank[first : first + volumes] = np.sort(rank[first : first + volumes])
            ids = 1 + g * size + first + np.arange(volumes)
            sequel[ids[:-1]] = ids[1:]
            first += volumes
        within[g, 1 + g * size : 1 + (g + 1) * size] = 1 / rank
    within /= within.cumsum(1)[:, -1:]
    start = 1 / (2.0 + np.arange(K))
    start /= start.cumsum()[-1]
    taste = (1 - EVERYTHING) * within + EVERYTHING * (start @ within)
    # Interest moves on to the next genre of a ring, or the one after it, and sometimes anywhere.
    anywhere = np.broadcast_to(start, (K, K))
    ring = 0.7 * np.roll(np.eye(K), 1, axis=1) + 0.3 * np.roll(np.eye(K), 2, axis=1)
    drift = STAY * np.eye(K) + (1 - STAY) * (0.7 * ring + 0.3 * anywhere)
    return Process(start, drift, taste, sequel)


# ------------------------------------------------------------ simulation


def simulate(seed: int = SEED, readers: int = NUM_READERS) -> pd.DataFrame:
    """A log of `readers` new readers: user (from 1), item, timestamp (seconds since 1970), interest (hidden, 0 … 7).

    Sorted by user and time. The same seed gives the same log on every machine.
    """
    random = Uniform(seed + 2)
    lengths = _lengths(random(readers))
    items, interest = simulate_items(lengths, random)
    day = 86_400
    begin = 1_577_836_800 + (random(readers) * 730).astype(np.int64) * day  # from 2020-01-01, within two years
    # A few days pass between two books, sometimes weeks; always at least a second.
    days = (60 * random(readers * LONGEST) * random(readers * LONGEST)).astype(np.int64)
    seconds = 1 + (random(readers * LONGEST) * day / 2).astype(np.int64)
    times = begin[:, None] + (days * day + seconds).reshape(readers, LONGEST).cumsum(1)
    kept = np.arange(LONGEST) < lengths[:, None]
    users = np.broadcast_to(np.arange(1, readers + 1)[:, None], kept.shape)
    columns = {"user": users, "item": items, "timestamp": times, "interest": interest}
    return pd.DataFrame({name: values[kept] for name, values in columns.items()})


def simulate_items(lengths: np.ndarray, random: Uniform) -> tuple[np.ndarray, np.ndarray]:
    """The choices of N readers: items and hidden interests, both `(N, LONGEST)`, 0 past each one's `lengths (N,)`."""
    start, drift, taste, sequel = process()
    readers = np.arange(len(lengths))
    items = np.zeros((len(lengths), LONGEST), dtype=np.int64)
    interest = np.zeros_like(items)
    unseen = np.ones((len(lengths), V))
    unseen[:, 0] = 0
    last = np.zeros(len(lengths), dtype=np.int64)
    z = _draw(np.broadcast_to(start, (len(lengths), K)), random(len(lengths)))
    for n in range(int(lengths.max())):
        following = sequel[last]
        continues = (random(len(lengths)) < CONTINUE) & (unseen[readers, following] > 0)
        chosen = _draw(taste[z] * unseen, random(len(lengths)))
        last = np.where(continues, following, chosen)
        unseen[readers, last] = 0
        items[:, n], interest[:, n] = last, z
        z = _draw(drift[z], random(len(lengths)))
    past = np.arange(LONGEST) >= lengths[:, None]
    items[past] = interest[past] = 0
    return items, interest


def _draw(weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """One index a row, in proportion to `weights (N, M)`, by inverting the cumulative sum."""
    below = weights.cumsum(1)
    return (below[:, :-1] <= (uniform * below[:, -1])[:, None]).sum(1)


def _lengths(uniform: np.ndarray) -> np.ndarray:
    survival = np.cumprod(np.full(LONGEST - SHORTEST, 1 - LEAVE))  # longer than SHORTEST, SHORTEST + 1, …
    return SHORTEST + (uniform[:, None] < survival).sum(1)


# ------------------------------------------------------------ the exact oracle


def next_item_odds(history: Sequence[int] | Tensor) -> Tensor:
    """The true probability of every next item after a history, `(V,)` float64; entry 0 is 0, the sum is 1.

    The history may be empty. Raises ValueError for an id outside 1 … num_items, a repeated one, and a full shelf.
    """
    row = torch.as_tensor(history, dtype=torch.long).reshape(1, -1)
    outside = (row < 1) | (row >= V)
    if bool(outside.any()):
        raise ValueError(f"item id {int(row[outside][0])} is not in the bookshop (1 … {V - 1})")
    return next_item_odds_all(row)[0]


def next_item_odds_all(histories: Tensor | Sequence[Sequence[int]]) -> Tensor:
    """`next_item_odds` of many histories at once: lists, or a matrix `(B, L)` padded with 0 -> `(B, V)`.

    Forward filtering. `belief (B, K)` is P(z_n | books before n). Each book multiplies it by the chance of that book
    under each interest, and the drift moves it on.
    """
    start, drift, taste, sequel = process()
    matrix = (histories if isinstance(histories, Tensor) else pad(histories)).numpy()
    if matrix.size and (matrix.min() < 0 or matrix.max() >= V):
        worst = int(matrix.min() if matrix.min() < 0 else matrix.max())
        raise ValueError(f"item id {worst} is not in the bookshop (1 … {V - 1})")
    rows = np.arange(len(matrix))
    unseen = np.ones((len(matrix), V))
    unseen[:, 0] = 0
    last = np.zeros(len(matrix), dtype=np.int64)
    belief = np.repeat(start[None], len(matrix), axis=0)
    for column in matrix.T:
        r = rows[column > 0]
        item = column[r]
        if (unseen[r, item] == 0).any():
            raise ValueError(f"item id {int(item[unseen[r, item] == 0][0])} occurs twice; nobody buys a book twice")
        following = sequel[last[r]]
        p = CONTINUE * unseen[r, following]
        chosen = taste[:, item].T / (unseen[r] @ taste.T)
        likelihood = (p * (following == item))[:, None] + (1 - p)[:, None] * chosen
        posterior = belief[r] * likelihood
        belief[r] = posterior / posterior.sum(1, keepdims=True) @ drift
        unseen[r, item] = 0
        last[r] = item
    if not unseen.any(axis=1).all():
        raise ValueError("a reader owns every book of the bookshop; there is no next one")
    following = sequel[last]
    p = CONTINUE * unseen[rows, following]
    odds = (1 - p)[:, None] * ((belief / (unseen @ taste.T)) @ taste) * unseen
    odds[rows, following] += p
    return torch.from_numpy(odds)


# ------------------------------------------------------------ files


def write(folder: str | Path) -> None:
    """Write `bookshop.inter` and `bookshop.item` into a folder, the same bytes on every machine."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    log = simulate()
    lines = (log["user"].astype(str) + "\t" + log["item"].astype(str) + "\t" + log["timestamp"].astype(str)).tolist()
    _write(folder / "bookshop.inter", ["user_id:token\titem_id:token\ttimestamp:float", *lines])
    described = [
        "\t".join([str(item), book.title, book.genre, book.series, "" if book.series == "" else str(int(book.volume))])
        for item, book in zip(books().index, books().itertuples(), strict=True)
    ]
    header = "item_id:token\ttitle:token_seq\tgenre:token\tseries:token_seq\tvolume:float"
    _write(folder / "bookshop.item", [header, *described])


def _write(path: Path, lines: list[str]) -> None:
    path.write_bytes("".join(line + "\n" for line in lines).encode("utf-8"))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "data" / "bookshop"
    write(target)
    print(f"wrote {target}")
