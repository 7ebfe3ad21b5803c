"""DiffuRec and DiffuRecSys: the printed formulas, and every switch by what it changes."""

import pytest
import torch
from models.small import ITEMS, VARIANTS, changes, make, same_weights
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.data import pad
from diffrec_lite.layers import TransformerBlock
from diffrec_lite.models import DiffuRec, DiffuRecSys
from diffrec_lite.models.diffurec import LAMBDA, OFFSET
from diffrec_lite.noise import Noise

DIFFURECS = [variant for variant, (name, _) in VARIANTS.items() if name.startswith("diffurec")]


def test_the_two_papers_differ_in_cross_attention_and_offset_noise_alone():
    one, other = DiffuRec.Settings(), DiffuRecSys.Settings()
    differ = {name: value for name, value in other.as_dict().items() if value != one.as_dict()[name]}
    assert differ == {"cross_attention": "efficient", "offset_mean": 0.1}
    assert (one.T, one.schedule, one.delta, one.blocks, one.transition) == (32, "trunc_lin", 0.001, 4, "posterior")


def test_the_loss_is_the_papers(batch):
    """x_t, lambda (x_t + d_t) laid over every item, the last position of the Transformer, cross-entropy over items."""
    model, noise = make("diffurec", delta=0.4), Noise(0, batch.users, batch.positions)
    valid, e = batch.history != 0, model.item_embedding(batch.history)
    t = noise.integers(1, 32)
    x0 = model.item_embedding(batch.target)
    abar = model.diffusion.abar[t].float()[:, None]
    xt = abar.sqrt() * x0 + (1 - abar).sqrt() * noise(x0)
    z = e + 0.4 * (1 + noise(e, 0, LAMBDA)) * (xt + model.step_embedding(t))[:, None]
    for block in model.blocks:
        z = block(z, valid[:, None, None])
    x0_hat = model.norm(z)[:, -1]
    expected = F.cross_entropy(x0_hat @ model.item_embedding.weight[1:].T, batch.target - 1)
    assert model.loss(batch, noise)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"positions": True},
        {"cross_attention": "softmax"},
        {"cross_attention": "none"},
        {"residual": False},
        {"mask_rows": True},
        {"only_last_block": True},
        {"key_softmax_over_heads": True},
        {"query_from_target": True},
        {"delta": 0.5},
        {"seen_bias": True},
    ],
    ids=str,
)
def test_switches_of_diffurecsys(settings, histories):
    """At full strength: as published lambda leaves next to nothing of u, and all weightings of nothing are alike."""
    assert changes("diffurecsys", pad(histories), settings, both={"delta": 1.0})


@pytest.mark.parametrize(
    "settings",
    [{"sampling_steps": 1}, {"samples": 2}, {"transition": "ddim"}, {"transition": "renoise"}, {"schedule": "cosine"}],
    ids=str,
)
def test_switches_of_the_sampler(settings, histories):
    assert changes("diffurec", pad(histories), settings, both={"delta": 1.0})


@pytest.mark.parametrize("settings", [{"offset_mean": 0.5}, {"offset_strength": 0.5}])
def test_offset_noise_acts_in_training_alone(settings, batch):
    plain = make("diffurec", delta=1.0)
    offset = same_weights(plain, **settings)
    losses = [model.loss(batch, Noise(0, batch.users))["loss"].item() for model in (plain, offset)]
    assert losses[0] != pytest.approx(losses[1], abs=1e-4)
    assert torch.equal(plain.score(batch.history), offset.score(batch.history))


def test_the_offset_of_an_example_is_one_number_for_all_its_features(batch, monkeypatch):
    model, noise, seen = make("diffurec", offset_strength=0.5, offset_mean=0.2), Noise(0, batch.users), []
    q_sample = model.diffusion.q_sample
    monkeypatch.setattr(model.diffusion, "q_sample", lambda x0, t, eps: seen.append(eps) or q_sample(x0, t, eps))
    model.loss(batch, noise)
    shift = seen[0] - noise(torch.empty(5, 16))
    expected = 0.2 + 0.5 * noise(torch.empty(5, 1), 0, OFFSET)
    assert torch.allclose(shift, expected.expand(5, 16), atol=1e-6) and expected.unique().numel() == 5


