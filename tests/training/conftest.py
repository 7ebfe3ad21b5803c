"""A small world to train in."""

import numpy as np
import pytest
import torch

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset


@pytest.fixture(scope="session")
def data() -> SequenceDataset:
    """60 readers who mostly go on to the next item of 12."""
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(60):
        items = [int(rng.integers(1, 13))]
        for _ in range(int(rng.integers(4, 12))):
            items.append(items[-1] % 12 + 1 if rng.random() < 0.8 else int(rng.integers(1, 13)))
        sequences.append(items)
    return SequenceDataset(
        name="steps",
        items=torch.tensor([item for items in sequences for item in items]),
        offsets=torch.tensor([0] + [len(items) for items in sequences]).cumsum(0),
        user_tokens=[str(u) for u in range(60)],
        item_tokens=["[PAD]"] + [f"book {i}" for i in range(1, 13)],
    )


@pytest.fixture(scope="session")
def build():
    """A function that makes a small model for these data, always with the same weights."""

    def build(name: str = "diffurec", **settings):
        torch.manual_seed(0)
        sizes = {"d": 16, "heads": 2, "blocks": 1, "max_len": 8}
        steps = {} if name == "sasrec" else {"T": 4}
        return models.build(name, 12, **{**sizes, **steps, **settings})

    return build


@pytest.fixture(scope="session")
def weights():
    """A function that lines up all weights of a model."""
    return lambda model: torch.cat([p.detach().flatten() for p in model.parameters()])
