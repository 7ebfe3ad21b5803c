"""The noise schedules against diffusers' and against what the papers print."""

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from diffrec_lite.diffusion import SCHEDULES, GaussianDiffusion, schedule


def test_linear_and_cosine_equal_diffusers():
    linear = DDPMScheduler(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear")
    assert torch.allclose(schedule("linear", 1000).float(), linear.betas)
    cosine = DDPMScheduler(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2")
    assert torch.allclose(schedule("cosine", 100).float(), cosine.betas, atol=1e-6)


def test_published_end_points():
    trunc_lin = GaussianDiffusion.of("trunc_lin", 32)
    assert trunc_lin.beta[1].item() == pytest.approx(0.0131, abs=5e-5)
    assert trunc_lin.beta[-1].item() == pytest.approx(0.635, abs=1e-9)
    assert trunc_lin.abar[-1].item() == pytest.approx(1e-6, rel=0.05)
    dcrec = GaussianDiffusion.of("scaled_linear", 50)
    assert dcrec.beta[1].item() == pytest.approx(0.002, abs=1e-12)
    assert dcrec.beta[-1].item() == pytest.approx(0.4, abs=1e-12)


def test_sqrt_schedule_follows_its_formula():
    abar = GaussianDiffusion.of("sqrt", 100).abar
    t = torch.arange(1, 99, dtype=torch.float64)
    expected = (1 - torch.sqrt(t / 100 + 1e-4)) / (1 - 1e-2)
    assert torch.allclose(abar[1:99], expected)


def test_short_truncated_schedules_end_in_noise_unlike_the_released_ones():
    """Ledger 39: where the last beta would pass 1, the released rule sets it to 1 / T + 0.01 instead."""

    def released(T: int) -> torch.Tensor:
        first, last = 0.1 / T + 0.01, 20 / T + 0.01
        return (1 - torch.linspace(first, last if last <= 1 else 1 / T + 0.01, T, dtype=torch.float64)).prod()

    for T in (8, 16, 20):
        assert GaussianDiffusion.of("trunc_lin", T).abar[-1] < 1e-6 and 0.4 < released(T) < 0.6
    assert GaussianDiffusion.of("trunc_lin", 16).abar[-1] < 1e-10
    for T in (21, 32, 50):
        assert GaussianDiffusion.of("trunc_lin", T).abar[-1].item() == pytest.approx(released(T).item())


@given(name=st.sampled_from(SCHEDULES), T=st.integers(2, 400))
def test_every_schedule_is_proper(name, T):
    diffusion = GaussianDiffusion.of(name, T)
    assert diffusion.T == T and diffusion.abar[0] == 1
    assert bool((diffusion.beta[1:] > 0).all()) and bool((diffusion.beta[1:] < 1).all())
    assert bool((diffusion.abar[1:] < diffusion.abar[:-1]).all())
    assert diffusion.abar[-1] < 0.01 or name == "linear"  # made for T = 1000


def test_bad_schedules_are_refused():
    with pytest.raises(ValueError, match="unknown schedule 'lineer'"):
        schedule("lineer", 10)
    for T in (0, 1):
        with pytest.raises(ValueError, match="T >= 2"):
            schedule("linear", T)
    for beta in ([], [0.1, 1.0], [0.0, 0.1], [[0.1]]):
        with pytest.raises(ValueError, match="beta"):
            GaussianDiffusion(torch.tensor(beta))
