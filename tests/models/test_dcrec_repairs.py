"""DCRec's repairs, each by what it changes and what it leaves, and the shortcuts, which change nothing."""

import dataclasses

import pytest
import torch
from models.small import ITEMS, REPAIRS, SMALL, VARIANTS, changes, make, same_weights, stream_of
from torch.nn import functional as F

from diffrec_lite import models
from diffrec_lite.data import pad
from diffrec_lite.layers import Attention
from diffrec_lite.models import DCRec
from diffrec_lite.models.dcrec_settings import DCRecSettings
from diffrec_lite.noise import Noise

DCRECS = [variant for variant, (name, _) in VARIANTS.items() if name == "dcrec"]


@pytest.mark.parametrize("detach", [False, True])
def test_a_detached_target_gets_no_gradient_from_the_denoising_loss(detach, batch, monkeypatch):
    """The network is replaced by one that reads nothing, so only the target itself could pass a gradient on."""
    model = make("dcrec", detach_target=detach)
    constant = torch.randn(5, 12, 16, requires_grad=True)
    monkeypatch.setattr(model, "denoise", lambda *args, **settings: constant)
    model.loss(batch, Noise(0, batch.users))["denoising"].backward()
    reached = model.item_embedding.weight.grad
    assert float(constant.grad.abs().max()) > 0
    if detach:
        assert reached is None or not bool(reached.any())
    else:
        assert reached.abs().sum(1).nonzero().flatten().tolist() == sorted(batch.target.tolist())


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("step_for_each", [False, True])
def test_a_share_of_the_steps_is_T(share, step_for_each):
    model = make("dcrec", share_at_T=share, causal=True, positions="none", step_for_each=step_for_each)
    t = model.draw_steps(Noise(0, torch.arange(100_000)), 3)
    assert t.shape == ((100_000, 3) if step_for_each else (100_000,))
    p = share + (1 - share) / 50
    at_T, n = (t == 50).double().mean().item(), t.numel()
    assert abs(at_T - p) <= 4.5 * (p * (1 - p) / n) ** 0.5
    if share < 1:  # and the others are uniform
        others = torch.bincount(t[t < 50], minlength=50)[1:].double()
        statistic = ((others - others.mean()).square() / others.mean()).sum().item()
        assert abs(statistic - 48) < 4.5 * (2 * 48) ** 0.5


def test_with_the_whole_share_training_starts_where_sampling_starts(batch, monkeypatch):
    model, seen = make("dcrec", share_at_T=1.0), []
    noised = model.noised
    monkeypatch.setattr(model, "noised", lambda S0, t, eps: seen.append(t) or noised(S0, t, eps))
    for seed in range(20):
        model.loss(batch, Noise(seed, batch.users))
    assert torch.stack(seen).unique().tolist() == [model.diffusion.T]


@pytest.mark.parametrize("signal", [1.0, 0.5])
def test_a_guessed_stream_is_nothing_at_T_and_the_stream_itself_at_0(signal):
    guess = make("dcrec", stream="guess", positions="none", signal=signal)
    S, last = torch.randn(5, 12, 16), torch.full((5,), 50)
    root = guess.diffusion.abar[-1].sqrt().item()
    entered = guess.enter(S, last)
    # sqrt(abar_T) v / (abar_T v + 1 - abar_T) of S, in units of the signal
    assert torch.allclose(entered, root * signal / (root**2 * signal**2 + 1 - root**2) * S, atol=1e-6)
    assert float(entered.square().mean()) < 1e-3
    assert torch.allclose(guess.enter(signal * S, torch.zeros(5, dtype=torch.long)), S, atol=1e-5)
    noised = make("dcrec", positions="none", signal=signal)
    assert torch.equal(noised.enter(S, last), S)


