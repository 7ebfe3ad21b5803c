"""DCRec: the printed model by its formulas, and every switch by what it changes."""

import pytest
import torch
from models.small import ITEMS, changes, make, same_weights, stream_of
from torch.nn import functional as F

from diffrec_lite.data import pad
from diffrec_lite.layers import CondLN, PlainLN
from diffrec_lite.models import DCRec
from diffrec_lite.models.dcrec_settings import DCRecSettings
from diffrec_lite.noise import Noise

# ---------------------------------------------------------------- as printed


def test_the_defaults_are_the_papers():
    s = DCRecSettings()
    assert (s.T, s.schedule, s.d, s.max_len, s.blocks, s.heads) == (50, "scaled_linear", 128, 50, 4, 4)
    assert (s.implicit, s.explicit, s.cond_ln, s.noise_on) == (True, True, True, "sequence")
    assert (s.transition, s.delta, s.rounding_by, s.positions) == ("renoise", 0.1, "cosine", "before")
    assert (s.prior, s.denoising, s.ranking, s.lambda_schedule, s.lambda_epochs) == (1, 1, 1, "smooth", 150)


def test_every_repair_and_every_habit_of_the_released_program_is_off():
    s = DCRecSettings()
    switches = (
        "mask_rows",
        "delta_in_training",
        "detach_target",
        "slot",
        "project",
        "copies",
        "seen_bias",
        "causal",
        "step_for_each",
    )
    assert not any(getattr(s, name) for name in switches)
    assert (s.share_at_T, s.stream, s.signal, s.samples) == (0, "noised", 1, 1)


