"""The trajectory player's numbers are the model's own, for every diffusion model, on noise that the chains share."""

import json

import pytest
import torch

from diffrec_lite import models
from diffrec_lite.data import load, pad
from diffrec_lite.metrics import ranks
from diffrec_lite.widgets.player import clock, frame, player, projection, state_at, trajectory_data, within

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
        distance = (states[2].x0_hat - model.item_vectors()[target]).norm(dim=1)
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
    mean, axes = projection(vectors)
    assert axes.abs().argmax(0).tolist() == [1, 3]
    assert torch.allclose(axes.T @ axes, torch.eye(2), atol=1e-5)
    assert torch.allclose(mean, vectors[1:].mean(0))
    assert all(axes[axes[:, k].abs().argmax(), k] > 0 for k in range(2))


def test_the_frame_holds_every_book_and_prediction_and_moves_noise_to_its_edge(books):
    torch.manual_seed(0)
    model = models.build("dcrec", books.num_items, d=16, blocks=1, heads=2, T=8, signal=0.1).eval()
    data = trajectory_data(model, books, READERS, steps=[8])
    data.states(1, 8)[3]["x0"] = [-7.0, 5.0]  # a prediction far from every book
    left, right, low, high = shown = frame(data)
    places = list(zip(data.items["x"][1:], data.items["y"][1:], strict=True))
    places += [state["x0"] for r in range(2) for state in data.states(r, 8) if state["x0"]]
    assert all(left < x < right and low < y < high for x, y in places)
    assert max(right - left, high - low) < 1.2 * max(max(p) for p in places) - 1.2 * min(min(p) for p in places)
    noise = [data.states(r, 8)[0]["xt"] for r in range(2)]
    assert any(within(place, shown) != tuple(place) for place in noise)
    assert within((right + 9, low - 9), shown) == (right, low) and within(places[0], shown) == tuple(places[0])


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


def test_a_mistake_is_named(books, data):
    other = trajectory_data(small("dcrec", books), books, READERS[:1], steps=[1], seeds=[0, 1])
    with pytest.raises(ValueError, match="readers or seeds differ"):
        player(data, other)
    with pytest.raises(ValueError, match="no chain 'DiffuRec' with 3 steps"):
        player(data, panels=[("DiffuRec", 3)])
    with pytest.raises(ValueError, match="names of their own"):
        player(data, data)
