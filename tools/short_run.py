"""A short training run for the measurements that notebooks quote: so many batches, no validation, nothing saved."""

from __future__ import annotations

import torch

from diffrec_lite.data import SequenceDataset
from diffrec_lite.models import Recommender
from diffrec_lite.noise import BatchNoise


def train(
    model: Recommender, dataset: SequenceDataset, seed: int, batches: int, batch_size: int, lr: float
) -> Recommender:
    """Train `model` in place on `batches` batches. The same seed gives every model the same batches and noise."""
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    noise, done, epoch = BatchNoise(seed), 0, 0
    while done < batches:
        for batch in dataset.train.batches(batch_size, model.max_len, seed=1000 * seed + epoch):
            optimiser.zero_grad()
            model.loss(batch, noise)["loss"].backward()
            optimiser.step()
            done += 1
            if done == batches:
                break
        epoch += 1
    return model.eval()
