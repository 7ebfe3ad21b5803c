"""The simulated bookshop: invented books and readers, and the true odds of what a reader takes next.

A reader's interest is a hidden genre that drifts from book to book as a Markov chain. At each visit

    1. the interest moves:           g' ~ A[g]
    2. the book just read may pull:  with probability SEQUEL, the next volume of its series, if there is one unread
    3. otherwise interest chooses:   a book not yet read, with odds in proportion to W[g']

where W[g] puts nine tenths of its weight on genre g and the rest on the whole shop, and within a genre the odds follow
Zipf's law. A reader never takes a book twice. Everything but the interest is visible, so filtering it (the forward
algorithm of hidden Markov models) gives the exact odds of the next book: no recommender can do better.

`python -m diffrec_lite.bookshop` writes data/bookshop again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SEED = 2024
READERS = 1500
SEQUEL = 0.4
STAY = 0.85
OWN_GENRE = 0.9
SHORTEST, LONGEST, MEAN_EXTRA = 5, 40, 12
SERIES_LENGTHS = (6, 4, 4, 3)
STANDALONE = 13

GENRES = {
    "Fantasy": (
        ("Ember", "Moon", "Thorn", "Silver", "Raven", "Hollow", "Winter"),
        ("Crown", "Tower", "Oath", "Dragon", "Gate", "Forest", "Witch"),
    ),
    "Space": (
        ("Orbital", "Silent", "Last", "Binary", "Solar", "Drifting", "Quantum"),
        ("Colony", "Signal", "Comet", "Engine", "Station", "Nebula", "Pilot"),
    ),
    "Crime": (
        ("Cold", "Second", "Paper", "Midnight", "Crooked", "Missing", "Perfect"),
        ("Alibi", "Witness", "Inspector", "Verdict", "Clue", "Harbour", "Confession"),
    ),
    "Romance": (
        ("Summer", "Borrowed", "Second", "Lemon", "Seaside", "Secret", "April"),
        ("Letters", "Wedding", "Bakery", "Promise", "Waltz", "Garden", "Chance"),
    ),
    "History": (
        ("Bronze", "Roman", "Salt", "Velvet", "Iron", "Forgotten", "Golden"),
        ("Road", "Empire", "Queen", "Siege", "Merchant", "Harvest", "Archive"),
    ),
    "Travel": (
        ("Slow", "Northern", "Desert", "Island", "Night", "High", "Distant"),
        ("Train", "Passage", "Atlas", "Ferry", "Market", "Horizon", "Map"),
    ),
    "Horror": (
        ("Whispering", "Grey", "Buried", "Locked", "Hungry", "Pale", "Thirteenth"),
        ("Cellar", "Doll", "Marsh", "Lantern", "Orchard", "Guest", "Bell"),
    ),
    "Nature": (
        ("Wild", "Patient", "Green", "Hidden", "River", "Singing", "Amber"),
        ("Otter", "Meadow", "Oak", "Heron", "Tide", "Moth", "Fox"),
    ),
}


@dataclass(frozen=True)
class Bookshop:
    """The shop and the process behind it. Arrays are indexed by book id (0 is padding) or by genre.

    `sequel (V,)` is the id of the next volume, or 0. `weights (G, V)` is W, `moves (G, G)` is A, each row sums to 1.
    """

    titles: list[str]
    genre: np.ndarray
    series: list[str]
    volume: np.ndarray
    sequel: np.ndarray
    weights: np.ndarray
    moves: np.ndarray

    @property
    def num_items(self) -> int:
        return len(self.titles) - 1


@lru_cache(maxsize=1)
def shop() -> Bookshop:
    """The one bookshop of the course; building it draws its titles and popularities from a fixed seed."""
    random = np.random.default_rng(SEED)
    titles, genre, series, volume, sequel = [""], [0], [""], [0], [0]
    for g, (first, second) in enumerate(GENRES.values()):
        pairs = [f"{a} {b}" for a in first for b in second]
        names = iter(pairs[i] for i in _permutation(random, len(pairs)))
        for length in SERIES_LENGTHS:
            name = next(names)
            for number in range(1, length + 1):
                book = len(titles)
                titles.append(f"The {name}, volume {number}")
                series.append(f"The {name}")
                volume.append(number)
                sequel.append(book + 1 if number < length else 0)
                genre.append(g)
        for _ in range(STANDALONE):
            titles.append(next(names))
            series.append("")
            volume.append(0)
            sequel.append(0)
            genre.append(g)
    genre = np.array(genre)
    popularity = np.zeros(len(titles))
    for g in range(len(GENRES)):
        books = np.flatnonzero((genre == g) & (np.arange(len(titles)) > 0))
        popularity[books[_permutation(random, len(books))]] = 1 / np.arange(1, len(books) + 1)
        popularity[books] /= popularity[books].sum()
    weights = np.stack([OWN_GENRE * np.where(genre == g, popularity, 0) for g in range(len(GENRES))])
    weights += (1 - OWN_GENRE) * popularity / popularity.sum()
    return Bookshop(titles, genre, series, np.array(volume), np.array(sequel), weights, _moves(len(GENRES)))


def _moves(G: int) -> np.ndarray:
    """A: an interest mostly stays; when it moves, three quarters of the time to the next genre in the circle."""
    moves = np.full((G, G), (1 - STAY) * 0.25 / (G - 2))
    for g in range(G):
        moves[g, g] = STAY
        moves[g, (g + 1) % G] = (1 - STAY) * 0.75
    return moves


# ---------------------------------------------------------------- the process


def choice_odds(g: int | slice, read: np.ndarray, last: int) -> np.ndarray:
    """Steps 2 and 3: the odds `(V,)` of each book for interest g, or `(G, V)` for every interest (`g=slice(None)`).

    `read (V,)` marks the books the reader has, `last` is the book just read, 0 at the first visit.
    """
    odds = np.where(read, 0, shop().weights[g])
    odds = odds / odds.sum(-1, keepdims=True)
    sequel = shop().sequel[last]
    if sequel and not read[sequel]:
        odds = (1 - SEQUEL) * odds
        odds[..., sequel] += SEQUEL
    return odds


def visits(random: np.random.Generator) -> Iterator[tuple[int, int]]:
    """One reader's visits without end, as (interest, book), by the process itself."""
    G = len(GENRES)
    read = np.zeros(shop().num_items + 1, dtype=bool)
    read[0] = True
    g, last = _draw(random, np.full(G, 1 / G)), 0
    while True:
        g = _draw(random, shop().moves[g])
        last = _draw(random, choice_odds(g, read, last))
        read[last] = True
        yield g, last


