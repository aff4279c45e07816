"""Devices: random states, threads, precision and running out of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from awry.core.params import ParameterError

#: Multiplications of a step below which one thread is quicker than the waiting of several.
_WORTH_THREADS = 1e8
#: What an error says where memory ran out.
_NO_MEMORY = ("out of memory", "can't allocate memory")


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Draw from ``seed`` inside, and leave the caller's random state as it was."""
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        yield


@contextmanager
def few_threads(network: nn.Module, x: Tensor) -> Iterator[None]:
    """One thread inside, if a pass of ``x`` through ``network`` is small work."""
    before = torch.get_num_threads()
    weights = sum(p.numel() for p in network.parameters())
    places = x.numel() / max(1, x.shape[-1])
    if weights * places < _WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def best_device(name: str = "auto", owner: str = "") -> torch.device:
    """The device called ``name``; ``"auto"`` is a GPU where there is one.

    Raises
    ------
    ParameterError
        Where there is no such device, with those there are; ``owner`` says whose parameter it is.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cuda"] * bool(gpus) + [f"cuda:{i}" for i in range(gpus)]
    there += ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    if name == "auto":
        return torch.device(there[0])
    if name not in there:
        known = ", ".join(map(repr, ["auto", *there]))
        found = "" if len(there) > 1 else "; torch finds no GPU here"
        said = f"device must be one of {known}, got {name!r}{found}"
        raise ParameterError(f"{owner}: {said}" if owner else said)
    return torch.device(name)


def finest(device: torch.device) -> torch.dtype:
    """The finest floats of a device."""
    return torch.float32 if device.type == "mps" else torch.float64


def out_of_memory(error: RuntimeError) -> bool:
    """Whether ``error`` says that memory ran out, on whatever device."""
    said = str(error)
    # CUDA has an error of its own; MPS and the CPU say it in words alone.
    return isinstance(error, torch.OutOfMemoryError) or any(words in said for words in _NO_MEMORY)


def free_memory(device: torch.device) -> None:
    """Give back what torch keeps of a GPU's memory for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
