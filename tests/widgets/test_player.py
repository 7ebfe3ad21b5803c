"""The trajectory player's numbers are the model's own, for every diffusion model, on noise that the chains share."""

import json
from dataclasses import replace

import pytest
import torch

from diffrec_lite import models
from diffrec_lite.data import load, pad
from diffrec_lite.metrics import ranks
from diffrec_lite.widgets.player import player
from diffrec_lite.widgets.still import draw
from diffrec_lite.widgets.trajectories import (
    clock,
    frame,
    genres_of,
    projection,
    same_group_neighbours,
    span,
    state_at,
    trajectory_data,
    typical,
    within,
)

READERS = [3, 8]
DIFFUSION = ("diffurec", "diffurecsys", "dcrec")


@pytest.fixture(scope="module")
def books():
    return load("bookshop")


def small(name, books):
    torch.manual_seed(0)
    return models.build(name, books.num_items, d=16, blocks=1, heads=2, T=8).eval()


@pytest.fixture(scope="module")
def data(books):
    return trajectory_data(small("diffurec", books), books, READERS, steps=[8, 2, 1], seeds=[0, 1])


@pytest.mark.parametrize("name", DIFFUSION)
@pytest.mark.parametrize("transition", ["posterior", "renoise"])
def test_a_state_says_what_the_model_says(books, name, transition):
    model = small(name, books)
    data = trajectory_data(model, books, READERS, steps=[8, 3], seeds=[5], transition=transition)
    history = pad([books.history(user)[:-1].tolist() for user in READERS], model.max_len)
    target = torch.stack([books.history(user)[-1] for user in READERS])
    with torch.inference_mode():
        states = list(model.trajectory(history, 3, 5, users=READERS, transition=transition))
        scores = model.rounding(states[2].x0_hat, history)
        vectors = model.item_vectors()
        apart = torch.stack([(vectors[1:] - one).norm(dim=1).sum() for one in vectors[1:]]).sum() / (240 * 239)
        distance = (states[2].x0_hat - vectors[target]).norm(dim=1) / apart
        noisy = model.rounding(states[2].xt, history)
    for r in range(2):
        shown = data.states(r, 3, 5)[2]
        assert shown["t"] == states[2].t
        assert shown["rank"] == ranks(scores, target)[r]
        assert shown["noisy_rank"] == ranks(noisy, target)[r]
        assert shown["distance"] == pytest.approx(float(distance[r]), abs=1e-3)
        assert shown["nearest"] == scores[r].topk(5).indices.tolist()


def test_a_chain_runs_from_noise_to_the_prediction(data):
    for steps in (8, 2, 1):
        states = data.states(0, steps, 0)
        assert len(states) == steps + 1
        assert (states[0]["t"], states[-1]["t"]) == (8, 0)
        assert states[0]["x0"] is None
        assert states[-1]["xt"] == states[-1]["x0"]


def test_chains_share_their_noise_and_seeds_do_not(data):
    assert data.states(0, 8, 0)[0]["xt"] == data.states(0, 1, 0)[0]["xt"]
    assert data.states(0, 8, 0)[0]["xt"] != data.states(0, 8, 1)[0]["xt"]
    assert data.states(0, 8, 0)[0]["xt"] != data.states(1, 8, 0)[0]["xt"]


def test_a_reader_keeps_the_same_noise_in_other_company(books, data):
    alone = trajectory_data(small("diffurec", books), books, READERS[1:], steps=[2], seeds=[1])
    assert alone.states(0, 2, 1) == data.states(1, 2, 1)


def test_the_truth_is_the_readers_last_book(books, data):
    for reader, user in zip(data.readers, READERS, strict=True):
        assert [*reader["history"], reader["target"]] == books.history(user).tolist()
    assert data.items["title"][1] == books.title(1)
    assert len(data.items["title"]) == books.num_items + 1


def test_the_model_is_left_as_it_was(books):
    model = small("dcrec", books).train()
    trajectory_data(model, books, READERS, steps=[1])
    assert model.training


def test_the_projection_keeps_what_varies_most():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(200, 6, generator=generator) * torch.tensor([1, 9, 1, 4, 1, 1.0])
    vectors[0] = 1000  # padding
    for groups in ((), ["", *"ab" * 99, "a"]):  # two groups span no plane
        mean, axes = projection(vectors, groups)
        assert axes.abs().argmax(0).tolist() == [1, 3]
        assert torch.allclose(axes.T @ axes, torch.eye(2), atol=1e-5)
        assert torch.allclose(mean, vectors[1:].mean(0))
        assert all(axes[axes[:, k].abs().argmax(), k] > 0 for k in range(2))


