"""The diffusion against diffusers' schedulers, against Bayes' rule, and against itself."""

from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from diffrec_lite.diffusion import GaussianDiffusion, offset_noise
from diffrec_lite.noise import Noise

T = 32


@pytest.fixture
def diffusion() -> GaussianDiffusion:
    return GaussianDiffusion.of("trunc_lin", T)


def ddpm(diffusion: GaussianDiffusion) -> DDPMScheduler:
    return DDPMScheduler(
        num_train_timesteps=diffusion.T,
        trained_betas=diffusion.beta[1:].numpy(),
        prediction_type="sample",
        clip_sample=False,
    )


# ---------------------------------------------------------------- forward


def test_q_sample_equals_diffusers(diffusion):
    noise = Noise(0, range(T))
    x0, t = noise(torch.empty(T, 8)), torch.arange(1, T + 1)
    eps = noise(x0, stream=1)
    assert torch.allclose(diffusion.q_sample(x0, t, eps), ddpm(diffusion).add_noise(x0, eps, t - 1), atol=1e-6)


def test_q_sample_is_the_chain_of_single_steps(diffusion):
    """Noising step by step gives the same mean and variance as the closed form: exact, no sampling."""
    mean, variance = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for t in range(1, T + 1):
        mean = diffusion.alpha[t].sqrt() * mean
        variance = diffusion.alpha[t] * variance + diffusion.beta[t]
        assert mean.item() == pytest.approx(diffusion.abar[t].sqrt().item())
        assert variance.item() == pytest.approx(1 - diffusion.abar[t].item())


def test_step_zero_is_clean(diffusion):
    x0 = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(diffusion.q_sample(x0, 0, torch.ones_like(x0)), x0)
    assert diffusion.snr(0) == torch.inf
    assert diffusion.snr(5).item() == pytest.approx((diffusion.abar[5] / (1 - diffusion.abar[5])).item())


def test_q_sample_takes_a_step_for_each_example_of_a_sequence(diffusion):
    x0, eps, t = torch.ones(2, 5, 3), torch.zeros(2, 5, 3), torch.tensor([1, T])
    xt = diffusion.q_sample(x0, t, eps)
    assert torch.allclose(xt[0], diffusion.abar[1].sqrt().float()) and torch.allclose(
        xt[1], diffusion.abar[T].sqrt().float()
    )


def test_q_sample_takes_a_step_for_each_position(diffusion):
    noise = Noise(0, range(2))
    x0, eps = noise(torch.empty(2, 3, 4)), noise(torch.empty(2, 3, 4), stream=1)
    t = torch.tensor([[1, 9, T], [0, 5, 5]])
    xt = diffusion.q_sample(x0, t, eps)
    for b in range(2):
        for place in range(3):
            alone = diffusion.q_sample(x0[b, place], int(t[b, place]), eps[b, place])
            assert torch.allclose(xt[b, place], alone)


def test_a_step_is_looked_up_in_the_type_of_the_data(diffusion):
    """The same number whether t is a number or a tensor, in every precision, also on a device of another kind."""
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x0, eps = torch.ones(2, 3, dtype=dtype), torch.full((2, 3), 0.5, dtype=dtype)
        one, each = diffusion.q_sample(x0, 7, eps), diffusion.q_sample(x0, torch.tensor([7, 7]), eps)
        assert one.dtype == each.dtype == dtype and torch.equal(one, each)
    meta = torch.ones(2, 3, device="meta")
    assert diffusion.q_sample(meta, torch.ones(2, dtype=torch.long, device="meta"), meta).device.type == "meta"


# ---------------------------------------------------------------- the linear guess


@pytest.mark.parametrize(("variance", "shift"), [(1.0, 0.0), (0.25, 0.0), (1.0, 0.5), (0.25, 0.5)])
@pytest.mark.parametrize("t", [1, 8, 16, T])
def test_the_linear_guess_is_the_regression_of_x0_on_xt(diffusion, t, variance, shift):
    """The least-squares slope of 200,000 samples, within 4.5 of its standard errors."""
    n = 200_000
    noise, like = Noise(2, range(n)), torch.empty(n, 1)
    x0 = variance**0.5 * noise(like).double()
    xt = diffusion.q_sample(x0, t, noise(like, stream=1) + shift * x0)
    slope = (x0 * xt).sum() / xt.square().sum()
    error = ((x0 - slope * xt).square().mean() / xt.square().sum()).sqrt()
    guess = diffusion.linear_guess(torch.ones(1, 1, dtype=torch.float64), t, variance, shift)
    assert abs(guess.item() - slope.item()) < 4.5 * error.item()


