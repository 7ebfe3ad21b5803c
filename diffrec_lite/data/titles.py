"""Titles for invented books: a small grammar with words for each genre."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Each genre: qualities, things, people, and for its series a group and places.
GENRES: dict[str, tuple[str, str, str, str, str]] = {
    "Fantasy": (
        "Ashen Silver Hollow Thorned Moonlit Forgotten Winter Ember",
        "Crown Oath Tower Spell Raven Gate Sword Throne",
        "Witch King Apprentice Giant",
        "Lanterns Wardens Riddles Songs",
        "Orrin, Vael, Thistlemoor, Karrow",
    ),
    "Space": (
        "Silent Orbital Distant Last Binary Drifting Second Pale",
        "Comet Signal Colony Engine Station Nebula Airlock Probe",
        "Pilot Android Navigator Stowaway",
        "Voyages Beacons Exiles Ships",
        "Altair, Kepler, Ceres, Vesta",
    ),
    "Crime": (
        "Cold Crooked Midnight Perfect Missing Paper Borrowed Locked",
        "Alibi Witness Verdict Clue Ledger Key Motive Confession",
        "Inspector Forger Coroner Butler",
        "Cases Shadows Secrets Trials",
        "Harbour Street, Quill Lane, Dockside, Fennimore",
    ),
    "Romance": (
        "Lemon Seaside Secret Summer April Clumsy Stolen Candlelit",
        "Waltz Wedding Bakery Letter Kiss Promise Dance Bouquet",
        "Florist Neighbour Bridesmaid Baker",
        "Summers Suppers Weddings Mornings",
        "Larkspur Bay, Honey Hill, Villa Rosa, Bellwater",
    ),
    "History": (
        "Bronze Velvet Roman Salt Iron Golden Ruined Marble",
        "Empire Siege Road Harvest Archive Treaty Fleet Abbey",
        "Queen Merchant Scribe Stonemason",
        "Chronicles Banners Heirs Queens",
        "Ravenna, Lisbon, Carthage, Antioch",
    ),
    "Travel": (
        "Slow Northern Desert Island High Muddy Endless Sleepless",
        "Train Ferry Map Passage Market Caravan Horizon Suitcase",
        "Cyclist Postman Mapmaker Wanderer",
        "Roads Rivers Footsteps Crossings",
        "Patagonia, Lapland, Anatolia, the Azores",
    ),
    "Ghosts": (
        "Whispering Buried Hungry Grey Thirteenth Damp Nameless Creaking",
        "Cellar Doll Bell Marsh Mirror Staircase Attic Portrait",
        "Gravedigger Medium Guest Choirboy",
        "Hauntings Voices Curses Nights",
        "Blackmere, Crow Hall, Saint Osric, Yew Lodge",
    ),
    "Nature": (
        "Wild Patient Green Hidden Singing Amber Tidal Mossy",
        "Otter Meadow Heron Moth Oak Fox Pond Hedgerow",
        "Beekeeper Birdwatcher Forester Gardener",
        "Seasons Tales Wings Tides",
        "Alder Brook, Marram, Skye, Fallow Down",
    ),
}


class Names(NamedTuple):
    """Distinct names: of `series`, and of `books`."""

    series: list[str]
    books: list[str]


def invent(genre: str, series: int, books: int, permutation: Callable[[int], np.ndarray]) -> Names:
    """Names for so many series and books of a genre. `permutation(n)` gives a random order of n things."""
    *words, places = GENRES[genre]
    qualities, things, people, groups = (line.split() for line in words)
    places = places.split(", ")
    names = [
        f"{groups[g]} of {places[p]}" for g, p in zip(permutation(len(groups)), permutation(len(places)), strict=True)
    ]
    # Each quality meets each thing at most once, in an order that uses every word before any comes again.
    first, second = permutation(len(qualities)), permutation(len(things))
    pairs = [(qualities[q], things[second[(i + turn) % len(second)]]) for turn in range(3) for i, q in enumerate(first)]
    titles = [f"The {quality} {thing}" for quality, thing in pairs]
    owners = [f"The {person}'s {thing}" for person, thing in zip(people, things, strict=False)]
    couples = [f"The {person} and the {thing}" for person, thing in zip(people, reversed(things), strict=False)]
    titles = titles[: books - len(owners) - len(couples)] + owners + couples
    return Names(names[:series], [titles[i] for i in permutation(len(titles))])
