"""The pure functions behind notebook 03's explorer and figures."""

import pytest
import torch

from diffrec_lite.data import load
from diffrec_lite.lessons import cross_attention as lesson
from diffrec_lite.models import build
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
    assert "last book is Two" in text and "most at One (weight 0.70)" in text


def test_the_explorer_has_every_state(model):
    explorer = lesson.explorer.attention_explorer(model, load("bookshop"), [0, 1])
    assert len(explorer.readouts) == 8
    assert explorer.frame(block=1)[0] != explorer.frame(block=2)[0]


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
        lesson.figures.lost({"one change": 3, "another": -1}, 40),
    ):
        assert style.png(fig).startswith(b"\x89PNG")
