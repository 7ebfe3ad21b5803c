"""Where a model trains and in which precision.

Accelerate joins the processes and does nothing else here: it is made without mixed precision and without device
placement, so that it leaves a model as it is, and one Python session can train on one device after the other. bf16 is
torch's own autocast, around the loss.
"""

from __future__ import annotations

import os
import time
import warnings

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs

from diffrec_lite.data import Batch
from diffrec_lite.models.base import Recommender
from diffrec_lite.noise import Noise

PRECISIONS = ("auto", "fp32", "bf16")
WORTH_IT = 1.25  # bf16 has to be so many times faster, for it keeps 8 of a number's 24 bits
PASSES = 3


def choose_device(name: str = "auto") -> torch.device:
    """A device by name; auto is the best there is. Raises ValueError when this machine lacks it."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind in present if present[kind])
    if name not in present:
        raise ValueError(f"unknown device {name!r}; choose one of auto, {', '.join(present)}")
    if not present[name]:
        raise ValueError(f"this machine, or this build of torch, has no {name}; use --device auto")
    return torch.device(name)


def make_accelerator(device: str = "auto") -> Accelerator:
    """What joins this process to the others that `accelerate launch` started, if it did. Raises ValueError."""
    wanted = choose_device(device)
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    # A model with a switched-off part has parameters that get no gradient; DDP must be told to expect them.
    warnings.filterwarnings("ignore", message=".*find_unused_parameters=True was specified.*")
    try:
        return Accelerator(
            cpu=several and wanted.type == "cpu",
            mixed_precision="no",
            device_placement=False,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
    except ValueError as problem:
        raise ValueError(
            f"this Python process already uses Accelerate in another way; restart it, then train ({problem})"
        ) from None


def choose_precision(wanted: str, model: Recommender, batch: Batch | None, accelerator: Accelerator) -> tuple[str, str]:
    """fp32 or bf16, and why. For "auto" both are timed on `batch`, and bf16 is taken if it is 1.25 times faster.

    `batch` None stands for a model that computes no gradient. The model and the random numbers stay as they are.
    Raises ValueError for an unknown precision.
    """
    if wanted not in PRECISIONS:
        raise ValueError(f"unknown precision {wanted!r}; choose one of {', '.join(PRECISIONS)}")
    if wanted != "auto":
        return wanted, "not measured"
    if batch is None or batch.history.device.type == "mps":
        return "fp32", "nothing to measure"
    seconds = torch.zeros(2, dtype=torch.float64, device=batch.history.device)
    if accelerator.is_main_process:  # all processes have to decide alike
        seconds += torch.tensor(measure(model, batch), dtype=torch.float64, device=seconds.device)
    fp32, bf16 = accelerator.reduce(seconds, "sum").tolist()
    faster = bf16 * WORTH_IT <= fp32
    return ("bf16" if faster else "fp32"), f"measured: a pass takes {bf16:.4f} s in bf16, {fp32:.4f} s in fp32"


def in_precision(precision: str, device: torch.device) -> torch.autocast:
    """The context in which a loss is computed in fp32 or bf16. Raises ValueError for another precision."""
    if precision not in ("fp32", "bf16"):
        raise ValueError(f"precision must be fp32 or bf16, got {precision!r}")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def measure(model: Recommender, batch: Batch) -> tuple[float, float]:
    """The seconds of the fastest of a few passes, loss and gradient, in fp32 and in bf16."""
    device, training = batch.history.device, model.training
    noise = Noise(0, batch.users, batch.positions)
    weights = [weight for weight in model.parameters() if weight.requires_grad]

    def seconds(precision: str) -> float:
        begun = time.perf_counter()
        with in_precision(precision, device):
            loss = model(batch, noise, 0.0)["loss"]
        torch.autograd.grad(loss, weights, allow_unused=True)  # unlike backward() it leaves no gradient behind
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - begun

    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        model.train()
        seconds("fp32"), seconds("bf16")  # the first pass of a kind also prepares
        times = [(seconds("fp32"), seconds("bf16")) for _ in range(PASSES)]
        model.train(training)
    return min(fp32 for fp32, _ in times), min(bf16 for _, bf16 in times)
