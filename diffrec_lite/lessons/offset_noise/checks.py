"""Checks of notebook 02: both forms of offset noise, a bug in one of them, and why the offset goes unnoticed."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffrec_lite import diffusion
from diffrec_lite.lessons.check import answer, check, close, compare, letter, numbers, passed, require

# Shape, mean and strength. Where axes are of equal length a draw on the wrong one gives numbers, and so can be named.
OFFSETS = (
    ((4, 4), 0.1, 0.5),
    ((4, 4, 4), 0.1, 0.5),
    ((3, 5), -2.0, 3.0),
    ((4, 2, 5), 0.1, -0.5),
    ((1, 3, 2), 0.0, 20.0),
    ((2, 6), 0.7, 0.0),
)
SAMPLES = 20_000


@check
def offset_noise(yours: Callable[[Tensor, float, float, Tensor], Tensor]) -> None:
    """Exercise 1: `yours(noise, mean, strength, draw)` equals `diffusion.offset_noise`, also for sequences."""
    generator = torch.Generator().manual_seed(2)
    for shape, mean, strength in OFFSETS:
        noise, draw = torch.randn(shape, generator=generator), torch.randn(shape[0], generator=generator)
        of_sample = draw.reshape(-1, *[1] * (len(shape) - 1))
        mistakes = {
            "The strength is missing: the draw must be multiplied by it.": noise + mean + of_sample,
            "The draw is scaled by the mean. The two forms are independent: mean is added as it is.": (
                noise + mean * of_sample
            ),
            "The mean is multiplied by the strength. The two forms are independent: mean is added as it is.": (
                noise + strength * (mean + of_sample)
            ),
            "The constant shift `mean` is missing.": noise + strength * of_sample,
            "The per-sample part is missing: add strength * draw.": noise + mean,
            "You return the offset alone. Add it to the noise.": (mean + strength * of_sample).expand_as(noise),
        }
        if shape == (4, 4):
            mistakes[
                "The draw runs along the features: every sample gets the same offsets. Reshape it to (B, 1), so that "
                "it runs along the samples."
            ] = noise + mean + strength * draw
        if shape == (4, 4, 4):
            mistakes |= {
                "In a sequence (B, L, d) your draw runs along the positions: (B, 1) lines up with (L, d). It needs "
                "as many axes as the noise, here (B, 1, 1).": noise + mean + strength * draw[:, None],
                "In a sequence (B, L, d) your draw runs along the features: it needs as many axes as the noise, here "
                "(B, 1, 1).": noise + mean + strength * draw,
            }
        found = answer(yours, noise, mean, strength, draw)
        compare(
            f"For noise {shape}, offset_noise", found, diffusion.offset_noise(noise, mean, strength, draw), mistakes
        )
    passed("offset_noise", "It equals diffusion.offset_noise for vectors and for sequences.")


@check
def per_sample(yours: Callable[[Tensor, float, torch.Generator], Tensor]) -> None:
    """Exercise 2: `yours(noise, strength, generator)` adds one random number a sample, shared by its features."""

    def offsets(noise: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        found = numbers("per_sample(noise, strength, generator)", answer(yours, noise, strength, generator))
        require(found.shape == noise.shape, "The result must have the shape of the noise, (B, d).")
        require(found.isfinite().all(), "The result holds NaN or infinity.")
        return found - noise

    noise = torch.randn(SAMPLES, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    added = offsets(noise, 0.5, torch.Generator().manual_seed(1))
    _one_number_a_sample(added)
    _standard_normal(added[:, 0] / 0.5)
    _from_the_generator(lambda generator: offsets(noise[:400], 0.5, generator))
    require(
        close(offsets(noise, 1.5, torch.Generator().manual_seed(1)), 3 * added),
        "Three times the strength should give three times the offsets: multiply the draw by `strength`.",
    )
    for shape in ((3, 7), (6, 6), (1, 5)):
        few = torch.randn(shape, generator=torch.Generator().manual_seed(3))
        spread = offsets(few, 2.0, torch.Generator().manual_seed(4)).std(1).max()
        require(spread < 1e-5, f"For noise {shape} the numbers differ between the features of a sample.")
    passed("per_sample", "One number a sample, the same for all its features, and reproducible.")


def _one_number_a_sample(added: Tensor) -> None:
    require(added.abs().max() > 1e-6, "Nothing was added to the noise.")
    across_samples, across_features = added.std(0).max(), added.std(1).max()
    require(
        across_samples > 1e-5 or across_features > 1e-5,
        "The whole batch got one number. That is a mean shift which changes from batch to batch; draw one number for "
        "each of the B samples.",
    )
    require(
        across_samples > 1e-5,
        "Every sample got the same offsets, one for each feature. Turn it round: one for each sample, shape (B, 1).",
    )
    require(
        across_features < 1e-5,
        "The numbers differ between the features of a sample: this is only more noise. Draw shape (B, 1).",
    )


def _standard_normal(draw: Tensor) -> None:
    """With 20,000 draws each limit is at least four standard errors away from what a normal draw gives."""
    require((draw < 0).any(), "All offsets have one sign. Draw them with torch.randn, so that they average to 0.")
    values = draw.round(decimals=9).unique().numel()
    require(
        values > 0.9 * len(draw),
        f"The {len(draw)} samples share {values} different numbers between them. A normal draw hardly ever repeats: "
        "use torch.randn as it comes, one number for each sample.",
    )
    scaled = draw / draw.std()
    require(
        scaled.abs().max() > 2.5,
        "No offset is far from the middle, as if the draw were uniform. Offset noise is normal: use torch.randn, and "
        "not torch.rand.",
    )
    require(
        abs(float(draw.std()) - 1) < 0.03,
        f"The offsets have standard deviation {float(draw.std()) / 2:.2f} at strength 0.5. "
        "Multiply a standard normal draw by the strength, once.",
    )
    require(abs(float(draw.mean())) < 0.03, "The offsets do not average to 0: add no mean of your own.")
    normal = 0.5 * (1 + torch.erf(draw.sort().values / math.sqrt(2)))
    gap = (normal - (torch.arange(len(draw), dtype=torch.float64) + 0.5) / len(draw)).abs().max()
    require(gap < 0.02, "The offsets have the right spread, but they are not normal: use torch.randn.")


def _from_the_generator(offsets: Callable[[torch.Generator], Tensor]) -> None:
    first, other = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    drawn = offsets(first)
    require(
        torch.equal(drawn, offsets(torch.Generator().manual_seed(1))),
        "The same generator gave other numbers: hand `generator` to torch.randn.",
    )
    require(
        not torch.equal(drawn, offsets(other)),
        "The generator makes no difference: its seed changed, and your numbers did not. Draw from the `generator` that "
        "is handed in, without seeding it again and without making one of your own.",
    )
    require(
        not torch.equal(drawn, offsets(first)),
        "Two calls with one generator gave the same numbers, so that every batch would get the same offsets. Draw "
        "from `generator` itself, and do not seed it again.",
    )


@check
def unnoticed(relative_push: Callable[[Tensor, Tensor], Tensor], reason: str) -> None:
    """Exercise 3: `relative_push(e, change)` is a ratio of mean lengths, and `reason` names what it shows."""
    generator = torch.Generator().manual_seed(5)
    for shape, size in (((2, 4, 8), 0.01), ((1, 5, 3), 40.0), ((6, 3, 2), 1.0)):
        # Lengths differ from vector to vector, and most of a change lies in one feature: then no other measure of
        # size gives the same ratio.
        e, change = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
        e = e * torch.arange(1, 1 + e[..., 0].numel()).view(*shape[:2], 1)
        change[..., 0] *= 5
        change = size * change
        long, short = e.norm(dim=-1), change.norm(dim=-1)
        compare(
            "relative_push(e, change)",
            answer(relative_push, e, change),
            short.mean() / long.mean(),
            {
                "The ratio is upside down: how long is the change, beside the item vectors?": long.mean()
                / short.mean(),
                "That is the length of the change alone: divide by the length of the item vectors.": short.mean(),
                "You measure along the positions. A vector's length runs over its d features, the last axis.": (
                    change.norm(dim=1).mean() / e.norm(dim=1).mean()
                ),
                "You compare the mean size of single numbers. A length belongs to a vector: the root of the sum of its "
                "squares over the d features, as in .norm(dim=-1).": change.abs().mean() / e.abs().mean(),
                "You took one root over all numbers together. Each of the vectors has a length of its own, "
                ".norm(dim=-1); take their mean afterwards.": change.norm() / e.norm(),
                "These are squared lengths: the square root is missing.": short.square().mean() / long.square().mean(),
                "You divide vector by vector and then take the mean. Take the two mean lengths first, then divide.": (
                    (short / long).mean()
                ),
                "You return one number for each vector. Take the mean over all of them.": short / long,
            },
        )
    letter(
        "my_reason",
        reason,
        "b",
        {
            "a": "Look at DiffuRec.start: the reverse process starts from N(0, I), with no offset to cancel anything.",
            "c": "The schedule scales the noise up and not down: at t = T the factor sqrt(1 - abar_T) is almost 1, so "
            "the offset is there in full.",
        },
    )
    passed("unnoticed", "The offset arrives, and lambda makes it far smaller than the item vectors beside it.")
