"""The noise has the right distribution, no two keys share a number, and nothing but the key decides it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from watch import Watch

from diffrec_lite.noise import Noise, _uniform, mix

Z = 4.5  # standard deviations; by chance one in 150,000 numbers lies beyond
CUDA_OR_MPS = [
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")),
    pytest.param(
        "mps", marks=pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no Apple GPU here (MPS)")
    ),
]


def normal(seed=0, user=0, position=0, step=0, stream=0, B=4096, L=4, d=33) -> Tensor:
    """Noise `(B, L, d)` of B users in a row, float64."""
    users = torch.arange(user, user + B)
    return Noise(seed, users, position)(torch.empty(B, L, d), step, stream).double()


def z_of_mean(x: Tensor, expected: float, variance: float) -> float:
    """How many standard errors the mean of independent numbers with this variance is away from its expectation."""
    return ((x.mean() - expected) * math.sqrt(x.numel() / variance)).item()


def chi_square_z(counts: Tensor) -> float:
    """How many standard deviations Pearson's statistic of equally likely cells lies above its mean."""
    expected = counts.sum().double() / counts.numel()
    freedom = counts.numel() - 1
    statistic = ((counts - expected).square() / expected).sum()
    return ((statistic - freedom) / math.sqrt(2 * freedom)).item()


# ---------------------------------------------------------------- the distribution


def test_moments_are_those_of_a_standard_normal():
    x = normal(B=20_000)
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(z_of_mean(x**power, expected, variance)) < Z, f"moment {power}"


def test_every_feature_has_mean_0_and_variance_1():
    """Both halves of Box and Muller's pairs, and the one left over where d is odd."""
    x = normal(B=20_000).flatten(0, 1)
    for feature in range(x.shape[1]):
        assert abs(z_of_mean(x[:, feature], 0, 1)) < Z and abs(z_of_mean(x[:, feature] ** 2, 1, 2)) < Z


@pytest.mark.parametrize("sigmas", [1, 2, 3, 4])
def test_tails_have_the_right_weight(sigmas):
    x = normal(B=30_000)
    p = 0.5 * math.erfc(sigmas / math.sqrt(2))
    for side in (x > sigmas, x < -sigmas):
        assert abs(z_of_mean(side.double(), p, p * (1 - p))) < Z


def test_uniform_lies_strictly_between_0_and_1():
    ends = [torch.arange(middle - 2000, middle + 2000) for middle in (-(2**31) + 2000, 0, 2**31 - 2000)]
    u = _uniform(torch.cat([*ends, torch.arange(-(2**31), 2**31, 2**13)]).to(torch.int32))
    assert 0 < u.min() < 1e-7 and 1 - 1e-6 < u.max() < 1


def test_uniform_and_integers_are_uniform():
    noise = Noise(0, torch.arange(500_000))
    assert abs(chi_square_z(torch.bincount((noise.uniform() * 1024).long(), minlength=1024))) < Z
    assert abs(chi_square_z(torch.bincount((noise.uniform(7, 3).flatten() * 1024).long(), minlength=1024))) < Z
    for low, high in ((1, 50), (0, 6), (3, 4)):
        for draws in (noise.integers(low, high), noise.integers(low, high, 2).flatten()):
            assert draws.min() == low and draws.max() == high and draws.dtype == torch.int64
            assert abs(chi_square_z(torch.bincount(draws - low))) < Z
    assert noise.integers(5, 5).unique().tolist() == [5]


# ---------------------------------------------------------------- independence


NEIGHBOURS = [
    {"user": 1},
    {"user": 2},
    {"user": 64},
    {"user": 2**32},
    {"position": 1},
    {"position": 2},
    {"step": 1},
    {"step": 32},
    {"stream": 1},
    {"seed": 1},
    {"seed": -1},
    {"user": 1, "position": -1},
    {"step": 1, "stream": 1},
    {"seed": 1, "step": 1},
]


@pytest.mark.parametrize("shift", NEIGHBOURS, ids=lambda shift: ",".join(f"{k}{v:+}" for k, v in shift.items()))
def test_neighbouring_keys_have_nothing_in_common(shift):
    key = {"seed": 5, "user": 3, "position": 4, "step": 6, "stream": 2}
    uncorrelated(normal(**key), normal(**{**key, **{name: key[name] + by for name, by in shift.items()}}))


