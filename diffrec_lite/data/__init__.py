"""Interaction logs: where they come from, how they become sequences, and how sequences become batches."""

from diffrec_lite.data.batches import Batch, Split, pad
from diffrec_lite.data.dataset import SequenceDataset, load
from diffrec_lite.data.files import DataError

__all__ = ["Batch", "DataError", "SequenceDataset", "Split", "load", "pad"]
