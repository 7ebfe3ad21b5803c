"""Comparing ways to do the same: they take turns, and are seen with their arithmetic and their memory.

A way is made of pieces, each of which stands for many alike. `compare` gives a row for each way; how good a way is to
the machine is its share of the fastest matrix product that the machine was seen to do (`matrix_peaks`).
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

ROUNDS = 3  # at least


class Piece(NamedTuple):
    """Work that stands for `weight` times as much; `work()` gives the number of examples and the seconds they took."""

    weight: int
    work: Callable[[], tuple[int, float]]


class Way(NamedTuple):
    """One way to do something: its name, denoising steps where it has any, its precision, and its pieces."""

    name: str
    steps: int | None
    precision: str
    pieces: list[Piece]


def compare(ways: list[Way], seconds: float, peaks: list[dict[str, Any]], device: torch.device) -> list[dict[str, Any]]:
    """A row for each way, the first being the plain one: `bench` says what is in it."""
    looks = [look(way, device) for way in ways]
    rates: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rates) < ROUNDS or time.perf_counter() < end:
        rates.append([rate(way) for way in ways])
    rows = []
    for way, (gflop, memory), own in zip(ways, looks, zip(*rates, strict=True), strict=True):
        per_second = statistics.median(own)
        peak = max(row["gflops"] for row in peaks if row["precision"] == way.precision and row["used"])
        rows.append(
            {
                "way": way.name,
                "steps": way.steps,
                "precision": way.precision,
                "per_second": round(per_second, 2),
                "ratio": round(statistics.median(one / other[0] for one, other in zip(own, rates, strict=True)), 3),
                "gflop": round(gflop, 6),
                "share_of_peak": round(per_second * gflop / peak, 4),
                "peak_memory_mb": round(memory, 1),
                "rounds": len(rates),
            }
        )
    return rows


def rate(way: Way) -> float:
    """Examples a second, each piece of the way counted as often as it stands for others."""
    done = [(piece.weight, *piece.work()) for piece in way.pieces]
    return sum(weight * n for weight, n, _ in done) / sum(weight * seconds for weight, _, seconds in done)


def look(way: Way, device: torch.device) -> tuple[float, float]:
    """A first pass, not timed: GFLOP an example in matrix products, and the peak of memory in MB."""
    forget_peak(device)
    flops = examples = 0
    for weight, work in way.pieces:
        with FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter:
            n, _ = work()
        flops, examples = flops + weight * counter.get_total_flops(), examples + weight * n
    return flops / examples / 1e9, peak_memory(device)


def attention_flops(query: Sequence[int], key: Sequence[int], *_: Any, **__: Any) -> int:
    """The two matrix products of attention, from the shapes `(B, h, L, d)` and `(B, h, M, d)`."""
    return 4 * math.prod(query) * key[-2]


def attention_backward_flops(_: Any, query: Sequence[int], key: Sequence[int], *__: Any, **___: Any) -> int:
    """On the way back they are five: the weights are computed again, and there are four gradients."""
    return 10 * math.prod(query) * key[-2]


ON_CPU = {  # torch counts its fused attention on other devices only
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward_flops,
}


def forget_peak(device: torch.device) -> None:
    """Let the next `peak_memory` tell of what comes now. Only Linux and CUDA can; elsewhere peaks never fall."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> float:
    """MB: of the device's memory where it has its own, else of this process, Python and torch included.

    NaN where nobody can tell, as on Windows.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:
        return math.nan
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def matrix_peaks(device: torch.device) -> list[dict[str, Any]]:
    """The fastest matrix product that this machine was seen to do, in GFLOP/s, by precision and number of threads.

    `used` marks the number of threads that the models run with.
    """
    own = torch.get_num_threads()
    threads = sorted({1, own, os.cpu_count() or 1}) if device.type == "cpu" else [own]
    n, rows = 512 if device.type == "cpu" else 8192, []  # on a CPU small enough to be done before another has its turn
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.randn(n, n, device=device).to(dtype)
        for number in threads:
            torch.set_num_threads(number)
            seconds = []
            for _ in range(20):
                begun = clock(device)
                a @ a
                seconds.append(clock(device) - begun)
            gflops = round(2 * n**3 / min(seconds) / 1e9, 1)
            rows.append({"precision": precision, "threads": number, "gflops": gflops, "used": number == own})
    torch.set_num_threads(own)
    return rows


def clock(device: torch.device) -> float:
    """The time, once the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