def uncorrelated(x: Tensor, y: Tensor) -> None:
    """Neither the numbers, nor their sizes, nor the one with the size of the other."""
    assert abs(z_of_mean(x * y, 0, 1)) < Z
    assert abs(z_of_mean((x**2 - 1) * (y**2 - 1), 0, 4)) < Z
    assert abs(z_of_mean(x * (y**2 - 1), 0, 2)) < Z and abs(z_of_mean((x**2 - 1) * y, 0, 2)) < Z


def test_recencies_and_features_have_nothing_in_common():
    x = normal(B=10_000, L=6, d=32)
    for lag in (1, 2, 5):
        uncorrelated(x[:, lag:], x[:, :-lag])
    for lag in range(1, 32):  # 16 is the other half of Box and Muller's pair
        uncorrelated(x[..., lag:], x[..., :-lag])


def test_the_keys_do_not_change_places():
    uncorrelated(normal(step=1, stream=0), normal(step=0, stream=1))
    uncorrelated(normal(seed=1, step=0), normal(seed=0, step=1))
    places = torch.arange(4096)
    like = torch.empty(4096, 4, 32)
    one, other = Noise(0, places, places + 7)(like).double(), Noise(0, places + 7, places)(like).double()
    uncorrelated(one, other)


def test_steps_shares_and_noise_of_an_example_have_nothing_in_common():
    noise = Noise(0, torch.arange(200_000))
    x = noise(torch.empty(200_000, 2)).double()
    steps, share = noise.integers(1, 50).double(), noise.uniform(1).double()
    variance = (50**2 - 1) / 12
    assert abs(z_of_mean((steps - 25.5) * (share - 0.5), 0, variance / 12)) < Z
    for feature in range(2):
        assert abs(z_of_mean((steps - 25.5) * x[:, feature], 0, variance)) < Z
        assert abs(z_of_mean((steps - 25.5) * (x[:, feature] ** 2 - 1), 0, 2 * variance)) < Z
        assert abs(z_of_mean((share - 0.5) * x[:, feature], 0, 1 / 12)) < Z


def test_no_two_of_a_million_keys_give_the_same_numbers():
    users, positions = torch.arange(100).repeat_interleave(100), torch.arange(100).repeat(100)
    noise = Noise(0, users, positions)
    found = []
    for step in range(10):
        for stream in range(2):
            words = noise(torch.empty(10_000, 5, 4), step, stream).view(torch.int32).long()
            pairs = (words[..., ::2] << 32) ^ (words[..., 1::2] & 0xFFFFFFFF)
            found.append((pairs[..., 0] ^ (pairs[..., 1] * 0x2545F4914F6CDD1D)).flatten())
    assert len(torch.cat(found).unique()) == 1_000_000


# ---------------------------------------------------------------- nothing else matters


@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 300)), min_size=1, max_size=9),
    data=st.data(),
    step=st.integers(0, 1000),
    stream=st.integers(0, 9),
)
def test_numbers_ignore_the_batch_its_order_and_its_padding(rows, data, step, stream):
    users, positions = torch.tensor(rows).T
    chosen = torch.tensor(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=9)))
    whole, some = Noise(3, users, positions), Noise(3, users[chosen], positions[chosen])
    short, long = whole(torch.empty(len(rows), 3, 7), step, stream), some(torch.empty(len(chosen), 8, 7), step, stream)
    assert torch.equal(long[:, -3:], short[chosen])
    assert torch.equal(some(torch.empty(len(chosen), 7), step, stream), short[chosen, -1])
    assert torch.equal(some.uniform(), whole.uniform()[chosen])
    assert torch.equal(some.integers(1, 9), whole.integers(1, 9)[chosen])
    assert torch.equal(some.integers(1, 9, 8)[:, -3:], whole.integers(1, 9, 3)[chosen])
    assert torch.equal(some.uniform(length=8)[:, -3:], whole.uniform(length=3)[chosen])