def test_without_lambda_there_is_no_diffusion(histories):
    model, history = make("diffurec", delta=0.0), pad(histories)
    assert torch.equal(model.score(history, seed=1), model.score(history, seed=2))
    assert torch.allclose(model.score(history, steps=1), model.score(history, steps=9), atol=1e-6)


def test_lambda_is_drawn_anew_at_every_step(histories, monkeypatch):
    model, history, seen = make("diffurec", delta=1.0), pad(histories), []
    noise = Noise(0, range(5))
    _, denoise = model.start(history, noise, [3, 2, 0])
    monkeypatch.setattr(model, "approximate", lambda z, valid: seen.append(z) or z[:, -1])
    xt, e = torch.ones(5, 16), model.embed(history)
    for t in (3, 2):
        denoise(xt, t)
        lambda_ = 1 + noise(e, t, LAMBDA)
        expected = e + lambda_ * (xt + model.step_embedding(torch.full((5,), t)))[:, None]
        assert torch.allclose(seen[-1], expected, atol=1e-5)
    assert not torch.allclose(seen[0], seen[1], atol=1e-2)


def test_without_positions_only_the_last_item_has_a_place(histories):
    """Ledger 10: with lambda = 0, permuting all but the last item changes nothing."""
    history = torch.tensor([histories[-1]])
    shuffled = torch.cat([history[:, :-1].flip(1), history[:, -1:]], dim=1)
    model = make("diffurec", delta=0.0)
    assert torch.allclose(model.score(history), model.score(shuffled), atol=1e-5)
    placed = make("diffurec", delta=0.0, positions=True)
    assert not torch.allclose(placed.score(history), placed.score(shuffled), atol=1e-3)


def test_the_printed_cross_attention_loses_the_history_without_its_residual(batch):
    """z = CrossAttention(e, u) is a weighting of the noised target: with one item there is nothing to weigh."""
    t, xt = torch.full((5,), 9), torch.randn(5, 16)
    for residual, reaches in ((True, True), (False, False)):
        model = make("diffurecsys", residual=residual, cross_attention="softmax", delta=1.0)
        noise = Noise(0, batch.users)
        one, other = (torch.full((5, 1), item) for item in (3, 8))
        z = [model.fuse(model.embed(h), xt, t, h != 0, noise) for h in (one, other)]
        assert torch.allclose(*z, atol=1e-5) != reaches


@pytest.mark.parametrize("variant", [*DIFFURECS, "released"])
def test_the_last_position_alone_is_that_of_the_whole_history(variant, histories, monkeypatch):
    settings = {"mask_rows": True, "only_last_block": True, "key_softmax_over_heads": True, "query_from_target": True}
    name, settings = VARIANTS.get(variant, ("diffurecsys", settings))
    model, history = make(name, **settings), pad(histories)
    quick, forward, asked = model.score(history), TransformerBlock.forward, []

    def whole(block: TransformerBlock, x: Tensor, mask: Tensor | None = None, last: bool = False) -> Tensor:
        asked.append(last)
        return forward(block, x, mask)

    monkeypatch.setattr(TransformerBlock, "forward", whole)
    assert torch.allclose(model.score(history), quick, atol=1e-5)
    assert True in asked


def test_the_scores_are_inner_products(histories):
    model, x0_hat = make("diffurec"), torch.randn(5, 16)
    expected = x0_hat @ model.item_vectors()[1:].T
    assert torch.allclose(model.rounding(x0_hat, pad(histories))[:, 1:], expected, atol=1e-6)
    assert model.item_vectors().shape == (ITEMS + 1, 16)