def test_the_plane_goes_through_the_centres_of_the_groups():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(301, 6, generator=generator) * torch.tensor([1, 9, 1, 1, 1, 1.0])
    groups = ["", *"abc" * 100]
    middles = torch.tensor([[4.0, 0, 0, 0, 0, 0], [-4.0, 0, 0, 0, 3, 0], [0, 0, 0, 0, -3.0, 0]])
    of = torch.arange(300) % 3
    for g in range(3):  # groups whose middles lie exactly there, though the items vary most along another direction
        vectors[1:][of == g] += middles[g] - vectors[1:][of == g].mean(0)
    mean, axes = projection(vectors, groups)
    centred = middles - middles.mean(0)
    assert torch.allclose(centred @ axes @ axes.T, centred, atol=1e-4)
    assert torch.allclose(mean, vectors[1:].mean(0))
    assert int(projection(vectors)[1][:, 0].abs().argmax()) == 1


def test_in_the_plane_more_neighbours_are_of_a_books_own_genre_than_in_that_of_all_books(books):
    for name in ("dcrec", "diffurecsys", "hybrid"):
        vectors, groups = models.load_checkpoint(name).item_vectors().detach(), genres_of(books)
        shares = []
        for mean, axes in (projection(vectors), projection(vectors, groups)):
            shares.append(same_group_neighbours((vectors - mean) @ axes, groups))
        whole = same_group_neighbours(vectors, groups)
        print(
            f"{name}: {shares[0]:.2f} of the neighbours, {shares[1]:.2f} through the genres, {whole:.2f} in full space"
        )
        assert shares[0] + 0.05 < shares[1] < whole


def test_neighbours_are_counted_in_their_own_group():
    places = torch.tensor([[99.0], [0], [1], [2.5], [10], [11], [2.4]])
    groups = ["", "a", "a", "a", "b", "b", "b"]
    assert same_group_neighbours(places, groups, k=1) == pytest.approx(4 / 6)


def test_the_share_of_the_plane_and_the_middles_of_the_genres(books, data):
    vectors, groups = small("diffurec", books).item_vectors().detach(), genres_of(books)
    mean, axes = projection(vectors, groups)
    flat = (vectors[1:] - mean) @ axes @ axes.T
    assert data.share == pytest.approx(float(flat.var(0).sum() / vectors[1:].var(0).sum()), abs=0.005)
    assert data.genres == sorted(set(books.item_features.genre))
    for g, name in enumerate(data.genres):
        own = [i for i in range(1, 241) if books.item_features.genre[i] == name]
        assert data.centres[g][0] == pytest.approx(sum(data.items["x"][i] for i in own) / len(own), abs=1e-3)


def test_the_typical_reader_is_near_every_median(books):
    data = trajectory_data(small("dcrec", books), books, range(9), steps=[8], seeds=[0])
    for r in range(9):  # curves that can be told by heart: reader r has rank 2 ** r, and reader 6 the median distance
        for state in data.states(r):
            state["rank"], state["distance"] = 2**r, 1.0 if r == 6 else 2.0 ** (10 * (r % 2) - 5)
    assert typical(data) == 6
    for r in range(9):
        for state in data.states(r):
            state["distance"] = 1.0
    assert typical(data) == 4


def test_the_frame_holds_every_book_and_near_prediction_and_moves_the_rest_to_its_edge(books):
    torch.manual_seed(0)
    model = models.build("dcrec", books.num_items, d=16, blocks=1, heads=2, T=8, signal=0.1).eval()
    data = trajectory_data(model, books, READERS, steps=[8])
    places = list(zip(data.items["x"][1:], data.items["y"][1:], strict=True))
    width, height = (max(of) - min(of) for of in zip(*places, strict=True))
    near = [max(x for x, _ in places) + 0.4 * max(width, height), 0.0]
    data.states(1, 8)[3]["x0"], data.states(1, 8)[4]["x0"] = near, [-7.0, 50.0]
    left, right, low, high = shown = frame(data)
    assert all(left < x < right and low < y < high for x, y in [*places, near])
    assert within((-7.0, 50.0), shown) == (left, high)  # far from every book: it waits at the edge
    assert high - low < 2.5 * max(width, height)
    noise = [data.states(r, 8)[0]["xt"] for r in range(2)]
    assert any(within(place, shown) != tuple(place) for place in noise)
    assert within((right + 9, low - 9), shown) == (right, low) and within(places[0], shown) == tuple(places[0])


def test_the_axis_of_distances_holds_every_prediction_and_one(data):
    low, high = span([data])
    assert low <= 1 <= high
    chain = data.states(1, 8, 1)
    assert all(low <= state["distance"] <= high for state in chain[1:])


