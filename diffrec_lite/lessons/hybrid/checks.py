"""The checks of notebook 10: the fused stream, what a layer norm hears of a change, and which part is missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.lessons.check import CheckFailed, answer, check, compare, letter, numbers, passed, require, truths
from diffrec_lite.lessons.hybrid.figures import heard as share_heard

# B, the places of the stream, those of the history, d, and how loud the stream is.
FUSIONS = ((2, 5, 5, 4, 0.3), (3, 1, 4, 6, 2.0), (2, 3, 7, 3, 0.1))
BASE = "hybrid"
STUDENT = {3: 4.303, 4: 3.182, 5: 2.776}  # Student's t at 97.5 % for so many seeds


@check
def fuse(function: Callable) -> None:
    """Check `function(x (B, L, d), H0 (B, M, d), quiet) -> (B, L, d)`: the stream over the item before each place."""
    draw = torch.Generator().manual_seed(10)
    for B, L, M, d, quiet in FUSIONS:
        x = torch.randn(B, L, d, generator=draw, dtype=torch.float64)
        H0 = torch.randn(B, M, d, generator=draw, dtype=torch.float64) + 1
        beside = H0[:, -L:]
        mistakes = {
            "This is DCRec's line: the stream alone. The clean history is still to be added.": x,
            "This is the stream alone, made quiet. The clean history is still to be added.": quiet * x,
            "This is the clean history alone: the stream is still to be laid over it.": beside,
            "The stream is added at full loudness: multiply it by quiet.": beside + x,
            "quiet stands at the history. It makes the stream quiet, and the history keeps its size.": quiet * beside
            + x,
            "quiet multiplies the sum. It belongs to the stream alone.": quiet * (beside + x),
            "This is a weighted mean: the history lost what the stream won. Leave the history as it is, and add.": (
                (1 - quiet) * beside + quiet * x
            ),
            "You subtract the stream. Add it.": beside - quiet * x,
        }
        if L < M:
            mistakes[
                "The stream is shorter than the history, and you took the oldest books. Its places stand beside the "
                "newest: H0[:, -L:]."
            ] = H0[:, :L] + quiet * x
        if L == 1:
            mistakes[
                "The one place of the stream is laid over every book of the history. That is DiffuRec's fusion. Here "
                "each place stands beside one book, and this one beside the last: H0[:, -L:]."
            ] = H0 + quiet * x
        result = answer(function, x, H0, quiet)
        where = f"z for a stream of {L} places and a history of {M}"
        compare(where, result, beside + quiet * x, mistakes)
    passed("fuse", "Each place begins with the book before it, and a short stream stands beside the newest books.")


@check
def heard(function: Callable) -> None:
    """Check `function(change (B, L, d)) -> (B, L)`: the share of its squared length that a layer norm hears."""
    draw = torch.Generator().manual_seed(11)
    for B, L, d, offset in ((3, 4, 6, 0.7), (2, 5, 3, -2.0), (4, 2, 8, 0.0)):
        change = torch.randn(B, L, d, generator=draw, dtype=torch.float64) + offset
        change = change * (1 + torch.arange(L, dtype=torch.float64))[:, None]
        result = answer(function, change)
        _right_shape(result, change)
        compare("the share", result, share_heard(change), _wrong_shares(change))
    for what, change in (
        ("one number added to all features", torch.full((2, 3, 5), 0.4, dtype=torch.float64)),
        ("one random number for each sample", torch.tensor([[[1.5]], [[-0.3]]], dtype=torch.float64).expand(2, 3, 5)),
        ("a shift up and down", torch.tensor([0.5, -0.5], dtype=torch.float64).repeat(2, 3, 2)),
    ):
        compare(f"the share for {what}", answer(function, change), share_heard(change))
        _as_layer_norm(change)
    passed("heard", "Of a constant a layer norm hears nothing, and of a shift up and down all.")


def _as_layer_norm(change: Tensor) -> None:
    """What the share rests on: layer norm answers to the centred change as to the whole."""
    x = torch.linspace(-1, 2, change.shape[-1], dtype=torch.float64).expand_as(change)
    centred = change - change.mean(-1, keepdim=True)
    one, other = (F.layer_norm(x + c, x.shape[-1:], eps=0.0) for c in (change, centred))
    require(torch.allclose(one, other, atol=1e-9), "A layer norm no longer takes the mean out.")


def _right_shape(result: Any, change: Tensor) -> None:
    found = numbers("the share", result)
    if found.dim() == 0:
        raise CheckFailed(
            "One number came back. Each vector of the change has a share of its own: sum over the last axis only, so "
            f"that {tuple(change.shape[:-1])} numbers are left."
        )


def _wrong_shares(change: Tensor) -> dict[str, Tensor]:
    right, d = share_heard(change), change.shape[-1]
    centred, whole = change - change.mean(-1, keepdim=True), change.square().sum(-1)
    return {
        "This is the share that a layer norm takes out. One minus it is heard.": 1 - right,
        "This is a share of lengths. The question is about squared lengths, of which mean and rest add up to 1: "
        "leave the root out.": right.sqrt(),
        "This is how long the heard part is, not its share: divide by the squared length of the whole change.": (
            centred.square().sum(-1)
        ),
        "This divides by the part that is taken out. A share divides by the whole.": centred.square().sum(-1)
        / (d * change.mean(-1).square()),
        "You took the mean over the places (dim 1). A layer norm takes it over each vector's features (dim -1).": (
            (change - change.mean(1, keepdim=True)).square().sum(-1) / whole
        ),
        "You took the mean over the samples (dim 0). A layer norm takes it over each vector's features (dim -1).": (
            (change - change.mean(0, keepdim=True)).square().sum(-1) / whole
        ),
        "You took one mean of everything. A layer norm takes one for each vector, over its features (dim -1).": (
            (change - change.mean()).square().sum(-1) / whole
        ),
        "torch.var divides by d - 1. Beside a plain mean of squares the share comes out too large: use correction=0.": (
            change.var(-1) / change.square().mean(-1)
        ),
        "Squares are missing: sums of absolute values do not add up to 1.": centred.abs().sum(-1)
        / change.abs().sum(-1),
        "Nothing was taken out: everything divided by itself is 1. Subtract the mean over the features first.": (
            torch.ones_like(right)
        ),
    }


@check
def missed(function: Callable, verdict: str) -> None:
    """Check `function(table, student) -> {variant: bool}`: is the part missed, paired by seed? And the verdict.

    `table` has the columns variant, seed and HR@5. A part is missed when the whole 95 % interval of the mean change,
    `student` standard errors to both sides, lies below 0. `verdict` is the letter of what the table says of diffusion.
    """
    for seeds in ((0, 1, 2), (7, 3, 5, 11)):
        table = _table(seeds)
        parts = [name for name in dict.fromkeys(table.variant) if name != BASE]
        said = answer(function, table, STUDENT[len(seeds)])
        require(
            not (isinstance(said, dict) and BASE in said),
            f"The {BASE} is what the others are compared with. It misses nothing of itself: leave it out.",
        )
        found = truths("missed", said, parts)
        right = _missed(table, STUDENT[len(seeds)])
        for diagnosis, wrong in _wrong_verdicts(table, STUDENT[len(seeds)]).items():
            if found != [right[name] for name in parts] and found == [wrong[name] for name in parts]:
                raise CheckFailed(diagnosis)
        for name, one in zip(parts, found, strict=True):
            require(
                one == right[name],
                f'"{name}" came out as {one}. Its interval reaches from {_ends(table, STUDENT[len(seeds)], name)}: is '
                "all of it below 0?",
            )
    letter(
        "verdict",
        verdict,
        "b",
        {
            "a": "One data set, one size, three seeds. What diffusion does everywhere would need more than that.",
            "c": "An interval that holds 0 is no proof of equality. It says how large a difference could have hidden.",
            "d": "Look at the row again: its interval holds 0, so these runs do not show that the part is missed.",
        },
    )
    passed("missed", "Only an interval that lies wholly below 0 says that a part is missed.")


def _table(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Made-up runs in which every mistake gives another answer; seeds differ far more than variants, rows are mixed."""
    n = len(seeds)
    level = [0.30 + 0.08 * k for k in range(n)]
    wave = [(-1) ** k * 1.0 for k in range(n - n % 2)] + [0.0] * (n % 2)  # mean 0
    spread = (sum(w * w for w in wave) / (n - 1)) ** 0.5
    error = STUDENT[n] * spread / n**0.5  # half an interval, for changes that wave by 1
    kinds = {  # the mean change, and how far the changes wave around it
        "without its ears": (-0.05, 0.001),
        "with a better head": (0.05, 0.001),
        "without its hat": (-0.01, 0.01 / error * 1.5),
        "without its shoes": (-0.01, 0.01 / error * (1 + (n / (n - 1)) ** 0.5) / 2),
        "without its coat": (-0.02, 0.02 / error / n**0.25),
        "without its gloves": (-0.004, 0.004 / error * 0.9),
        "without its cape": (-0.01, 0.0094),  # every change lies below 0, and the interval of 1.96 holds it
        "without its scarf": (-0.01, 0.01 / error * 3),
        "without its belt": (-0.01, 0.01 / error * 6),
        "with two scarves": (0.004, 0.01 / error),
    }
    rows = [(BASE, seed, level[k]) for k, seed in enumerate(seeds)]
    for place, (name, (mean, size)) in enumerate(kinds.items()):
        order = [(k + place + 1) % n for k in range(n)]
        rows += [(name, seeds[k], level[k] + mean + size * wave[k]) for k in order]
    return pd.DataFrame(rows, columns=["variant", "seed", "HR@5"])


