"""The explorer of notebook 10: the trajectory player with several models side by side, on the same noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from diffrec_lite.data import SequenceDataset, pad
from diffrec_lite.models import DiffusionRecommender
from diffrec_lite.widgets.player import Player, player
from diffrec_lite.widgets.trajectories import trajectory_data, typical

TRANSITION = "renoise"  # one way to move for all, so that a draw of noise means the same in every panel


def model_player(
    models: Mapping[str, DiffusionRecommender],
    dataset: SequenceDataset,
    readers: Sequence[int],
    seeds: Sequence[int] = (0, 1, 2),
) -> Player:
    """Play each of `models`, by name, for the test example of some readers: a panel for each, a quarter of all steps.

    All steps and a single one can be chosen too. Every model re-noises, on the same noise. Raises ValueError when the
    models differ in T, since a step would then not mean the same.
    """
    Ts = {model.diffusion.T for model in models.values()}
    if len(Ts) != 1:
        raise ValueError(f"the models need the same T to share a player, got {', '.join(map(str, sorted(Ts)))}")
    T = Ts.pop()
    quarter = max(1, T // 4)
    chains = [
        trajectory_data(model, dataset, readers, [T, quarter, 1], seeds, TRANSITION, name)
        for name, model in models.items()
    ]
    return player(*chains, panels=[(name, quarter) for name in models])


def typical_reader(models: Mapping[str, DiffusionRecommender], dataset: SequenceDataset, users: Sequence[int]) -> int:
    """Of `users`, the one whose curves of rank and distance lie nearest the medians, summed over the `models`."""
    walks = [
        trajectory_data(m, dataset, users, [max(1, m.diffusion.T // 4)], (0,), TRANSITION) for m in models.values()
    ]
    return users[typical(*walks)]


@torch.inference_mode()
def starts_apart(models: Mapping[str, DiffusionRecommender], dataset: SequenceDataset, reader: int) -> float:
    """The largest difference between any two models in the pure noise x_T that they start from, for one reader."""
    history = [dataset.history(reader)[:-1].tolist()]
    starts = [next(m.trajectory(pad(history, m.max_len), 1, users=[reader])).xt for m in models.values()]
    return float((torch.stack(starts).amax(0) - torch.stack(starts).amin(0)).max())
