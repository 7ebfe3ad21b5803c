"""The pure functions behind notebook 03's explorer and figures."""

import pytest
import torch

from diffrec_lite.data import load
from diffrec_lite.lessons import cross_attention as lesson
from diffrec_lite.models import build
from diffrec_lite.noise import Noise
from diffrec_lite.widgets import style

HISTORY = torch.tensor([[0, 0, 3, 8, 5], [7, 2, 9, 4, 6]])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build("sasrec", 240, d=16, blocks=2, heads=2).eval()


@pytest.mark.parametrize("name", ["sasrec", "diffurec"])
def test_rows_sum_to_one_and_padding_gets_nothing(name):
    model = build(name, 10, d=16, blocks=2, heads=2).eval()
    found = lesson.explorer.maps(model, HISTORY)
    assert [tuple(one.shape) for one in found] == [(2, 2, 5, 5)] * 2
    for one in found:
        assert torch.allclose(one.sum(-1), torch.ones(2, 2, 5))
        assert not one[0, :, 2:, :2].any()


def test_sasrec_never_looks_ahead(model):
    for one in lesson.explorer.maps(model, HISTORY[1:]):
        assert not one.triu(1).any()


def test_a_row_mask_lets_padding_in():
    model = build("diffurec", 10, d=16, blocks=1, heads=2, mask_rows=True).eval()
    assert (lesson.explorer.maps(model, HISTORY)[0][0, :, 2:, :2] > 0).all()


def test_only_models_with_self_attention_have_maps():
    with pytest.raises(TypeError, match="Popularity"):
        lesson.explorer.maps(build("popularity", 10), HISTORY)


def test_the_readout_names_the_book_that_is_looked_at():
    weights = torch.tensor([[1.0, 0.0], [0.7, 0.3]])
    text = lesson.explorer.readout(weights, ["One", "Two"])
    assert "last book is Two" in text and "most at One (70.0 %)" in text


@pytest.fixture(scope="module")
def system():
    torch.manual_seed(0)
    return build("diffurecsys", 240, d=16, blocks=2, heads=2, item_std=1.0).eval().requires_grad_(False)


def test_the_map_of_efficient_attention_mixes_the_values(system):
    attention, valid = system.cross_attention, HISTORY != 0
    x, context = (torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    weights = lesson.explorer.efficient_map(attention, x, context, valid)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 2, 5), atol=1e-6)
    assert not weights[0, ..., :2].any()
    answers = attention.out(attention.join(weights @ attention.split(attention.value(context))))
    assert torch.allclose(answers, attention(x, context, valid), atol=1e-6)


def test_the_direction_decides_what_the_weights_depend_on(system):
    found = lesson.explorer.cross_maps(system, HISTORY, delta=0.001)
    paper, program = (found[way][0][1] for way in (lesson.explorer.PAPER, lesson.explorer.PROGRAM))
    assert torch.allclose(paper, torch.full_like(paper, 1 / 5), atol=1e-3)  # who answers is nothing but lambda x_t
    assert program.std(-1).max() > 0.01 and program.std(-2).max() < 1e-3  # books differ, those who ask do not


def test_the_maps_are_those_of_the_model_in_use(system):
    batch = HISTORY[1:]
    e, noise = system.embed(batch), Noise(0, [0])
    u = lesson.explorer.noised_target(system, e, noise, system.settings.delta)
    T = system.settings.T
    z = system.fuse(e, noise(e[:, -1], T), torch.full((1,), T), batch != 0, noise, T)
    assert torch.allclose(e + system.cross_attention(e, u, batch != 0), z, atol=1e-6)


def test_the_explorer_has_every_state(system):
    explorer = lesson.explorer.attention_explorer(system, load("bookshop"), [0, 1])
    assert len(explorer.data["states"]) == 2 * 4 * 2 * 3
    assert all(abs(sum(row) - 1) < 1e-3 for shown in explorer.data["states"].values() for row in shown["weights"])
    first = explorer.picture()
    assert "cosine" in explorer.shown()["text"]
    explorer.state = [1, 3, 1, 2]
    assert explorer.shows().endswith("Attention: self-attention, block 2, Head: 2, Size of lambda: 1")
    assert "It looks most at" in explorer.shown()["text"] and explorer.picture() != first
    assert system.settings.delta == 0.001


def test_hidden_cells_are_hatched_and_small_weights_are_not():
    weights = torch.tensor([[1.0, 0.0], [0.99999, 0.00001]])
    for fig in (lesson.figures.attention(weights, ["One", "Two"]), lesson.figures.masks({"keys": weights}, 1)):
        ax = fig.axes[0]
        assert ax.patch.get_hatch()
        assert ax.images[0].get_array().mask.tolist() == [[False, True], [False, False]]


def test_titles_are_cut_between_words():
    assert lesson.figures.short("The Perfect Key") == "The Perfect Key"
    assert (
        lesson.figures.short("A long title with far too many letters (Saga 3)", 30) == "A long title with far too … 3)"
    )
    assert len(lesson.figures.short("word " * 30)) <= 46


def test_cosines_are_one_on_the_diagonal():
    found = lesson.figures.cosines(torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, -2.0]]))
    assert torch.allclose(found, torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]))


def test_every_figure_draws():
    weights = torch.eye(3)
    for fig in (
        lesson.figures.attention(weights, ["A long title with far too many letters, volume 3", "Two", "Three"]),
        lesson.figures.masks({"keys": weights, "rows": weights}, 1),
        lesson.figures.fusion({"added": torch.randn(3, 4), "attended": torch.randn(3, 4)}),
        lesson.figures.cost([4, 16, 64, 256], 32),
        lesson.figures.lost({"one change": (3, 1.5), "another": (-1, 2.0)}, 40),
    ):
        assert style.png(fig).startswith(b"\x89PNG")


def test_the_answer_before_the_explorer_is_read_off_its_own_maps(system):
    board = lesson.explorer.attention_explorer(system, load("bookshop"), [1, 4, 7])
    shown = [
        torch.tensor(state["weights"])
        for key, state in board.data["states"].items()
        if key.split("/")[1::2] == ["0", "2"]  # the paper's direction, the largest lambda
    ]
    assert len(shown) == 3 * system.settings.heads
    within = max(float((weights.amax(1) - weights.amin(1)).max()) for weights in shown)
    between = max(float((weights.amax(0) - weights.amin(0)).max()) for weights in shown)
    told = board.ask["told"]
    assert f"within a row the weights then differ by up to {100 * within:.1f}" in told.lower()
    assert f"between two rows by up to {100 * between:.1f}" in told


@pytest.mark.parametrize(
    ("weights", "answer"),
    [
        ([[0.6, 0.4], [0.6, 0.4]], "the columns"),
        ([[0.52, 0.48], [0.46, 0.54]], "both"),
        ([[0.5, 0.5], [0.51, 0.49]], "neither"),
    ],
)
def test_the_answer_before_the_explorer_follows_the_maps(weights, answer):
    asked = lesson.explorer.asked([torch.full((2, 2), 0.5), torch.tensor(weights)], 1000)
    assert asked["options"][asked["right"]].startswith(answer) and "1,000 times" in asked["text"]