def _changes(table: pd.DataFrame, paired: bool = True) -> dict[str, pd.Series]:
    base = table[table.variant == BASE].set_index("seed")["HR@5"]
    found = {}
    for name, rows in table[table.variant != BASE].groupby("variant", sort=False):
        own = rows.set_index("seed")["HR@5"]
        found[str(name)] = own - base if paired else pd.Series(own.to_numpy() - base.to_numpy())
    return found


def _below(change: pd.Series, half: float) -> bool:
    return bool(change.mean() + half < 0)


def _missed(table: pd.DataFrame, student: float, ddof: int = 1, paired: bool = True) -> dict[str, bool]:
    return {
        name: _below(change, student * change.std(ddof=ddof) / len(change) ** 0.5)
        for name, change in _changes(table, paired).items()
    }


def _ends(table: pd.DataFrame, student: float, name: str) -> str:
    change = _changes(table)[name]
    half = student * change.std() / len(change) ** 0.5
    return f"{change.mean() - half:+.4f} to {change.mean() + half:+.4f}"


def _wrong_verdicts(table: pd.DataFrame, student: float) -> dict[str, dict[str, bool]]:
    change = _changes(table)
    half = {name: student * each.std() / len(each) ** 0.5 for name, each in change.items()}
    base = table[table.variant == BASE]["HR@5"]
    apart = {}
    for name, each in change.items():
        own = table[table.variant == name]["HR@5"]
        apart[name] = _below(each, student * ((own.var() + base.var()) / len(each)) ** 0.5)
    return {
        "You asked only whether the mean change is below 0. By chance half of all changes are: the whole interval has "
        "to be.": {name: _below(each, 0.0) for name, each in change.items()},
        "You ask whether the interval leaves 0 out, on either side. What lies above 0 is better without the part, and "
        "so the part is not missed.": {name: bool(abs(each.mean()) > half[name]) for name, each in change.items()},
        "The sign is turned round: a part is missed when HR@5 is lower without it.": {
            name: bool(each.mean() - half[name] > 0) for name, each in change.items()
        },
        "This asks for the lower end of the interval. Both ends have to lie below 0, so ask for the upper one.": {
            name: bool(each.mean() - half[name] < 0) for name, each in change.items()
        },
        "The two means were compared as if their runs had nothing to do with each other. Runs of one seed share their "
        "batches and their noise: subtract seed by seed first.": apart,
        "The rows were subtracted in the order in which they stand. They are paired by their seed: use pivot or an "
        "index.": _missed(table, student, paired=False),
        "This takes the spread of single changes. The mean of n changes spreads less: divide by the root of n.": {
            name: _below(each, student * each.std()) for name, each in change.items()
        },
        "This divides the sum of squares by n. Few seeds show too little of the spread: divide by n - 1, as pandas' "
        "std does (numpy's does not).": _missed(table, student, ddof=0),
        "All changes below 0 are no interval. Ask for the interval's upper end: the mean change and `student` standard "
        "errors.": {name: bool((each < 0).all()) for name, each in change.items()},
        "This is right for very many seeds. So few say little about their spread: use `student` and not 1.96.": (
            _missed(table, 1.96)
        ),
        "This is one standard error to each side, two intervals in three. For 95 % it takes `student` of them.": (
            _missed(table, 1.0)
        ),
    }
