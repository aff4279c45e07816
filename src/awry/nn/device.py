"""Devices: random states, threads, precision and running out of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

#: Multiplications of a step below which one thread is quicker than the waiting of several.
_WORTH_THREADS = 1e8


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


def best_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``"auto"`` is a GPU where there is one."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def finest(device: torch.device) -> torch.dtype:
    """The finest floats of a device."""
    return torch.float32 if device.type == "mps" else torch.float64


def out_of_memory(error: RuntimeError) -> bool:
    """Whether ``error`` says that memory ran out, on whatever device."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