@pytest.mark.parametrize("delta_in_training", [False, True])
@pytest.mark.parametrize("signal", [1.0, 0.5])
def test_the_guess_is_the_regression_of_the_stream_on_what_was_noised(signal, delta_in_training):
    """On real item vectors, history and target apart: no other multiple of S_t is nearer to S_0."""
    settings = {"delta_in_training": delta_in_training, "delta": 0.6, "signal": signal}
    model, noise = make("dcrec", stream="guess", positions="none", **settings), Noise(0, range(4000))
    items = torch.randint(1, ITEMS + 1, (4000, 3))
    vectors = model.embed(items)
    S0, eps = signal * vectors, noise(vectors)
    if delta_in_training:
        eps = eps + torch.cat([0.6 * vectors[:, :-1], 0 * vectors[:, -1:]], dim=1)
    for t in (3, 20, 45):
        steps = torch.full((4000,), t)
        St = model.noised(S0, steps, eps)
        used = signal * model.enter(St, steps) / St
        for place in (0, 1, 2):
            x, y = St[:, place], S0[:, place]
            best = (x * y).sum() / x.square().sum()
            error = ((y - best * x).square().mean() / x.square().sum()).sqrt()
            assert abs(used[:, place].median() - best) < 4.5 * error


def test_a_guess_takes_each_places_own_step_and_the_shift_of_the_noise():
    model = make("dcrec", stream="guess", positions="none", causal=True, step_for_each=True)
    S, t = torch.randn(2, 3, 16), torch.tensor([[1, 25, 50], [50, 7, 1]])
    entered = model.enter(S, t)
    for b in range(2):
        for place in range(3):
            alone = model.diffusion.linear_guess(S[b, place], int(t[b, place]))
            assert torch.allclose(entered[b, place], alone, atol=1e-6)
    shifted = make("dcrec", stream="guess", positions="none", delta_in_training=True, delta=0.6)
    entered, steps = shifted.enter(S, torch.tensor([30, 30])), torch.tensor([30, 30])
    assert torch.allclose(entered[:, :-1], shifted.diffusion.linear_guess(S[:, :-1], steps, 1.0, 0.6))
    assert torch.allclose(entered[:, -1:], shifted.diffusion.linear_guess(S[:, -1:], steps, 1.0, 0.0))
    clean = make("dcrec", stream="guess", positions="none", noise_on="target")
    assert torch.equal(clean.enter(S, steps)[:, :-1], S[:, :-1])


def test_the_signal_scales_what_is_noised_and_what_comes_back(batch, monkeypatch):
    seen = []
    for signal in (1.0, 0.25):
        torch.manual_seed(0)
        model = make("dcrec", signal=signal, positions="none")
        monkeypatch.setattr(model, "noised", lambda S0, t, eps, keep=seen: keep.append(S0) or S0)
        model.loss(batch, Noise(0, batch.users))
        seen.append(model.item_vectors())
        seen.append(model.inner(signal * torch.ones(1, 16)))
        model.norm = torch.nn.Identity()
        model.norm.forward = lambda x, condition: torch.ones_like(x)
        seen.append(
            model.denoise(
                torch.zeros(5, 12, 16), torch.ones(5, dtype=torch.long), model.clean(batch.history), batch.history != 0
            )
        )
    for whole, quarter in zip((seen[0], seen[1], seen[3]), (seen[4], seen[5], seen[7]), strict=True):
        assert torch.allclose(0.25 * whole, quarter, atol=1e-6)
    assert torch.allclose(seen[2], seen[6], atol=1e-5)  # and the scores do not depend on the scale


def test_positions_before_the_noise_are_part_of_what_is_noised(batch):
    model = make("dcrec", positions="before")
    same = torch.full((1, 6), 4)
    assert not torch.allclose(model.embed(same)[:, 0], model.embed(same)[:, 1], atol=1e-3)
    assert torch.equal(model.clean(same), model.embed(same))
    assert torch.equal(model.enter(model.embed(same), torch.ones(1, dtype=torch.long)), model.embed(same))


def test_positions_after_the_noise_are_told_to_history_and_stream_alike(batch):
    """An item has the same place in the clean history and in the stream; the target has none."""
    model = make("dcrec", positions="after")
    same = torch.full((1, 6), 4)
    assert bool((model.embed(same) == model.embed(same)[:, :1]).all())  # what is noised knows no place
    assert torch.allclose(model.item_vectors()[4], model.embed(same)[0, 0], atol=1e-6)
    S0, H0, _ = stream_of(model, batch)
    in_history = H0 - model.embed(batch.history)
    in_stream = model.enter(S0, torch.ones(5, dtype=torch.long)) - S0
    assert torch.allclose(in_stream[:, :-1], in_history[:, 1:], atol=1e-6)
    assert bool((in_stream[:, -1] == 0).all()) and bool((in_history.abs().amax(-1) > 0.01).all())