def test_the_linear_guess_is_all_at_step_0_and_nothing_at_step_T(diffusion):
    xt = torch.tensor([[3.0], [-2.0]])
    assert torch.allclose(diffusion.linear_guess(xt, 0, variance=0.3), xt)
    assert diffusion.linear_guess(xt, T).abs().max() < 4e-3
    each = diffusion.linear_guess(xt, torch.tensor([0, T]))
    assert torch.equal(each[0], xt[0]) and torch.equal(each[1], diffusion.linear_guess(xt, T)[1])


# ---------------------------------------------------------------- offset noise


def test_mean_shift_is_one_constant():
    eps = torch.zeros(3, 4)
    assert torch.equal(offset_noise(eps, mean=0.1), torch.full((3, 4), 0.1))


def test_offset_per_example_is_shared_by_its_features():
    draw = torch.tensor([1.0, -2.0])
    shifted = offset_noise(torch.zeros(2, 3, 4), strength=0.5, draw=draw)
    assert torch.equal(shifted, (0.5 * draw)[:, None, None].expand(2, 3, 4))
    with pytest.raises(ValueError, match="draw"):
        offset_noise(torch.zeros(2, 3), strength=0.5)


# ---------------------------------------------------------------- posterior


@given(t=st.integers(2, T), skip=st.integers(1, T), x0=st.floats(-3, 3), xt=st.floats(-3, 3))
def test_posterior_is_bayes_rule(t, skip, x0, xt):
    """q(x_s | x_t, x_0) from q(x_s | x_0) as prior and q(x_t | x_s) as likelihood, by adding precisions."""
    diffusion = GaussianDiffusion.of("trunc_lin", T)
    s = max(t - skip, 1)
    abar_s, a = diffusion.abar[s].item(), (diffusion.abar[t] / diffusion.abar[s]).item()
    prior_precision, likelihood_precision = 1 / (1 - abar_s), a / (1 - a)
    precision = prior_precision + likelihood_precision
    expected = (prior_precision * abar_s**0.5 * x0 + likelihood_precision * xt / a**0.5) / precision
    x0, xt = torch.tensor([[x0]], dtype=torch.float64), torch.tensor([[xt]], dtype=torch.float64)
    mean, variance = diffusion.posterior(x0, xt, t, s)
    assert mean.item() == pytest.approx(expected, abs=1e-9)
    assert variance.item() == pytest.approx(1 / precision)


def test_posterior_of_one_step_is_the_papers_formula(diffusion):
    t = 7
    beta, alpha, abar, before = diffusion.beta[t], diffusion.alpha[t], diffusion.abar[t], diffusion.abar[t - 1]
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    from_x0, variance = diffusion.posterior(one, zero, t)
    from_xt, _ = diffusion.posterior(zero, one, t)
    assert from_x0.item() == pytest.approx((before.sqrt() * beta / (1 - abar)).item())
    assert from_xt.item() == pytest.approx((alpha.sqrt() * (1 - before) / (1 - abar)).item())
    assert variance.item() == pytest.approx(((1 - before) / (1 - abar) * beta).item())


def test_posterior_equals_ddpm_step(diffusion):
    oracle = ddpm(diffusion)
    noise = Noise(1, range(4))
    x0, xt = noise(torch.empty(4, 8)), noise(torch.empty(4, 8), stream=1)
    for t in (1, 2, 16, T):
        generator = torch.Generator().manual_seed(t)
        theirs = oracle.step(x0, t - 1, xt, generator=generator).prev_sample
        mean, variance = diffusion.posterior(x0, xt, t)
        eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(t))
        assert torch.allclose(mean + variance.sqrt() * eps, theirs, atol=1e-4)


# ---------------------------------------------------------------- grids and the reverse process


@given(T=st.integers(1, 200), data=st.data())
def test_every_grid_falls_strictly_and_has_both_ends(T, data):
    n = data.draw(st.integers(1, T))
    grid = GaussianDiffusion(torch.full((T,), 0.1)).steps(n)
    assert len(grid) == n + 1 and grid[0] == T and grid[-1] == 0
    gaps = [t - s for t, s in pairwise(grid)]
    assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 1


