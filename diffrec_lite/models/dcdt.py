"""The Dual Conditional Diffusion Transformer, DCDT: the network inside DCRec.

It reads the noised stream, told by CondLN at every position which step it is and which item came before, and looks
things up in the clean history. Source: DCRec (Huang et al., WSDM 2026), Section 4.3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffrec_lite.layers import (
    Attention,
    CondLN,
    FeedForward,
    PlainLN,
    RelativePositions,
    causal_mask,
    key_mask,
    last_query,
    row_mask,
)


class DCDTBlock(nn.Module):
    """One block of the Dual Conditional Diffusion Transformer. Every sublayer adds to the stream `x (B, L, d)`.

    1. CondLN, then self-attention over the noised stream: the implicit condition.
    2. LN, then cross-attention to the clean history, as `read` has left it: the explicit condition.
    3. LN, then feed-forward.

    With `copies`, what is looked up begins as an average of the clean history's own vectors.
    """

    def __init__(self, d: int, heads: int, dropout: float, cond_ln: bool, explicit: bool, copies: bool) -> None:
        super().__init__()
        self.norm1 = CondLN(d) if cond_ln else PlainLN(d)
        self.self_attention = Attention(d, heads, dropout)
        self.explicit = explicit
        if explicit:
            self.norm2, self.norm_history = nn.LayerNorm(d), nn.LayerNorm(d)
            self.cross_attention = Attention(d, heads, dropout)
            if copies:
                self.cross_attention.begin_as_copy()
        self.norm3 = nn.LayerNorm(d)
        self.feed_forward = FeedForward(d, dropout)

    def read(self, h: Tensor) -> tuple[Tensor, Tensor] | None:
        """Keys and values of the clean history `h (B, M, d)`: they are the same at every step."""
        return self.cross_attention.read(self.norm_history(h)) if self.explicit else None

    def forward(
        self,
        x: Tensor,
        condition: Tensor,
        history: tuple[Tensor, Tensor] | None,
        stream_mask: Tensor,
        history_mask: Tensor,
        last: bool = False,
    ) -> Tensor:
        """With `last`, only the last position is computed, `(B, 1, d)`."""
        y = self.norm1(x, condition)
        asked = y
        if last:
            x, asked = x[:, -1:], y[:, -1:]
            stream_mask, history_mask = last_query(stream_mask), last_query(history_mask)
        x = x + self.self_attention(asked, y, stream_mask)
        if self.explicit:
            x = x + self.cross_attention.look_up(self.norm2(x), history, history_mask)
        return x + self.feed_forward(self.norm3(x))


class Masks(nn.Module):
    """Who may look where: in the stream of length L, and from there to the clean history of length M >= L.

    `how` is "keys" (nobody looks at padding), "rows" (the released program, ledger 16), "causal" (nobody looks ahead
    either), or "alone" (causal, and a place of the stream sees nothing of the stream but itself). With `relative`, a
    learned number for each distance is added.
    """

    def __init__(self, how: str, relative: bool, heads: int, max_len: int) -> None:
        super().__init__()
        self.how = how
        self.on_stream = RelativePositions(heads, max_len) if relative else None
        self.on_history = RelativePositions(heads, max_len) if relative else None

    def forward(self, valid: Tensor, L: int) -> tuple[Tensor, Tensor]:
        """`valid (B, M)`, True on real items -> the stream's mask and the history's; both broadcast over the heads."""
        if self.how == "rows":
            stream = history = row_mask(valid[:, -L:])
        elif self.how == "keys":
            stream, history = key_mask(valid[:, -L:]), key_mask(valid)
        else:
            stream, history = causal_mask(valid[:, -L:]), causal_mask(valid)[:, :, -L:]
            if self.how == "alone":
                stream = torch.eye(L, dtype=torch.bool, device=valid.device)[None, None]
        if self.on_stream is not None:
            stream, history = self.on_stream(stream, L, L), self.on_history(history, L, valid.shape[1])
        return stream, history