def test_relative_positions_know_distances_and_not_places(histories):
    """With any positions the order matters; without, only the last item has a place: beside the target."""
    history = torch.tensor([histories[-1]])
    shuffled = torch.cat([history[:, :-1].flip(1), history[:, -1:]], dim=1)
    for positions, matters in (("relative", True), ("before", True), ("after", True), ("none", False)):
        model = make("dcrec", positions=positions, implicit=False)
        assert torch.allclose(model.score(history), model.score(shuffled), atol=1e-4) != matters


@pytest.mark.parametrize("implicit", [False, True])
def test_relative_positions_act_beside_the_released_mask(implicit, histories):
    """That mask is about rows: it must not take the distances with it, in the history or in the stream."""
    both = {"positions": "none", "mask_rows": True, "implicit": implicit}
    assert changes("dcrec", pad(histories), {"positions": "relative"}, both)


@pytest.mark.parametrize("causal", [False, True])
def test_the_slot_marks_the_place_that_is_to_be_filled(causal):
    model = make("dcrec", slot=True, positions="none", causal=causal)
    S, t = torch.randn(5, 12, 16), torch.full((5,), 9)
    added = model.enter(S, t) - S
    assert torch.allclose(added[:, -1], model.slot.expand(5, 16), atol=1e-6)
    if causal:  # every place is to be filled
        assert torch.allclose(added, model.slot.expand(5, 12, 16), atol=1e-6)
    else:
        assert bool((added[:, :-1] == 0).all())


def test_with_project_the_known_history_is_noised_again_and_not_what_was_predicted_of_it(histories, monkeypatch):
    model, history, seen = make("dcrec", project=True, signal=0.5), pad(histories), []
    q_sample = model.diffusion.q_sample
    monkeypatch.setattr(model.diffusion, "q_sample", lambda x0, *rest: seen.append(x0) or q_sample(x0, *rest))
    list(model.trajectory(history, steps=4))
    assert len(seen) == 3
    for S0_hat in seen:
        assert torch.equal(S0_hat[:, :-1], model.known(history, S0_hat)[:, :-1])
        assert torch.allclose(S0_hat[:, -1].norm(dim=1), torch.tensor(0.5 * 16**0.5))


@pytest.mark.parametrize("transition", ["renoise", "posterior", "ddim"])
@pytest.mark.parametrize("signal", [1.0, 0.5])
def test_a_projected_prediction_lies_on_the_sphere_of_the_item_vectors(signal, transition, histories):
    radius = signal * 16**0.5
    free = make("dcrec", signal=signal, positions="none")
    projected = same_weights(free, project=True)
    assert torch.allclose(free.item_vectors()[1:].norm(dim=1), torch.tensor(radius), rtol=1e-2)
    *between, last = list(projected.trajectory(pad(histories), 5, transition=transition))[1:]
    for state in between:
        assert torch.allclose(state.x0_hat.norm(dim=1), torch.tensor(radius), rtol=1e-5)
    assert not torch.allclose(last.xt.norm(dim=1), torch.tensor(radius), rtol=1e-3)  # the answer itself stays as it is
    first = next(s for s in free.trajectory(pad(histories), 5) if s.x0_hat is not None)
    assert torch.allclose(F.normalize(first.x0_hat, dim=1) * radius, between[0].x0_hat, atol=1e-5)


def test_rounding_by_cosine_ignores_lengths_and_by_inner_product_does_not(histories):
    cosine, history = make("dcrec", slot=True), pad(histories)
    inner = same_weights(cosine, rounding_by="inner")
    x0_hat = torch.randn(5, 16)
    expected = F.cosine_similarity(x0_hat[:, None], cosine.item_embedding.weight[None, 1:], dim=-1)
    assert torch.allclose(cosine.rounding(x0_hat, history)[:, 1:], expected, atol=1e-5)
    with torch.no_grad():
        for model in (cosine, inner):
            model.item_embedding.weight[3] *= 7
    assert torch.allclose(cosine.rounding(x0_hat, history)[:, 1:], expected, atol=1e-5)
    assert torch.allclose(
        inner.rounding(x0_hat, history)[:, 3], 7 * x0_hat @ inner.item_embedding.weight[3] / 7, atol=1e-4
    )


