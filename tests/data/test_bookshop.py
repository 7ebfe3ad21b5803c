"""The bookshop: the same files everywhere, and an oracle that is right."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diffrec_lite import metrics, models
from diffrec_lite.data import bookshop, load, pad
from diffrec_lite.data.bookshop import V, next_item_odds, next_item_odds_all, process

FOLDER = Path(__file__).parents[2] / "data" / "bookshop"
MANY = 50_000  # simulated readers for the comparison with the oracle


@pytest.fixture(scope="module")
def data():
    return load("bookshop")


@pytest.fixture(scope="module")
def crowd():
    """The first three books of many readers who are not in the data set, `(MANY, 3)`."""
    return bookshop.simulate_items(np.full(MANY, 3), bookshop.Uniform(99))[0][:, :3]


# ------------------------------------------------------------ the files


@pytest.mark.parametrize("name", ["bookshop.inter", "bookshop.item"])
def test_the_files_are_made_again_byte_for_byte(tmp_path, name):
    bookshop.write(tmp_path)
    made, committed = (tmp_path / name).read_bytes(), (FOLDER / name).read_bytes()
    assert made == committed, f"{name} differs; run `python -m diffrec_lite.data.bookshop` if this was on purpose"
    assert b"\r" not in made


def test_the_books():
    books = bookshop.books()
    assert len(books) == V - 1 == 240 and books.title.is_unique
    assert books.title.str.len().max() < 60
    assert books.groupby("genre").size().tolist() == [30] * 8
    assert books.loc[books.series != "", "series"].nunique() == 32
    for _, volumes in books[books.series != ""].groupby("series"):
        assert volumes.volume.tolist() == list(range(1, len(volumes) + 1))
        assert volumes.genre.nunique() == 1
    assert books.volume.isna().equals(books.series == "")


def test_what_follows_is_the_next_volume():
    books, sequel = bookshop.books(), process().sequel
    for item, book in books.iterrows():
        if sequel[item]:
            following = books.loc[sequel[item]]
            assert (following.series, following.volume) == (book.series, book.volume + 1)
        else:
            assert book.series == "" or book.volume == (books.series == book.series).sum()


def test_the_parameters_are_distributions():
    start, drift, taste, _ = process()
    for odds in (start[None], drift, taste):
        assert (odds >= 0).all() and np.allclose(odds.sum(1), 1, atol=1e-12)
    assert (taste[:, 0] == 0).all() and (taste[:, 1:] > 0).all()


def test_readers_and_popularity(data):
    lengths = data.lengths
    assert int(lengths.min()) == 5 and int(lengths.max()) == 40
    assert 15 < lengths.float().mean() < 18
    assert all(len(set(data.history(u).tolist())) == int(n) for u, n in enumerate(lengths))  # no book twice
    counts = torch.bincount(data.items)[1:].double().sort(descending=True).values
    assert counts.min() > 0
    # Zipf: a straight line in logarithms, over the ranks where it is not cut off by "nobody buys a book twice".
    rank = torch.arange(10, 161).double()
    slope = np.polyfit(rank.log().numpy(), counts[9:160].log().numpy(), 1)[0]
    assert -1.3 < slope < -0.6
    assert np.corrcoef(rank.log().numpy(), counts[9:160].log().numpy())[0, 1] < -0.98


def test_time_goes_on():
    log = bookshop.simulate(seed=7, readers=50)
    assert log.timestamp.dtype == np.int64
    assert (log.groupby("user").timestamp.diff().dropna() > 0).all()
    assert not log.equals(bookshop.simulate(seed=8, readers=50))
    assert log.equals(bookshop.simulate(seed=7, readers=50))


# ------------------------------------------------------------ the oracle


def test_the_odds_are_a_distribution_over_unowned_books(data):
    for user in (0, 1, 700):
        for length in (0, 1, 2, 4):
            history = data.history(user)[:length]
            odds = next_item_odds(history)
            assert odds.shape == (V,) and odds.dtype == torch.float64
            assert odds.sum().item() == pytest.approx(1, abs=1e-12)
            assert odds[0] == 0 and bool((odds[history] == 0).all()) and int((odds > 0).sum()) == V - 1 - length


def test_long_histories_keep_their_precision():
    odds = next_item_odds(list(range(2, V)))
    assert odds[1].item() == pytest.approx(1, abs=1e-12) and odds.sum().item() == pytest.approx(1, abs=1e-12)


def test_against_every_path_of_the_hidden_interest():
    """Three books: sum the joint probability over all 8^4 paths of the interest, straight from the definition."""
    start, drift, taste, sequel = process()

    def choice(z, i, history):
        free = [b for b in range(1, V) if b not in history]
        following = sequel[history[-1]] if history else 0
        p = bookshop.CONTINUE if following and following not in history else 0.0
        return p * (i == following) + (1 - p) * taste[z, i] / taste[z, free].sum()

    history = [7, 8, 130]
    chosen = np.array([[choice(z, i, history[:n]) for n, i in enumerate(history)] for z in range(bookshop.K)])
    wanted = {9: 0.0, 131: 0.0, 200: 0.0}
    total = 0.0
    final = {i: np.array([choice(z, i, history) for z in range(bookshop.K)]) for i in wanted}
    for a in range(bookshop.K):
        for b in range(bookshop.K):
            for c in range(bookshop.K):
                path = start[a] * chosen[a, 0] * drift[a, b] * chosen[b, 1] * drift[b, c] * chosen[c, 2]
                total += path
                for i in wanted:
                    wanted[i] += path * (drift[c] @ final[i])
    odds = next_item_odds(history)
    for i, value in wanted.items():
        assert odds[i].item() == pytest.approx(value / total, rel=1e-10)


def chi_square_z(counts, odds):
    """How many standard deviations Pearson's statistic lies above its mean; cells that expect under 5 are pooled."""
    expected = odds * counts.sum()
    rare = expected < 5
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    kept = expected > 1e-9
    assert counts[~kept].sum() == 0
    statistic, freedom = ((counts - expected)[kept] ** 2 / expected[kept]).sum(), kept.sum() - 1
    return (statistic - freedom) / np.sqrt(2 * freedom)


