"""A softmax in pieces is the softmax of everything, and never holds everything."""

from functools import partial

import pytest
import torch
from models.small import make
from torch import Tensor
from torch.nn import functional as F
from watch import Watch

from diffrec_lite.data import Batch
from diffrec_lite.models import dcrec, sequential
from diffrec_lite.models.seen import SeenBias
from diffrec_lite.models.softmax import cross_entropy, prefixes
from diffrec_lite.noise import Noise

B, N, L, D, V = 5, 6, 8, 4, 50


class Scores(torch.nn.Module):
    """Inner products with an item table, a bias for what was read, and -inf for the padding."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(V, D, dtype=torch.float64))
        self.seen_bias = SeenBias().double()
        torch.nn.init.constant_(self.seen_bias.weight, -0.01)

    def forward(self, x: Tensor, history: Tensor | None) -> Tensor:
        scores = x @ self.table.T
        if history is not None:
            scores = self.seen_bias(scores, history)
        scores[:, 0] = -torch.inf
        return scores


@pytest.fixture
def case() -> tuple[Scores, Tensor, Tensor, Tensor]:
    """Scores, vectors, targets of which some are missing, and what each position has read."""
    vectors = torch.randn(B, N, D, dtype=torch.float64, requires_grad=True)
    target = torch.randint(1, V, (B, N)) * (torch.rand(B, N) < 0.7)
    assert 0 < int((target == 0).sum()) < B * N
    return Scores(), vectors, target, prefixes(torch.randint(0, V, (B, L)), N)


@pytest.mark.parametrize("with_history", [False, True])
@pytest.mark.parametrize("rows", [1, 4, 7, B * N - 1, B * N, 10_000])
def test_pieces_give_the_value_and_the_gradients_of_the_whole(case, rows, with_history):
    score, vectors, target, history = case
    history = history if with_history else None
    inputs = [vectors, score.table, *([score.seen_bias.weight] if with_history else [])]
    flat = None if history is None else history.flatten(0, 1)
    expected = F.cross_entropy(score(vectors.flatten(0, 1), flat), target.flatten(), ignore_index=0)
    found = cross_entropy(score, vectors, target, history, V, at_once=rows * V)
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)
    for mine, theirs in zip(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True):
        assert float(theirs.abs().max()) > 0.01 and torch.allclose(mine, theirs, atol=1e-6, rtol=1e-5)


def test_a_bound_below_one_row_still_takes_a_row(case):
    score, vectors, target, _ = case
    whole = cross_entropy(score, vectors, target, None, V)
    assert cross_entropy(score, vectors, target, None, V, at_once=1).item() == pytest.approx(whole.item(), abs=1e-6)


def test_what_is_missing_has_no_gradient(case):
    score, vectors, target, _ = case
    cross_entropy(score, vectors, target, None, V, at_once=3 * V).backward()
    moved = vectors.grad.abs().sum(-1) > 0
    assert torch.equal(moved, target != 0)


@pytest.mark.parametrize("with_history", [False, True])
def test_no_piece_is_larger_than_it_may_be(with_history):
    """5 · 6 · 5,000 scores in pieces of 10,000: nothing is larger than the item table, forwards or backwards."""
    V = 5_000
    table = torch.nn.Parameter(torch.randn(V, 2))
    vectors, target = torch.randn(B, N, 2, requires_grad=True), torch.randint(1, V, (B, N))
    bias, history = SeenBias(), prefixes(torch.randint(0, V, (B, L)), N) if with_history else None

    def score(x, seen):
        scores = x @ table.T
        return scores if seen is None else bias(scores, seen)

    for at_once, largest in ((10_000, 10_000), (10**9, B * N * V)):
        with Watch() as watch:
            cross_entropy(score, vectors, target, history, V, at_once=at_once).backward()
        assert watch.largest == largest


@pytest.mark.parametrize(
    ("module", "name", "settings"),
    [
        (sequential, "sasrec", {}),
        (sequential, "sasrec", {"seen_bias": True}),
        (dcrec, "dcrec", {"causal": True, "positions": "none", "seen_bias": True}),
        (dcrec, "dcrec", {"causal": True, "positions": "relative", "implicit": False}),
    ],
)
def test_a_model_never_holds_all_scores(module, name, settings, batch, monkeypatch):
    """Its loss and gradients stay what they are when the scores are made 31 · 4 at a time instead of 31 · 60."""
    model, losses, grads, watches = make(name, **settings), [], [], []
    many = Batch(*(torch.cat([x] * 8) for x in batch))
    every = 8 * 5 * 12 * 31
    for at_once in (every, 1000):
        monkeypatch.setattr(module, "cross_entropy", partial(cross_entropy, at_once=at_once))
        model.zero_grad()
        with Watch() as watch:
            loss = model.loss(many, Noise(0, many.users))["loss"]
            loss.backward()
        losses.append(loss.item())
        grads.append([p.grad for p in model.parameters()])
        watches.append(
            [watch.largest, "aten._log_softmax.default" in watch.ops, watch.ops.count("aten._log_softmax.default")]
        )
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    for one, other in zip(*grads, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert watches[0][2] == 1 and watches[1][2] >= 2 * every // 1000  # each piece twice: there, and on the way back


def test_prefixes_hold_what_each_position_has_read():
    history = torch.tensor([[0, 4, 7, 9], [1, 2, 3, 4]])
    assert prefixes(history, 2).tolist() == [[[0, 4, 7, 0], [0, 4, 7, 9]], [[1, 2, 3, 0], [1, 2, 3, 4]]]
    assert prefixes(history, 4)[1].tolist() == [[1, 0, 0, 0], [1, 2, 0, 0], [1, 2, 3, 0], [1, 2, 3, 4]]