# ---------------------------------------------------------------- the same, computed with less work


@pytest.mark.parametrize("variant", DCRECS)
def test_the_last_position_alone_is_that_of_the_whole_stream(variant, batch):
    model = make("dcrec", **VARIANTS[variant][1])
    S0, H0, valid = stream_of(model, batch)
    t = torch.tensor([1, 9, 25, 49, 50])
    St = model.noised(S0, t, Noise(0, range(5))(S0))
    last = model.denoise(St, t, H0, valid, last=True)
    assert last.shape == (5, 1, 16)
    assert torch.allclose(last, model.denoise(St, t, H0, valid)[:, -1:], atol=1e-5)


@pytest.mark.parametrize("variant", DCRECS)
def test_a_history_that_was_read_once_is_the_one_that_is_read_at_every_step(variant, batch):
    model = make("dcrec", **VARIANTS[variant][1])
    S0, H0, valid = stream_of(model, batch)
    read = model.read(H0)
    for step in (50, 20, 1):
        t = torch.full((5,), step)
        St = model.noised(S0, t, Noise(step, range(5))(S0))
        assert torch.equal(model.denoise(St, t, H0, valid, read), model.denoise(St, t, H0, valid))


def test_the_history_is_read_once_for_all_steps(histories, monkeypatch):
    model, reads = make("dcrec"), []
    read = model.read
    monkeypatch.setattr(model, "read", lambda H0: reads.append(1) or read(H0))
    list(model.trajectory(pad(histories), steps=10))
    assert len(reads) == 1


def test_training_computes_the_whole_stream_only_where_a_loss_needs_it(batch, monkeypatch):
    """Without L_T the last block computes the target's place alone, and every other part stays as it was."""
    with_prior = make("dcrec")
    without, asked = same_weights(with_prior, prior=0.0), []
    denoise = without.denoise
    monkeypatch.setattr(without, "denoise", lambda *a, last, **k: asked.append(last) or denoise(*a, last=last, **k))
    one, other = (model.loss(batch, Noise(0, batch.users)) for model in (with_prior, without))
    assert asked == [True]
    for part in ("denoising", "ranking"):
        assert one[part].item() == pytest.approx(other[part].item(), abs=1e-5)


def test_repairs_are_settings_and_nothing_else():
    model = DCRec(ITEMS, **SMALL, **REPAIRS)
    assert (
        dataclasses.replace(model.settings, **{name: DCRecSettings.defaults()[name] for name in REPAIRS})
        == DCRec(ITEMS, **SMALL).settings
    )


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_that_begins_as_a_copy_gives_averages_of_what_it_looks_at(heads):
    attention = Attention(16, heads)
    attention.begin_as_copy()
    x, context = torch.randn(3, 4, 16), torch.randn(3, 6, 16)
    features = context.unflatten(-1, (heads, 16 // heads)).transpose(1, 2)
    average = (attention.weights(x, context) @ features).transpose(1, 2).flatten(-2)
    torch.testing.assert_close(attention(x, context), average)


@pytest.mark.parametrize("name", ["dcrec", "hybrid"])
def test_a_model_that_copies_differs_at_its_beginning_in_what_is_looked_up_and_in_nothing_else(name):
    weights = []
    for copies in (False, True):
        torch.manual_seed(0)
        weights.append(models.build(name, ITEMS, **SMALL, copies=copies).state_dict())
    plain, copying = weights
    other = {key for key in plain if not torch.equal(plain[key], copying[key])}
    assert other == {key for key in plain if "cross_attention.value" in key or "cross_attention.out" in key}


def test_copies_belong_to_the_explicit_condition():
    with pytest.raises(models.ModelError, match="copies without explicit"):
        make("dcrec", explicit=False, copies=True)
