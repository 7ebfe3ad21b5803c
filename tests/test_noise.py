"""Noise is reproducible, and at inference belongs to a user and not to a batch."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrec_lite.noise import BatchNoise, UserNoise, mix


def test_batch_noise_repeats_with_its_seed():
    like = torch.empty(4, 8)
    assert torch.equal(BatchNoise(1)(like), BatchNoise(1)(like))
    assert not torch.equal(BatchNoise(1)(like), BatchNoise(2)(like))


def test_integers_reach_both_ends():
    draws = BatchNoise(0).integers(1, 4, 500)
    assert draws.unique().tolist() == [1, 2, 3, 4]


def test_user_noise_ignores_batch_order_and_padding():
    users, lengths = [5, 9, 7], [2, 4, 3]
    whole = UserNoise(0, users, lengths)(torch.empty(3, 4, 8), 6)
    reordered = UserNoise(0, [7, 5], [3, 2])(torch.empty(2, 10, 8), 6)
    assert torch.equal(reordered[0, -3:], whole[2, -3:]) and torch.equal(reordered[1, -2:], whole[0, -2:])
    assert bool((reordered[0, :-3] == 0).all())


def test_user_noise_differs_by_seed_user_step_and_stream():
    like = torch.empty(1, 8)
    draws = [
        UserNoise(seed, [user], [1])(like, step, stream)
        for seed, user, step, stream in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    ]
    for i, a in enumerate(draws):
        assert not any(torch.allclose(a, b) for b in draws[:i])


def test_user_noise_is_standard_normal():
    noise = UserNoise(0, range(2000), [1] * 2000)(torch.empty(2000, 16), 3)
    assert abs(noise.mean().item()) < 0.02 and abs(noise.std().item() - 1) < 0.02
    assert abs(torch.corrcoef(torch.stack([noise[:-1].flatten(), noise[1:].flatten()]))[0, 1].item()) < 0.02


@given(st.lists(st.integers(-(2**63), 2**63), min_size=1, max_size=4))
def test_mix_fits_a_generator(numbers):
    seed = mix(*numbers)
    assert 0 <= seed < 2**63 and seed == mix(*numbers)
    torch.Generator().manual_seed(seed)


def test_mix_depends_on_order():
    assert mix(1, 2) != mix(2, 1)
