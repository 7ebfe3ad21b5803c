"""What DCRec can be told: every part of the printed model, of the released program and of the repairs on a switch."""

from __future__ import annotations

from dataclasses import dataclass

from diffrec_lite.models.base import ModelError
from diffrec_lite.models.denoiser import DiffusionSettings
from diffrec_lite.models.settings import choice, number


@dataclass(frozen=True)
class DCRecSettings(DiffusionSettings):
    """DCRec with every part on a switch.

    As printed:

    - `blocks`: the DCDT.
    - `implicit`: False leaves the history out of the stream, S_0 = [target] ("explicit only").
    - `explicit`: False removes the clean history, so CondLN sees the step alone ("implicit only").
    - `cond_ln`: False puts a plain layer norm in CondLN's place.
    - `noise_on`: "sequence", or "target", where the history inside the stream stays clean.
    - `delta`: sampling starts from N(0, I) + delta H_0 (Algorithm 2).
    - `prior`, `denoising`, `ranking`: the weights of L_T, L_t and L_z; 0 switches a loss off.
    - `lambda_schedule`: "smooth", "decline" or "fix", over `lambda_epochs` epochs; see `lambda_at`.
    - `rounding_by`: "cosine" (the paper) or "inner" (the released program) when items are ranked.
    - Released program: `mask_rows` (ledger 16), `transition="posterior"` (17; the paper re-noises), `delta_in_training`
      (27: adds delta H_0 to the training noise too; with a large delta the noised history is legible even at t = T).

    Repairs, off here, measured in data/runs/dcrec_repairs.csv. On the bookshop `signal`, `detach_target` or weights
    that let L_z be heard revive the printed model, `seen_bias` adds the rest, `signal` makes four steps harmless:

    - `detach_target`: L_t moves the prediction towards the target's vector and not the two towards each other.
    - `share_at_T`: so many of the training examples are noised to step T, where inference starts.
    - `stream`: what enters the network: "noised", S_t itself, or "guess", the best linear guess of S_0 from it.
    - `signal`: the scale of what is noised, beside noise of variance 1: with less, fewer steps give the target away.
    - `slot`: a learned vector that says which place of the stream is to be filled.
    - `positions`: "before" the noise (printed), "after" it, "relative" (a bias on the attention), or "none".
    - `project`: before S_0_hat is noised again, its target goes back to the item vectors' sphere, its history is reset.
    - `copies`: cross-attention begins as a copy, its value and output maps being the identity at first, so that what is
      looked up is item vectors from the first batch on (notebook 08 shows that this is what counts).
    - `seen_bias`: see `DiffusionSettings`.

    `causal` learns from every position of a history at once: position p of the stream sees what came before it. The
    step is one for the whole history, or `step_for_each` position.
    """

    blocks: int = number(4, at_least=1)
    item_dropout: float = number(0.4, at_least=0, at_most=1)
    schedule: str = choice("scaled_linear", "linear", "trunc_lin", "cosine", "sqrt")
    T: int = number(50, at_least=2)
    sampling_steps: int | None = number(1, at_least=1)
    transition: str = choice("renoise", "posterior", "ddim")
    implicit: bool = True
    explicit: bool = True
    cond_ln: bool = True
    noise_on: str = choice("sequence", "target")
    delta: float = number(0.1, at_least=0)
    prior: float = number(1.0, at_least=0)
    denoising: float = number(1.0, at_least=0)
    ranking: float = number(1.0, at_least=0)
    lambda_schedule: str = choice("smooth", "decline", "fix")
    lambda_epochs: int = number(150, at_least=1)
    rounding_by: str = choice("cosine", "inner")
    mask_rows: bool = False
    delta_in_training: bool = False
    detach_target: bool = False
    share_at_T: float = number(0.0, at_least=0, at_most=1)
    stream: str = choice("noised", "guess")
    signal: float = number(1.0, above=0)
    slot: bool = False
    positions: str = choice("before", "after", "relative", "none")
    project: bool = False
    copies: bool = False
    causal: bool = False
    step_for_each: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.implicit and not self.explicit:
            raise ModelError("implicit and explicit are both off: nothing would tell the model about the history")
        if self.copies and not self.explicit:
            raise ModelError("copies without explicit: nothing is looked up that could be copied; set copies=false")
        if self.causal and self.implicit and self.noise_on == "target":
            raise ModelError("causal needs a stream that is noised everywhere: noise_on='sequence' or implicit=False")
        if self.causal and (self.positions in ("before", "after") or self.mask_rows):
            raise ModelError(
                "causal needs positions 'relative' or 'none', which a prefix and the whole share, and no mask_rows"
            )
        if self.causal and self.delta_in_training:
            raise ModelError("causal and delta_in_training: the noise of every position would hold its own target")
        if self.step_for_each and not self.causal:
            raise ModelError("step_for_each belongs to causal: otherwise only the last position is a target")