def worst_z(crowd, odds_of):
    """The largest `chi_square_z` over the first book, the second after common first ones, and the third after pairs."""
    found = [chi_square_z(np.bincount(crowd[:, 0], minlength=V), odds_of([]))]
    firsts = np.bincount(crowd[:, 0], minlength=V).argsort()[::-1][:12]
    for first in firsts:
        rows = crowd[crowd[:, 0] == first]
        found.append(chi_square_z(np.bincount(rows[:, 1], minlength=V), odds_of([first])))
    pairs, counts = np.unique(crowd[:, 0] * V + crowd[:, 1], return_counts=True)
    for pair in pairs[counts.argsort()[::-1][:20]]:
        history = [int(pair // V), int(pair % V)]
        rows = crowd[(crowd[:, :2] == history).all(1)]
        found.append(chi_square_z(np.bincount(rows[:, 2], minlength=V), odds_of(history)))
    return max(found)


def test_the_oracle_agrees_with_simulation(crowd):
    """33 chi-square tests: by chance alone the largest stays below 5 standard deviations."""
    assert worst_z(crowd, lambda history: next_item_odds(history).numpy()) < 5


@pytest.mark.parametrize("mistake", ["the interest never moves", "no next volumes", "the start is forgotten"])
def test_a_wrong_oracle_would_be_noticed(crowd, mistake, monkeypatch):
    right = process()
    if mistake == "the interest never moves":
        monkeypatch.setattr(bookshop, "process", lambda: right._replace(drift=np.eye(bookshop.K)))
    elif mistake == "no next volumes":
        monkeypatch.setattr(bookshop, "process", lambda: right._replace(sequel=np.zeros_like(right.sequel)))
    else:
        flat = np.full(bookshop.K, 1 / bookshop.K)
        monkeypatch.setattr(bookshop, "process", lambda: right._replace(start=flat))
    assert worst_z(crowd, lambda history: next_item_odds(history).numpy()) > 8


def test_the_oracle_is_calibrated_on_whole_histories(data):
    """The score of the truth, minus its expectation under the odds, has mean 0: for log-odds and for the top five."""
    histories = [data.history(u)[:-1] for u in range(data.num_users)]
    odds, target = next_item_odds_all(pad(histories)), data.test.targets
    log_odds = odds.clamp(min=1e-300).log()
    top_five = torch.zeros_like(odds).scatter(1, odds.topk(5).indices, 1.0)
    for score in (log_odds, top_five):
        mean = (odds * score).sum(1)
        spread = ((odds * score**2).sum(1) - mean**2).sum().sqrt()
        surprise = score.gather(1, target[:, None]).squeeze(1) - mean
        assert abs(surprise.sum() / spread) < 4


def test_many_histories_at_once(data):
    histories = [data.history(u)[: 1 + u % 9] for u in range(40)]
    together = next_item_odds_all([h.tolist() for h in histories])
    wide = next_item_odds_all(torch.nn.functional.pad(pad(histories), (3, 0)))
    alone = torch.stack([next_item_odds(h) for h in histories])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0)
    torch.testing.assert_close(wide, alone, rtol=1e-12, atol=0)
    assert bool((wide[:, 0] == 0).all())


def test_histories_that_cannot_be():
    for wrong in (0, -1, V):
        with pytest.raises(ValueError, match=f"item id {wrong} is not in the bookshop"):
            next_item_odds([1, wrong])
    with pytest.raises(ValueError, match="item id 5 occurs twice"):
        next_item_odds([5, 9, 5])
    with pytest.raises(ValueError, match="owns every book"):
        next_item_odds(list(range(1, V)))
    with pytest.raises(ValueError, match=f"item id {V} is not in the bookshop"):
        next_item_odds_all(torch.tensor([[1, V]]))


def test_the_oracle_beats_popularity_and_a_markov_chain(data):
    history = pad([data.history(u)[:-1] for u in range(data.num_users)])
    hit = {"oracle": metrics.hit_rate(metrics.ranks(next_item_odds_all(history), data.test.targets), 5)}
    for name in ("popularity", "markov"):
        model = models.build(name, data.num_items)
        model.fit_counts(data)
        scores = model.score(history).scatter(1, history, -torch.inf)  # their better protocol
        hit[name] = metrics.hit_rate(metrics.ranks(scores, data.test.targets), 5)
    assert 0.35 < hit["oracle"] < 0.6
    assert hit["popularity"] + 0.15 < hit["markov"] < hit["oracle"] - 0.05
