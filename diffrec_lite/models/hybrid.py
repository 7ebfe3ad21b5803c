"""The hybrid: one model out of both papers' ideas, the future work that the survey names.

From DCRec the two conditions: the whole stream S_t is noised, and CondLN and cross-attention read the clean history.
From DiffuRec and DiffuRecSys the fusion: the noised stream is laid quietly over the clean history,

    z = H_0 + quiet * (guess(S_t) + positions + slot)      H_0 = [i_1 … i_n], S_t = noised [i_2 … i_n, target]

so that each place begins with the item before it, as a Transformer's does, and not with nothing. DiffuRecSys's offset
noise is not here: it moves all features of x_t by one number, and every layer norm takes that number out again.

Source: ours. Rokka's survey proposes the combination and describes none.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from diffrec_lite.models.dcrec import DCRec
from diffrec_lite.models.dcrec_settings import DCRecSettings
from diffrec_lite.models.settings import number


@dataclass(frozen=True)
class HybridSettings(DCRecSettings):
    """What `DCRecSettings` has, and `quiet`: how loud the noised stream is beside the history that it is laid over."""

    quiet: float = number(1.0, at_least=0)


class Hybrid(DCRec):
    """DCRec whose stream is laid over the clean history."""

    Settings = HybridSettings

    def fuse(self, x: Tensor, H0: Tensor) -> Tensor:
        """z `(B, L, d)`: the stream over the item that stands before each of its places."""
        return H0[:, -x.shape[1] :] + self.settings.quiet * x
