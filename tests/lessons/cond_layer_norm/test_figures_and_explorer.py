"""The pure functions behind the explorer and the figures of notebook 04."""

import pytest
import torch
from torch import nn

from diffrec_lite import models
from diffrec_lite.layers import CondLN
from diffrec_lite.lessons import cond_layer_norm as lesson

T, D, ITEMS = 6, 8, 12
TITLES = ["", *(f"Book {i}" for i in range(1, ITEMS + 1))]
GENRES = ["", *(("Crime", "Space")[i % 2] for i in range(1, ITEMS + 1))]


@pytest.fixture
def model() -> models.DCRec:
    """A small DCRec whose condition says something: the modulation of a new one is zero."""
    torch.manual_seed(0)
    model = models.build("dcrec", ITEMS, d=D, blocks=2, heads=2, T=T, schedule="linear", max_len=10)
    for layer in model.modules():
        if isinstance(layer, CondLN):
            nn.init.normal_(layer.modulation[-1].weight, std=0.2)
    return model.eval()


def test_fields_are_those_of_the_forward_pass(model):
    """What the explorer shows is what the layer does inside `denoise`, at a step and a position."""
    books, t = [3, 7, 5], 4
    seen = {}
    model.blocks[1].norm1.register_forward_hook(lambda layer, args, out: seen.update(x=args[0], out=out))
    with torch.inference_mode():
        H0 = model.embed(torch.tensor([books]))
        model.denoise(torch.randn_like(H0), torch.tensor([t]), H0, torch.ones(1, 3, dtype=torch.bool))
    gain, shift = lesson.explorer.fields(model, books, "block 2").at(t)
    expected = nn.functional.layer_norm(seen["x"], (D,))[0] * gain + shift
    assert torch.allclose(seen["out"][0], expected, atol=1e-6)


def test_a_new_model_has_plain_fields():
    fresh = models.build("dcrec", ITEMS, d=D, blocks=1, heads=2, T=T)
    shown = lesson.explorer.fields(fresh, [1, 2], "final")
    assert shown.gain.shape == (T, 2, D)
    assert bool((shown.gain == 1).all()) and bool((shown.shift == 0).all())
    assert float(shown.strength().abs().max()) == 0
    assert lesson.explorer.shares(shown.gain) == {"step": 0.0, "book": 0.0, "both": 0.0}


def test_fields_name_a_wrong_layer_or_step(model):
    with pytest.raises(ValueError, match="block 9"):
        lesson.explorer.fields(model, [1], "block 9")
    with pytest.raises(ValueError, match="got 7"):
        lesson.explorer.fields(model, [1]).at(T + 1)
    with pytest.raises(ValueError, match="no CondLN"):
        lesson.explorer.cond_layers(models.build("dcrec", ITEMS, d=D, blocks=1, heads=2, cond_ln=False))


def test_shares_find_the_cause():
    step, book = torch.randn(5, 1, 3), torch.randn(1, 4, 3)
    assert lesson.explorer.shares(step.expand(5, 4, 3))["step"] == pytest.approx(1)
    assert lesson.explorer.shares(book.expand(5, 4, 3))["book"] == pytest.approx(1)
    assert lesson.explorer.shares(step + book)["both"] == pytest.approx(0, abs=1e-6)
    parts = lesson.explorer.shares(step * book + 1)
    assert parts["both"] > 0.01 and sum(parts.values()) == pytest.approx(1)


@pytest.mark.parametrize("channel", lesson.explorer.CHANNELS)
def test_silencing_changes_the_scores_and_is_undone(model, channel):
    history = torch.tensor([[1, 2, 3, 4], [0, 5, 6, 7]])
    with torch.inference_mode():
        before = model.score(history)
        with lesson.explorer.silenced(model, channel) as deaf:
            during = deaf.score(history)
        after = model.score(history)
    assert not torch.allclose(before[:, 1:], during[:, 1:], atol=1e-6)
    assert torch.equal(before, after)


def test_a_model_without_the_step_cannot_tell_steps_apart(model):
    H0 = model.embed(torch.tensor([[1, 2]]))
    with lesson.explorer.silenced(model, "the step"):
        assert torch.equal(model.condition(torch.tensor([1]), H0), model.condition(torch.tensor([T]), H0))
    assert not torch.equal(model.condition(torch.tensor([1]), H0), model.condition(torch.tensor([T]), H0))


