"""The explorer of notebook 05: the trajectory player, with the full chain beside a skipped one on the same noise."""

from __future__ import annotations

from collections.abc import Sequence

from diffrec_lite.data import SequenceDataset
from diffrec_lite.models import DiffusionRecommender
from diffrec_lite.widgets.player import Player, player, trajectory_data


def counts(T: int) -> list[int]:
    """The numbers of steps to choose from: T, its half, quarter and eighth, two and one."""
    return sorted({max(1, n) for n in (T, T // 2, T // 4, T // 8, 2, 1)}, reverse=True)


def step_player(
    model: DiffusionRecommender, dataset: SequenceDataset, readers: Sequence[int], seeds: Sequence[int] = (0, 1, 2)
) -> Player:
    """Play `model` for some readers: all steps beside a quarter of them, by re-noising or by the posterior."""
    T = model.diffusion.T
    chains = [
        trajectory_data(model, dataset, readers, counts(T), seeds, transition, name)
        for transition, name in (("renoise", "re-noise"), ("posterior", "posterior"))
    ]
    return player(*chains, panels=[("re-noise", T), ("re-noise", max(1, T // 4))])
