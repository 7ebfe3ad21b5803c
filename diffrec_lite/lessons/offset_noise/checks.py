"""Checks of notebook 02: both forms of offset noise, a bug in one of them, and why the offset goes unnoticed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffrec_lite import diffusion
from diffrec_lite.lessons.check import answer, compare, passed, require

REASONS = {
    "a": "The reverse process starts with the same offset, so the two cancel.",
    "b": "x_t enters each position multiplied by lambda, some 0.001: the offset is tiny beside the item vectors.",
    "c": "The schedule removes the offset again at t = T.",
}


def offset_noise(yours: Callable[[Tensor, float, float, Tensor], Tensor]) -> None:
    """Exercise 1: `yours(noise, mean, strength, draw)` equals `diffusion.offset_noise`, also for sequences."""
    generator = torch.Generator().manual_seed(2)
    noise, draw = torch.randn(3, 5, generator=generator), torch.randn(3, generator=generator)
    square = torch.randn(4, 4, generator=generator)
    long, draws = torch.randn(4, 2, 5, generator=generator), torch.randn(4, generator=generator)

    name = "offset_noise(noise, mean, strength, draw)"
    found = answer(yours, noise, 0.1, 0.5, draw)
    compare(
        name,
        found,
        diffusion.offset_noise(noise, 0.1, 0.5, draw),
        {
            "The strength is missing: the draw must be multiplied by it.": noise + 0.1 + draw[:, None],
            "The draw is scaled by the mean. The two forms are independent: mean is added as it is.": noise
            + 0.1 * draw[:, None],
            "The constant shift `mean` is missing.": noise + 0.5 * draw[:, None],
            "The per-sample part is missing: add strength * draw.": noise + 0.1,
            "You return the offset alone. Add it to the noise.": (0.1 + 0.5 * draw[:, None]).expand_as(noise),
        },
    )
    compare(
        "With as many samples as features, offset_noise",
        answer(yours, square, 0.0, 0.5, draws),
        diffusion.offset_noise(square, 0.0, 0.5, draws),
        {
            "The draw runs along the features: every sample gets the same offsets. Reshape it to (B, 1), so that "
            "it runs along the samples.": square + 0.5 * draws,
        },
    )
    compare(
        "For a sequence (B, L, d), offset_noise",
        answer(yours, long, 0.1, 0.5, draws),
        diffusion.offset_noise(long, 0.1, 0.5, draws),
    )
    passed("offset_noise", "It equals diffusion.offset_noise for vectors and for sequences.")


def per_sample(yours: Callable[[Tensor, float, torch.Generator], Tensor]) -> None:
    """Exercise 2: `yours(noise, strength, generator)` adds one random number a sample, shared by its features."""
    noise = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    found = answer(yours, noise.clone(), 0.5, torch.Generator().manual_seed(1))
    require(
        isinstance(found, Tensor) and found.shape == noise.shape, "The result must have the shape of the noise, (B, d)."
    )
    added = found - noise
    require(float(added.abs().max()) > 1e-6, "Nothing was added to the noise.")
    across_samples, across_features = float(added.std(0).max()), float(added.std(1).max())
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
    require(
        bool((added < 0).any()), "All offsets have one sign. Draw them with torch.randn, so that they average to 0."
    )
    spread = float(added[:, 0].std())
    require(
        0.43 < spread < 0.57,
        f"The offsets have standard deviation {spread:.2f} at strength 0.5. Multiply the draw by the strength.",
    )
    again = answer(yours, noise.clone(), 0.5, torch.Generator().manual_seed(1))
    require(torch.equal(found, again), "The same generator gave other numbers: hand `generator` to torch.randn.")
    passed("per_sample", "One number a sample, the same for all its features, and reproducible.")


def unnoticed(relative_push: Callable[[Tensor, Tensor], Tensor], reason: str) -> None:
    """Exercise 3: `relative_push(e, change)` is a ratio of mean lengths, and `reason` names what it shows."""
    generator = torch.Generator().manual_seed(5)
    e, change = torch.randn(2, 4, 8, generator=generator), 0.01 * torch.randn(2, 4, 8, generator=generator)
    lengths = change.norm(dim=-1).mean(), e.norm(dim=-1).mean()
    compare(
        "relative_push(e, change)",
        answer(relative_push, e, change),
        lengths[0] / lengths[1],
        {
            "The ratio is upside down: how long is the change, beside the item vectors?": lengths[1] / lengths[0],
            "That is the length of the change alone: divide by the length of the item vectors.": lengths[0],
            "You measure along the positions. A vector's length runs over its d features, the last axis.": (
                change.norm(dim=1).mean() / e.norm(dim=1).mean()
            ),
        },
    )
    require(reason in REASONS, f"Choose one of {', '.join(REASONS)}, as a string.")
    require(
        reason != "a",
        "Look at DiffuRec.start: the reverse process starts from N(0, I), with no offset to cancel anything.",
    )
    require(
        reason != "c",
        "The schedule scales the noise up and not down: at t = T the factor sqrt(1 - abar_T) is almost 1, so the "
        "offset is there in full.",
    )
    passed("unnoticed", "The offset arrives, and lambda makes it far smaller than the item vectors beside it.")