def test_users_may_be_a_range_a_list_or_a_tensor():
    like = torch.empty(3, 8)
    expected = Noise(0, torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.long))(like)
    for users in (range(3), [0, 1, 2], torch.arange(3, dtype=torch.int32), torch.arange(6)[::2] // 2):
        assert torch.equal(Noise(0, users)(like), expected)


def test_drawing_leaves_no_trace():
    noise, like = Noise(0, range(4)), torch.empty(4, 8)
    first, before = noise(like, 3), torch.get_rng_state()
    noise(like, 2), noise.uniform(), noise.integers(1, 5)
    assert torch.equal(noise(like, 3), first) and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types_hold_the_same_numbers(dtype):
    noise, like = Noise(0, range(50)), torch.empty(50, 3, 8)
    drawn = noise(like.to(dtype))
    assert drawn.dtype == dtype and torch.equal(drawn, noise(like).to(dtype))


def test_an_odd_width_is_cut_from_its_pairs():
    assert normal(d=5).shape[-1] == 5 and normal(d=1).shape[-1] == 1


def test_threads_and_memory_layout_change_nothing():
    users = torch.arange(6000).flip(0)
    like = torch.empty(64, 5, 6000).permute(2, 1, 0)  # same shape, other strides
    before = torch.get_num_threads()
    drawn = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            drawn += [Noise(0, users)(torch.empty(6000, 5, 64)), Noise(0, users[::2])(like[::2]).contiguous()]
    finally:
        torch.set_num_threads(before)
    assert torch.equal(drawn[0], drawn[2]) and torch.equal(drawn[1], drawn[3])
    assert torch.equal(drawn[1], drawn[0][::2])


@pytest.mark.parametrize("device", CUDA_OR_MPS)
def test_another_device_gives_the_same_numbers_to_rounding(device):
    here, there = Noise(0, torch.arange(5000)), Noise(0, torch.arange(5000, device=device))
    like = torch.empty(5000, 4, 32)
    torch.testing.assert_close(there(like.to(device), 3, 1).cpu(), here(like, 3, 1), rtol=1e-5, atol=1e-5)
    assert torch.equal(there.integers(1, 50).cpu(), here.integers(1, 50))
    assert torch.equal(there.uniform(length=4).cpu(), here.uniform(length=4))
    assert there(like.to(device)).device.type == device


def test_the_work_has_no_loop_over_users():
    """100,000 readers cost as many tensor operations as ten, and none of them waits."""

    def draw(B: int) -> Watch:
        users, like = torch.arange(B), torch.empty(B, 2, 8)
        with Watch() as watch:
            noise = Noise(0, users, users)
            noise(like, 3, 1), noise.uniform(), noise.integers(1, 50)
        return watch

    few, many = draw(10), draw(100_000)
    assert many.ops == few.ops and len(few.ops) < 300 and many.waits == []
    assert many.largest == 100_000 * 2 * 8  # and nothing larger than the noise itself


# ---------------------------------------------------------------- whole numbers on the Python side


@given(st.lists(st.integers(-(2**63), 2**63), min_size=1, max_size=4))
def test_mix_fits_a_generator(numbers):
    seed = mix(*numbers)
    assert 0 <= seed < 2**63 and seed == mix(*numbers)
    torch.Generator().manual_seed(seed)


def test_mix_depends_on_order_and_has_no_two_alike():
    assert mix(1, 2) != mix(2, 1)
    assert len({mix(a, b) for a in range(-50, 250) for b in range(300)}) == 300 * 300


def test_mix_moves_half_of_the_bits():
    """63 bits, each of which flips with probability one half when a number moves by one."""
    flips = [bin(mix(a, b) ^ mix(a, b + 1)).count("1") for a in range(100) for b in range(100)]
    assert abs(z_of_mean(torch.tensor(flips).double(), 63 / 2, 63 / 4)) < Z


def test_the_numbers_are_these():
    found = Noise(3, [5], 2)(torch.zeros(1, 2, 3), step=4, stream=1)
    then = [[2.1902337, -1.5717722, 1.3625919], [0.0191872, -0.4304126, 0.7879391]]
    assert torch.allclose(found[0], torch.tensor(then), atol=1e-5)