@pytest.mark.parametrize("positions", ["after", "before"])
def test_an_unknown_book_beside_still_has_its_place(positions):
    """What is silenced is which book it is: two histories of one length get the same condition."""
    model = models.build("dcrec", ITEMS, d=D, blocks=1, heads=2, T=T, positions=positions, signal=0.1).eval()
    t = torch.tensor([2])
    with torch.no_grad(), lesson.explorer.silenced(model, "the book beside"):
        one, other = (model.condition(t, model.clean(torch.tensor([books]))) for books in ([1, 2, 3], [7, 5, 6]))
        mean = model.step_embedding(t) + (model.item_vectors()[1:] / 0.1).mean(0)
    assert torch.equal(one, other)
    place = model.positions(one) if positions == "after" else 0
    assert torch.allclose(one[0], mean + place, atol=1e-5)


def test_silencing_refuses_an_unknown_channel(model):
    with pytest.raises(ValueError, match="the moon"), lesson.explorer.silenced(model, "the moon"):
        pass


def test_explorer_shows_the_state_it_names(model):
    explorer = lesson.explorer.fields_explorer(model, {"Ben": [4, 5]}, TITLES, GENRES)
    steps = explorer.data["steps"]
    assert len(explorer.data["states"]) == 2 * len(steps) and (steps[0], steps[-1]) == (1, T)
    first = explorer.picture()
    explorer.state = [0, 1, len(steps) - 1, 0]
    assert explorer.picture() != first
    shown = explorer.shown()
    assert explorer.shows() == "Ben, final, step 6"
    assert shown["text"].startswith("Step 6.") and "Book 4" in shown["text"] and "Book 5" in shown["text"]
    found = lesson.explorer.fields(model, [4, 5], "final")
    gain, shift = found.at(6)
    assert torch.allclose(torch.tensor(shown["gain"]) / 100, gain, atol=0.0051)
    assert torch.allclose(torch.tensor(shown["shift"]) / 100, shift, atol=0.0051)
    strength = found.strength()[5]
    assert f"Strongest: Book {4 + int(strength.argmax())} ({strength.max():.2f})" in shown["text"]
    assert shown["strongest"] == int(strength.argmax())
    assert [book["genre"] for book in explorer.data["books"][0]] == ["Crime", "Space"]


def made(dials, books):
    """Fields of one step whose gains are these numbers, one a position."""
    gain = torch.tensor(dials)[None, :, None]
    return lesson.explorer.Fields(books, gain, torch.zeros_like(gain))


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        # Books 2, 4, 6 are of one genre, 1, 3, 5 of the other.
        (([1.0, 5.0, 1.1], [2, 1, 4]), ([5.1, 1.2, 5.2], [3, 6, 5]), "the genre"),
        (([1.0, 5.0, 9.0], [2, 1, 4]), ([1.1, 5.1, 9.1], [3, 6, 5]), "the place in the history"),
        (([1.0, 5.0, 9.0], [2, 4, 1]), ([5.1, 9.1, 1.1], [1, 6, 3]), "neither"),
    ],
)
def test_the_answer_to_the_question_is_counted(first, second, answer):
    asked = lesson.explorer.asked([made(*first), made(*second)], GENRES, 1)
    assert asked["options"][asked["right"]] == answer
    assert "of the 6 positions" in asked["told"]


def test_a_book_is_not_compared_with_itself():
    asked = lesson.explorer.asked([made([1.0, 5.0], [2, 1]), made([1.0, 1.1], [2, 4])], GENRES, 1)
    assert asked["told"].startswith("For 75 %")  # book 1 alone is nearest to one of another genre


def test_only_the_last_eight_books_are_named(model):
    shown = lesson.explorer.fields(model, [12, 1, 2, 3, 4, 5, 6, 7, 8])
    assert len(shown.books) == 9
    assert all("Book 12" not in lesson.explorer.describe(shown, t, TITLES) for t in range(1, T + 1))


def test_titles_are_shortened():
    assert lesson.figures.short("The Forgotten Oath (Wardens of Thistlemoor 2)") == "The Forgotten Oath"
    assert lesson.figures.short("The Navigator and the Long Way Home", 20) == "The Navigator and …"
    assert lesson.figures.wrapped("The Apprentice and the Gate (Lanterns 1)") == "The Apprentice\nand the Gate"


def test_pairs_draws_every_book_and_marks_the_target():
    fig = lesson.figures.pairs(["B", "C"], ["A", "B"], target="C")
    words = [text.get_text() for text in fig.axes[0].texts]
    assert words.count("A") == 1 and words.count("B") == 2 and words.count("C") == 1
