"""What notebook 00 says you should find on the shelf of reader 2, tried out."""

from statistics import mean

import pytest

from diffrec_lite import models
from diffrec_lite.data import load
from diffrec_lite.widgets.live import answers

SHOP = load("bookshop")
SHELF = SHOP.history(SHOP.user_tokens.index("2"))[:-1].tolist()
GENRE, SERIES, VOLUME = (SHOP.item_features[name] for name in ("genre", "series", "volume"))
GHOSTS = [item for item in GENRE.index if GENRE[item] == "Ghosts"]


@pytest.fixture(scope="module")
def pair():
    return {name: models.load_checkpoint(name) for name in ("diffurecsys", "dcrec")}


def five(model, shelf, steps=1):
    """The five best of each state."""
    return [state["best"] for state in answers(model, shelf, steps)]


def sequel(item):
    return next(i for i in SERIES.index if (SERIES[i], VOLUME[i]) == (SERIES[item], VOLUME[item] + 1))


def test_the_sequel_of_the_latest_book_is_first_and_no_other(pair):
    swapped = [*SHELF[:-2], SHELF[-1], SHELF[-2]]
    for model in pair.values():
        assert five(model, SHELF)[-1][0] == sequel(SHELF[-1])
        assert five(model, swapped)[-1][0] == sequel(SHELF[-2])


@pytest.mark.parametrize(
    ("up", "diffurecsys", "dcrec"), [(0, (2.5, 3.5), (2.5, 4)), (1, (0, 0.2), (0.7, 1.3)), (2, (0, 0.2), (0, 0.2))]
)
def test_a_ghost_story_brings_others_while_it_is_late(pair, up, diffurecsys, dcrec):
    cut = len(SHELF) - up
    for model, (low, high) in zip(pair.values(), (diffurecsys, dcrec), strict=True):
        lists = [five(model, [*SHELF[:cut], ghost, *SHELF[cut:]])[-1] for ghost in GHOSTS]
        assert low <= mean(sum(GENRE[item] == "Ghosts" for item in best) for best in lists) <= high


def test_only_dcrec_changes_its_mind_on_the_way(pair):
    still, moving = (five(pair[name], SHELF, 16)[1:] for name in ("diffurecsys", "dcrec"))
    assert all(best == still[0] for best in still)
    assert all(best[:2] == moving[0][:2] for best in moving)
    assert moving[-1] not in moving[-4:-1] and len({frozenset(best) for best in moving}) > 1


def test_one_crime_story_gives_five(pair):
    for model in pair.values():
        lists = [five(model, [item])[-1] for item in SHELF[:3]]
        assert all(GENRE[item] == "Crime" for best in lists for item in best)
        assert len({frozenset(best) for best in lists}) == 3