def simulate(seed: int = SEED, readers: int = READERS) -> list[tuple[int, int, int]]:
    """Interactions (reader, book, day), reader by reader and in time order."""
    random = np.random.default_rng(seed)
    log = []
    for reader in range(1, readers + 1):
        day = int(random.random() * 365)
        for (_, book), _ in zip(visits(random), range(_length(random)), strict=False):
            log.append((reader, book, day))
            day += 1 + int(random.random() * 20)
    return log


def _length(random: np.random.Generator) -> int:
    """How many books a reader takes: 5, and then geometrically more, 40 at most."""
    length = SHORTEST
    while length < LONGEST and random.random() < MEAN_EXTRA / (MEAN_EXTRA + 1):
        length += 1
    return length


def _draw(random: np.random.Generator, odds: np.ndarray) -> int:
    """One index by inverting the cumulative odds: the same on every platform, as `random()` is."""
    cumulative = np.cumsum(odds)
    return int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))


def _permutation(random: np.random.Generator, n: int) -> np.ndarray:
    return np.argsort([random.random() for _ in range(n)], kind="stable")


# ---------------------------------------------------------------- the oracle


def next_item_odds(history: Sequence[int] | Tensor) -> Tensor:
    """The true odds `(V,)` of the next book, float64; they sum to 1, and padding and books already read have 0.

    `history` holds book ids, oldest first, and may be empty. Raises ValueError for an id outside the shop or a book
    taken twice, which cannot happen here.
    """
    belief, read, last = filtered_interest(history)
    return torch.from_numpy((belief @ shop().moves) @ choice_odds(slice(None), read, last))


def filtered_interest(history: Sequence[int] | Tensor) -> tuple[np.ndarray, np.ndarray, int]:
    """The odds `(G,)` of the reader's interest after `history`, which books are read `(V,)`, and the last one.

    The forward algorithm: predict with A, then weigh each interest by how well it explains the book taken.
    """
    read = np.zeros(shop().num_items + 1, dtype=bool)
    read[0] = True
    belief, last = np.full(len(GENRES), 1 / len(GENRES)), 0
    for book in map(int, history):
        if not 1 <= book <= shop().num_items:
            raise ValueError(f"book {book} is not in the shop (1 … {shop().num_items})")
        if read[book]:
            raise ValueError(f"book {book} is taken twice; a reader of the bookshop never does that")
        belief = (belief @ shop().moves) * choice_odds(slice(None), read, last)[:, book]
        belief = belief / belief.sum()
        read[book] = True
        last = book
    return belief, read, last


def oracle_scores(history: Tensor) -> Tensor:
    """Log-odds `(B, V)` of the next book for left-padded histories `(B, L)`: the best possible recommender."""
    return torch.stack([next_item_odds(row[row > 0]) for row in history.cpu()]).log()


# ---------------------------------------------------------------- files


def write(folder: str | Path) -> None:
    """Write bookshop.inter and bookshop.item, RecBole atomic files, into `folder`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    lines += [f"{reader}\t{book}\t{day}" for reader, book, day in simulate()]
    _write_lines(folder / "bookshop.inter", lines)
    genres = list(GENRES)
    lines = ["item_id:token\ttitle:token_seq\tgenre:token\tseries:token_seq\tvolume:float"]
    lines += [
        f"{book}\t{shop().titles[book]}\t{genres[shop().genre[book]]}\t{shop().series[book]}\t{shop().volume[book]}"
        for book in range(1, shop().num_items + 1)
    ]
    _write_lines(folder / "bookshop.item", lines)


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(__file__).parents[1] / "data" / "bookshop")