def test_grid_bounds(diffusion):
    for n in (0, T + 1, -1):
        with pytest.raises(ValueError, match="number of steps"):
            diffusion.steps(n)
    assert diffusion.steps() == list(range(T, -1, -1))


def network(xt: torch.Tensor, t: int) -> torch.Tensor:
    return torch.tanh(xt) * 0.5 + 0.01 * t


@pytest.mark.parametrize("transition", ["posterior", "renoise", "ddim"])
def test_reverse_yields_every_state(diffusion, transition):
    noise = Noise(0, range(3))
    x_T = noise(torch.empty(3, 8), T)
    states = list(diffusion.reverse(network, x_T, diffusion.steps(4), noise, transition))
    assert [state.t for state in states] == diffusion.steps(4)
    assert states[0].x0_hat is None and torch.equal(states[0].xt, x_T)
    assert torch.equal(states[-1].xt, states[-1].x0_hat)


def test_skip_one_is_the_full_chain(diffusion):
    """The skipping posterior with s = t - 1 throughout equals Ho et al.'s chain, written out by hand."""
    noise = Noise(3, range(2))
    xt = x_T = noise(torch.empty(2, 8), T)
    for t in range(T, 1, -1):
        x0 = network(xt, t)
        beta, abar, before = diffusion.beta[t].item(), diffusion.abar[t].item(), diffusion.abar[t - 1].item()
        mean = before**0.5 * beta / (1 - abar) * x0 + (1 - beta) ** 0.5 * (1 - before) / (1 - abar) * xt
        xt = mean + ((1 - before) / (1 - abar) * beta) ** 0.5 * noise(xt, t - 1)
    by_hand = network(xt, 1)
    *_, last = diffusion.reverse(network, x_T, diffusion.steps(T), noise, "posterior")
    assert torch.allclose(last.xt, by_hand, atol=1e-5)


def test_skipping_ddim_equals_diffusers(diffusion):
    oracle = DDIMScheduler(
        num_train_timesteps=T,
        trained_betas=diffusion.beta[1:].numpy(),
        prediction_type="sample",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
    )
    oracle.set_timesteps(8)
    noise = Noise(0, range(3))
    x = x_T = noise(torch.empty(3, 8))
    for index in oracle.timesteps:
        x = oracle.step(network(x, int(index) + 1), index, x).prev_sample
    *_, last = diffusion.reverse(network, x_T, diffusion.steps(8), noise, "ddim")
    assert torch.allclose(last.xt, x, atol=1e-5)


def test_perfect_denoiser_gives_exact_marginals(diffusion):
    """With x_0 known, every state of both stochastic samplers follows q(x_t | x_0)."""
    x0 = torch.full((40_000, 1), 2.0)
    for transition in ("posterior", "renoise"):
        noise = Noise(5, range(40_000))
        x_T = diffusion.q_sample(x0, T, noise(x0, T))
        for state in diffusion.reverse(lambda xt, t: x0, x_T, diffusion.steps(6), noise, transition):
            abar = diffusion.abar[state.t].item()
            assert state.xt.mean().item() == pytest.approx(2 * abar**0.5, abs=0.025)
            assert state.xt.std().item() == pytest.approx((1 - abar) ** 0.5, abs=0.02)


def test_reverse_refuses_bad_grids_and_transitions(diffusion):
    x_T = torch.zeros(1, 2)
    for grid in ([T, T, 0], [T, 5], [1, 2, 0]):
        with pytest.raises(ValueError, match="grid"):
            next(diffusion.reverse(network, x_T, grid, Noise(0, range(1))))
    with pytest.raises(ValueError, match="transition"):
        next(diffusion.reverse(network, x_T, [T, 0], Noise(0, range(1)), "magic"))


def test_a_stop_half_way_between_two_steps_is_rounded_up():
    assert GaussianDiffusion(torch.full((5,), 0.1)).steps(2) == [5, 3, 0]
    assert GaussianDiffusion(torch.full((9,), 0.1)).steps(6) == [9, 8, 6, 5, 3, 2, 0]


@pytest.mark.parametrize("transition", ["posterior", "renoise"])
def test_the_noise_is_that_of_the_step_it_arrives_at(transition):
    asked = []

    def noise(like, step):
        asked.append(step)
        return torch.zeros_like(like)

    diffusion = GaussianDiffusion(torch.full((9,), 0.1))
    list(diffusion.reverse(lambda xt, t: xt, torch.ones(1, 2), [9, 5, 2, 0], noise, transition))
    assert asked == [5, 2]
