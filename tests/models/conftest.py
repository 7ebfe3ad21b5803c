"""Five histories of different lengths, and the batch of them."""

import pytest
import torch
from models.small import ITEMS

from diffrec_lite.data import Batch, pad


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def histories() -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    lengths = [1, 2, 5, 9, 12]
    return [(torch.randperm(ITEMS, generator=generator)[:n] + 1).tolist() for n in lengths]


@pytest.fixture
def batch(histories) -> Batch:
    target = torch.tensor([3, 7, 1, 30, 12])
    return Batch(torch.arange(5), pad(histories), target, torch.tensor([len(history) for history in histories]))
