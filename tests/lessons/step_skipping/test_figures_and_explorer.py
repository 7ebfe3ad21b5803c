"""The figures and the explorer of notebook 05 say what the sampler does."""

import statistics

import pytest
import torch

from diffrec_lite import models
from diffrec_lite.data import load, pad
from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.evaluation import evaluate
from diffrec_lite.lessons import step_skipping as lesson
from diffrec_lite.metrics import ranks
from diffrec_lite.widgets.trajectories import trajectory_data

T = 8


@pytest.fixture(scope="module")
def books():
    return load("bookshop")


@pytest.fixture(scope="module")
def model(books):
    torch.manual_seed(0)
    return models.build("dcrec", books.num_items, d=8, blocks=1, heads=2, T=T, sampling_steps=1).eval()


@pytest.mark.parametrize("skip", [1, 3])
def test_the_weights_are_those_of_the_posterior(skip):
    diffusion = GaussianDiffusion.of("scaled_linear", 32)
    of_x0, of_xt = lesson.figures.weights(diffusion, skip)
    x0, xt = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.tensor([0.5, 3.0], dtype=torch.float64)
    t = 20
    mean, _ = diffusion.posterior(x0, xt, t, t - skip)
    assert torch.allclose(of_x0[t - skip] * x0 + of_xt[t - skip] * xt, mean)


def test_a_walk_of_one_step_ends_where_it_begins(model, books):
    one = lesson.figures.first_and_last(model, books, range(20), [1]).loc[1]
    assert (one["titles kept"], one["moved"], one["rank better"], one["rank worse"]) == (5, 0, 0, 0)


def test_first_and_last_counts_what_the_trajectory_says(model, books):
    users = range(20)
    found = lesson.figures.first_and_last(model, books, users, [T]).loc[T]
    history = pad([books.history(user)[:-1].tolist() for user in users], model.max_len)
    target = torch.stack([books.history(user)[-1] for user in users])
    with torch.inference_mode():
        walk = list(model.trajectory(history, T, users=users))
        first, last = (ranks(model.rounding(walk[i].x0_hat, history), target) for i in (1, -1))
        kept = [
            len(set(a.tolist()) & set(b.tolist()))
            for a, b in zip(*(model.rounding(walk[i].x0_hat, history).topk(5).indices for i in (1, -1)), strict=True)
        ]
    assert (found["rank better"], found["rank worse"]) == (int((last < first).sum()), int((last > first).sum()))
    assert found["rank better"] + found["rank worse"] > 0
    assert found["titles kept"] == pytest.approx(sum(kept) / 20)


def test_accuracy_leaves_the_model_as_it_was_and_asks_validation_readers(model, books):
    before = model.settings
    table = lesson.figures.accuracy({"posterior": (model, "posterior")}, books, [1, 2], users=30)
    assert model.settings is before
    assert table.steps.tolist() == [1, 2] and [len(r) for r in table.ranks] == [30, 30]
    assert torch.equal(table.ranks[0], evaluate(model, books, "val", steps=1, users=30).ranks)


def test_the_share_of_noise_knows_both_ends():
    readers, seeds = torch.randn(1, 40, 6), torch.randn(5, 1, 6)
    assert lesson.figures.share_of_noise(readers.expand(5, 40, 6)) == pytest.approx(0, abs=1e-9)
    assert lesson.figures.share_of_noise(seeds.expand(5, 40, 6)) == pytest.approx(1, abs=1e-6)


def test_the_player_offers_both_ways_to_move(model, books):
    widget = lesson.explorer.step_player(model, books, [3, 8], seeds=(0,))
    assert [source["name"] for source in widget.sources] == ["re-noise", "posterior"]
    assert widget.sources[0]["steps"] == lesson.explorer.counts(T) == [8, 4, 2, 1]
    assert widget.state["panels"] == [{"source": 0, "steps": 0}, {"source": 0, "steps": 2}]
    assert widget.guides[-1]["part"]["panels"] == [{"source": 0, "steps": 0}, {"source": 1, "steps": 0}]


def test_the_readers_of_the_player_are_chosen_by_their_walks(model, books):
    users = range(100, 130)
    found = lesson.explorer.readers_to_show(model, books, users)
    history = pad([books.history(user)[:-1].tolist() for user in users], model.max_len)
    target = torch.stack([books.history(user)[-1] for user in users])
    with torch.inference_mode():
        walk = list(model.trajectory(history, T, users=users, transition="renoise"))
        first, last = (ranks(model.rounding(walk[i].x0_hat, history), target).double() for i in (1, -1))
    gain = first / last
    assert gain[found["won most"] - 100] == gain.max() > 1
    assert gain[found["lost most"] - 100] == gain.min() < 1
    assert found["typical"] in users


def test_the_table_of_the_walk_agrees_with_the_players_states(model, books, monkeypatch):
    users = range(60, 73)
    table = lesson.explorer.along_the_walk(model, books, users, [T - 1, 3, 0])
    assert table.index.tolist() == [T - 1, 3, 0]
    data = trajectory_data(model, books, users, [T], transition="renoise")
    for t in table.index:
        states = [data.states(r)[T - t] for r in range(13)]
        for name in ("rank", "distance"):
            assert table[name][t] == pytest.approx(statistics.median(s[name] for s in states), abs=1e-3)
    # Of a model whose predictions only grow, none turns: with the length kept, they stay where they are.
    monkeypatch.setattr(type(model), "trajectory", growing(model.trajectory))
    table = lesson.explorer.along_the_walk(model, books, users, [T - 1, 3, 0])
    assert table["distance, length kept"].tolist() == pytest.approx([table.distance[T - 1]] * 3)
    assert table.length.tolist() == pytest.approx([table.length[T - 1] * grown for grown in (1, 5, 8)])


def growing(walk):
    """A walk in which every prediction is the first one, times the number of its move."""

    def trajectory(self, *given, **options):
        states = list(walk(*given, **options))
        for move, state in enumerate(states):
            yield state if move == 0 else state._replace(x0_hat=move * states[1].x0_hat)

    return trajectory
