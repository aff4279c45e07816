"""Where a training stands, on disk: written whole or not at all, read without running code."""

from __future__ import annotations

import io
import os
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from awry.core.errors import ModelError
from awry.core.files import write_whole

if TYPE_CHECKING:
    from awry.nn.trainer import _Run

#: Plain attributes of a run that change as it goes on.
_PLAIN = ("epoch", "waited", "batch_size", "best", "rate", "best_weights", "history")


def write(run: _Run) -> None:
    """Write where ``run`` stands, if it keeps a checkpoint."""
    if run.plan.checkpoint is None or not run.fabric.is_global_zero:
        return
    state = {name: getattr(run, name) for name in _PLAIN}
    state["network"] = run.network.state_dict()
    state["optimisers"] = {k: v.state_dict() for k, v in run.optimisers.items()}
    state["precision"] = run.fabric.strategy.precision.state_dict()
    state["fingerprint"], state["seed"] = _fingerprint(run), run.plan.seed
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(run.plan.checkpoint, buffer.getvalue())


def resume(run: _Run) -> bool:
    """Let ``run`` go on from its checkpoint; False where there is none.

    Raises
    ------
    ModelError
        Where the file is none of awry's, or of another training.
    """
    path = run.plan.checkpoint
    if path is None or not Path(path).exists():
        return False
    state = _read(path, run.fabric.device)
    if state["fingerprint"] != _fingerprint(run):
        raise ModelError(
            f"{path}: is of a training with other data or settings; remove it or name another file"
        )
    for name in _PLAIN:
        setattr(run, name, state[name])
    run.network.load_state_dict(state["network"])
    for name, optimiser in run.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    run.fabric.strategy.precision.load_state_dict(state["precision"])
    return True


def seed_of(path: str | os.PathLike[str]) -> int | None:
    """The seed of the training that ``path`` is of, or of what came before; None if not begun."""
    begun = (p for p in (Path(path), Path(before(path))) if p.exists())
    return next((int(_read(p, "cpu")["seed"]) for p in begun), None)


def before(path: str | os.PathLike[str]) -> str:
    """Where what is learnt before a training with a checkpoint at ``path`` keeps its own."""
    return f"{os.fspath(path)}.pre"


def remove(run: _Run) -> None:
    """The training is over: what is left of it is the network."""
    if run.plan.checkpoint is not None and run.fabric.is_global_zero:
        Path(run.plan.checkpoint).unlink(missing_ok=True)


def _read(path: str | os.PathLike[str], device: torch.device | str) -> dict[str, Any]:
    try:
        # Weights only: no code from the file is run.
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        _ = state["fingerprint"], state["seed"]
    except Exception as error:
        raise ModelError(f"{path}: is not a checkpoint of awry, or is damaged") from error
    return state


def _fingerprint(run: _Run) -> list[str]:
    """What must agree for a training to go on: the settings, the weights' shapes and the data."""
    plan = [str(v) for v in astuple(run.plan) if v != run.plan.checkpoint]
    shapes = [f"{k} {tuple(v.shape)}" for k, v in run.network.state_dict().items()]
    return [*plan, *shapes, *map(repr, run.source.fingerprint())]