def test_the_clock_shows_the_last_state_reached(data):
    full, two = data.states(0, 8, 0), data.states(0, 2, 0)
    assert clock([full, two]) == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert clock([two]) == [8, 4, 0]
    assert [two[state_at(two, t)]["t"] for t in (8, 7, 5, 4, 3, 1, 0)] == [8, 8, 8, 4, 4, 4, 0]


def test_the_widget_holds_plain_data_and_looks_the_same_each_time(data):
    widget = player(data, panels=[("DiffuRec", 8), ("DiffuRec", 2)])
    json.dumps(widget.get_state(["sources", "state", "colours"]))
    assert widget.state["panels"] == [{"source": 0, "steps": 0}, {"source": 0, "steps": 1}]
    bundle, metadata = widget._repr_mimebundle_()
    assert bundle["text/plain"] == repr(player(data, panels=[("DiffuRec", 8), ("DiffuRec", 2)]))
    assert "0x" not in bundle["text/plain"].replace("x0_hat", "")
    assert bundle["image/png"].startswith("iVBOR")
    assert "DiffuRec with 8 steps beside DiffuRec with 2 steps" in metadata["image/png"]["alt"]


def test_two_models_share_a_player(books, data):
    other = trajectory_data(small("dcrec", books), books, READERS, steps=[8, 1], seeds=[0, 1])
    widget = player(data, other, panels=[("DiffuRec", 8), ("DCRec", 1)])
    assert [panel["source"] for panel in widget.state["panels"]] == [0, 1]
    assert len(widget.picture()) > 1000


def test_each_button_sets_a_moment_that_both_panels_can_show(data):
    panels = [("DiffuRec", 8), ("DiffuRec", 2)]
    widget = player(data, panels=panels, more=[("Short", 0, [("DiffuRec", 1), ("DiffuRec", 2)])])
    assert [guide["text"] for guide in widget.guides] == [
        "Pure noise", "After one move", "Look at t = 2", "The end", "Short"
    ]  # fmt: skip
    assert [guide["part"]["t"] for guide in widget.guides] == [8, 7, 2, 0, 0]
    assert widget.guides[0]["part"]["panels"] == widget.state["panels"]
    assert [panel["steps"] for panel in widget.guides[-1]["part"]["panels"]] == [2, 1]
    with pytest.raises(ValueError, match="no chain 'DiffuRec' with 3 steps"):
        player(data, panels=panels, more=[("Wrong", 0, [("DiffuRec", 3)])])


def test_the_still_picture_shows_plane_and_curves(data):
    fig = draw([(data, 8), (data, 2)], reader=1, seed=1)
    planes, ranks_, distances = (fig.axes[i : i + 2] for i in (0, 2, 4))
    assert {text.get_text() for text in planes[0].texts} == set(data.genres)
    own, other, _ = ranks_[0].lines
    assert list(own.get_ydata()) == [state["rank"] for state in data.states(1, 8, 1)[1:]]
    assert list(other.get_ydata()) == [state["rank"] for state in data.states(1, 2, 1)[1:]]
    assert list(distances[1].lines[0].get_ydata()) == [state["distance"] for state in data.states(1, 2, 1)[1:]]
    assert ranks_[0].get_ylim() == ranks_[1].get_ylim() and distances[0].get_ylim() == distances[1].get_ylim()
    start = draw([(data, 8)], t=8)
    assert "this is pure noise" in [text.get_text() for text in start.axes[0].texts]


def test_a_mistake_is_named(books, data):
    other = trajectory_data(small("dcrec", books), books, READERS[:1], steps=[1], seeds=[0, 1])
    with pytest.raises(ValueError, match="readers or seeds differ"):
        player(data, other)
    with pytest.raises(ValueError, match="no chain 'DiffuRec' with 3 steps"):
        player(data, panels=[("DiffuRec", 3)])
    with pytest.raises(ValueError, match="names of their own"):
        player(data, data)


def test_one_clock_cannot_serve_two_lengths_of_the_chain(books):
    long, short = (
        replace(trajectory_data(small("dcrec", books), books, READERS, steps=[2], seeds=[0]), name=name, T=T)
        for name, T in (("long", 16), ("short", 8))
    )
    with pytest.raises(ValueError, match="long has 16 steps and short 8; a player has one clock"):
        player(long, short)


def test_a_book_without_a_genre_has_none(books):
    features = books.item_features.copy()
    features.loc[1, "genre"] = float("nan")
    assert genres_of(replace(books, item_features=features))[:3] == ["", "", features.genre[2]]