def test_the_loss_is_the_papers_sum(batch):
    """L = L_T + (1 - lambda) L_t + lambda L_z, each written out from S_t, S_0_hat and S_0."""
    model, noise = make("dcrec"), Noise(0, batch.users, batch.positions)
    S0, H0, valid = stream_of(model, batch)
    t = noise.integers(1, 50)
    abar = model.diffusion.abar[t].float()[:, None, None]
    S0_hat = model.denoise(abar.sqrt() * S0 + (1 - abar).sqrt() * noise(S0), t, H0, valid)
    prior = torch.stack([row[real].square().mean() for row, real in zip(S0_hat, valid, strict=True)]).mean()
    denoising = (S0_hat[:, -1] - S0[:, -1]).square().mean()
    scores = S0_hat[:, -1] @ model.item_embedding.weight[1:].T
    ranking = F.cross_entropy(scores, batch.target - 1)
    for epoch, lambda_ in ((0, 0.203), (75, 0.2 * 0.5**9 + 0.003), (150, 0.003)):
        parts = model.loss(batch, noise, epoch)
        assert parts["prior"].item() == pytest.approx(prior.item(), rel=1e-5)
        assert parts["denoising"].item() == pytest.approx(denoising.item(), rel=1e-5)
        assert parts["ranking"].item() == pytest.approx(ranking.item(), rel=1e-5)
        expected = prior + (1 - lambda_) * denoising + lambda_ * ranking
        assert parts["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_each_loss_can_be_switched_off(batch):
    for switch in ("prior", "denoising", "ranking"):
        model = make("dcrec", **{s: float(s == switch) for s in ("prior", "denoising", "ranking")})
        parts = model.loss(batch, Noise(0, batch.users))
        weight = {"prior": 1.0, "denoising": 1 - model.lambda_at(0), "ranking": model.lambda_at(0)}[switch]
        assert parts["loss"].item() == pytest.approx(weight * parts[switch].item(), rel=1e-5)


def test_lambda_schedules_match_the_paper():
    smooth = DCRec(ITEMS, d=8, heads=2)
    assert smooth.lambda_at(0) == pytest.approx(0.203)
    assert smooth.lambda_at(75) == pytest.approx(0.2 * 0.5**9 + 0.003)
    assert smooth.lambda_at(150) == smooth.lambda_at(1000) == pytest.approx(0.003)
    assert DCRec(ITEMS, d=8, heads=2, lambda_schedule="fix").lambda_at(60) == 0.1
    decline = DCRec(ITEMS, d=8, heads=2, lambda_schedule="decline")
    assert decline.lambda_at(40) == pytest.approx(0.103) and decline.lambda_at(80) == pytest.approx(0.003)
    short = DCRec(ITEMS, d=8, heads=2, lambda_epochs=15)
    assert short.lambda_at(7.5) == pytest.approx(smooth.lambda_at(75)) and short.lambda_at(15) == smooth.lambda_at(150)


@pytest.mark.parametrize("signal", [1.0, 0.5])
def test_sampling_starts_from_noise_around_the_known_part(signal, histories):
    """x_T = N(0, I) + delta H_0, and 0 stands where the target will be (Algorithm 2)."""
    model, history = make("dcrec", delta=0.7, signal=signal), pad(histories)
    noise = Noise(0, range(5))
    x_T, _ = model.start(history, noise, [50, 0])
    following = torch.cat([history[:, 1:], torch.zeros(5, 1, dtype=torch.long)], dim=1)
    known = 0.7 * model.embed(following) * (following != 0)[..., None]
    assert torch.allclose(x_T - noise(x_T, 50), known, atol=1e-6)
    assert torch.equal(x_T[:, -1], noise(x_T, 50)[:, -1]) and bool((known[-1, :-1] != 0).all())


@pytest.mark.parametrize("causal", [False, True])
def test_each_place_of_the_stream_stands_beside_the_item_before(batch, causal):
    """The target must be denoised from the history alone: its own clean vector is never a condition."""
    model = make("dcrec", causal=causal, positions="relative")
    valid = batch.history != 0
    H0 = model.embed(batch.history)
    t, S = torch.full((5,), model.diffusion.T), torch.zeros_like(H0)
    base = model.denoise(S, t, H0, valid)
    changed = H0.clone()
    changed[-1, 7] += 1
    moved = (model.denoise(S, t, changed, valid) - base).abs().amax(-1) > 1e-5
    assert not bool(moved[:4].any())
    assert moved[-1].tolist() == [not causal] * 7 + [True] * 5


def test_noise_on_the_target_leaves_the_history_clean(batch):
    model = make("dcrec", noise_on="target")
    S0, _, _ = stream_of(model, batch)
    St = model.noised(S0, torch.full((5,), 50), torch.ones_like(S0))
    assert torch.equal(St[:, :-1], S0[:, :-1]) and not torch.allclose(St[:, -1], S0[:, -1], atol=0.1)
    whole = make("dcrec").noised(S0, torch.full((5,), 50), torch.ones_like(S0))
    assert bool(((whole - S0).abs().amax(-1) > 0.1).all())


def test_what_is_known_of_the_stream_stays_clean_while_the_target_is_sampled(histories, monkeypatch):
    model, history = make("dcrec", noise_on="target"), pad(histories)
    seen, denoise = [], model.denoise
    monkeypatch.setattr(model, "denoise", lambda St, *a, **k: seen.append(St) or denoise(St, *a, **k))
    list(model.trajectory(history, steps=4))
    known = model.known(history, seen[0])
    assert len(seen) == 4 and all(torch.equal(St[:, :-1], known[:, :-1]) for St in seen)


def test_implicit_and_explicit_say_what_the_network_sees(batch):
    explicit_only, implicit_only = make("dcrec", implicit=False), make("dcrec", explicit=False)
    t, S = torch.full((5,), 9), torch.randn(5, 12, 16)
    H0, valid = implicit_only.embed(batch.history), batch.history != 0
    assert torch.equal(implicit_only.denoise(S, t, H0, valid), implicit_only.denoise(S, t, H0 + 1, valid))
    assert implicit_only.read(H0) == [None, None]
    assert not torch.allclose(
        explicit_only.denoise(S[:, -1:], t, H0, valid), explicit_only.denoise(S[:, -1:], t, H0 + torch.randn(16), valid)
    )
    x_T, _ = explicit_only.start(batch.history, Noise(0, range(5)), [50, 0])
    assert x_T.shape == (5, 1, 16)


def test_cond_ln_can_be_a_plain_layer_norm():
    for cond_ln, kind in ((True, CondLN), (False, PlainLN)):
        model = make("dcrec", cond_ln=cond_ln)
        assert all(type(norm) is kind for norm in [model.norm, *(block.norm1 for block in model.blocks)])


@pytest.mark.parametrize("signal", [1.0, 0.5])
def test_delta_in_training_shifts_the_noise_by_the_known_part_alone(signal, batch, monkeypatch):
    plain, seen = make("dcrec", delta=0.3, signal=signal), {}
    for on in (False, True):
        model = same_weights(plain, delta_in_training=on)
        monkeypatch.setattr(model, "noised", lambda S0, t, eps, on=on: seen.update({on: eps}) or S0)
        model.loss(batch, Noise(0, batch.users))
    shift, real = seen[True] - seen[False], batch.history != 0
    following = torch.cat([batch.history[:, 1:], batch.target[:, None]], dim=1)
    expected = 0.3 * plain.embed(following)[:, :-1]  # in the history's own scale, whatever the signal
    assert torch.allclose(shift[:, :-1][real[:, :-1]], expected[real[:, :-1]], atol=1e-6)
    assert bool((shift[:, -1] == 0).all())  # the target is not known


# ---------------------------------------------------------------- switches


@pytest.mark.parametrize(
    "settings",
    [
        {"implicit": False},
        {"explicit": False},
        {"cond_ln": False},
        {"noise_on": "target"},
        {"delta": 0.5},
        {"positions": "none"},
        {"positions": "after"},
        {"positions": "relative"},
        {"rounding_by": "inner"},
        {"mask_rows": True},
        {"samples": 2},
        {"sampling_steps": 3},
        {"stream": "guess"},
        {"slot": True},
        {"seen_bias": True},
        {"causal": True, "positions": "none"},
        {"T": 5},
    ],
    ids=str,
)
def test_switches_change_the_scores(settings, histories):
    both = {"positions": "none"} if "causal" in settings else {}
    assert changes("dcrec", pad(histories), settings, both)


@pytest.mark.parametrize(
    "settings",
    [{"project": True}, {"signal": 0.5}, {"transition": "posterior"}, {"transition": "ddim"}, {"schedule": "cosine"}],
    ids=str,
)
def test_some_switches_change_what_is_between_two_steps(settings, histories):
    """And with one step, DCRec's own choice, there is nothing between."""
    assert changes("dcrec", pad(histories), settings, both={"sampling_steps": 3})
    assert not changes("dcrec", pad(histories), settings, both={"sampling_steps": 1})


@pytest.mark.parametrize(
    "settings",
    [
        {"detach_target": True},
        {"share_at_T": 1.0},
        {"prior": 0.0},
        {"denoising": 0.0},
        {"ranking": 0.0},
        {"lambda_schedule": "fix"},
        {"delta_in_training": True},
        {"dropout": 0.5},
        {"item_dropout": 0.5},
    ],
    ids=str,
)
def test_switches_of_training_change_the_gradient_and_no_score(settings, batch):
    plain = make("dcrec", dropout=0.0, item_dropout=0.0)
    other = same_weights(plain, **settings)
    assert torch.equal(plain.score(batch.history), other.score(batch.history))
    grads = []
    for model in (plain.train(), other.train()):
        torch.manual_seed(1)
        model.loss(batch, Noise(0, batch.users))["loss"].backward()
        grads.append(model.item_embedding.weight.grad)
    assert not torch.allclose(*grads, atol=1e-5)
