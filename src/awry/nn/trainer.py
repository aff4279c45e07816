"""The one trainer: every network learns here, whatever its losses."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import lightning_fabric
import numpy as np
import torch
from torch import Tensor, nn

from awry.core import progress
from awry.core.errors import AwryError
from awry.nn import checkpoint
from awry.nn.data import Source, make_source
from awry.nn.device import best_device, few_threads, free_memory, out_of_memory, seeded
from awry.nn.network import Batch, Network

log = logging.getLogger(__name__)

#: Losses by name, epoch by epoch: "loss", "held_out", "lr", "batch_size" and the network's own.
History = dict[str, list[float]]
PRECISIONS = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}
#: Batches between looks at the losses: each look makes a GPU wait.
_LOOK = 32
#: A batch of fewer rows is not halved again.
_FEWEST_ROWS = 4


class NonFiniteLossError(AwryError, ArithmeticError):
    """A loss that became NaN or infinite."""


@dataclass(frozen=True)
class Trainer:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
        Passes over the data at most.
    batch_size : int
        Rows per step, over all devices; halved where they do not fit in memory.
    lr, weight_decay : float
        Of AdamW, unless the network brings its own optimisers.
    schedule : {"cosine", "plateau", None}
        Learning rate: a half wave down to zero; halved when half the patience is over; constant.
    clip : float or None
        Norm that the gradients of a part are cut to.
    validation_fraction : float
        Share of the rows held out for early stopping; 0 trains all epochs on all rows.
    patience : int
        Epochs without a better held-out loss after which training ends. The best weights are kept.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    devices : int
        How many; each takes its share of every batch and gradients are averaged. Where that does
        not fit in the memory of one of several, training ends.
    precision : {"32", "16", "bf16"}, or 32 or 16
        Of the arithmetic; weights stay in 32 bits.
    seed : int
        The same seed gives the same weights, bit for bit, on the same machine.
    checkpoint : path-like or None
        File written after every epoch and removed at the end. Where it is there, training goes on
        from it and ends as if it had never stopped.
    name : str
        What progress calls it.
    """

    epochs: int
    batch_size: int
    lr: float = 1e-3
    weight_decay: float = 1e-5
    schedule: str | None = "cosine"
    clip: float | None = 5.0
    validation_fraction: float = 0.1
    patience: int = 10
    device: str = "auto"
    devices: int = 1
    precision: str | int = "32"
    seed: int = 0
    checkpoint: str | os.PathLike[str] | None = None
    name: str = "network"

    def fit(self, network: Network, data: Any) -> History:
        """Train ``network`` in place and return the history.

        Parameters
        ----------
        network : Network
        data : array, tuple of arrays, or iterable of batches
            See :mod:`awry.nn.data`.

        Raises
        ------
        NonFiniteLossError
            Where a loss is NaN or infinite, with epoch, batch and what may help.
        """
        fabric = self._fabric()
        source = make_source(data, self.validation_fraction, self.seed)
        if self.devices > 1:
            weights, history = fabric.launch(
                self._run,  # type: ignore[arg-type]
                network,
                source,
            )
            network.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        else:
            _, history = self._run(fabric, network, source)
        network.cpu().eval()
        return history

    def _fabric(self) -> lightning_fabric.Fabric:
        where = best_device(self.device, self.name)
        return lightning_fabric.Fabric(
            accelerator=where.type,
            devices=self.devices if where.index is None else [where.index],
            strategy="ddp_spawn" if self.devices > 1 else "auto",
            precision=PRECISIONS[str(self.precision)],  # type: ignore[arg-type]
        )

    def _run(
        self, fabric: lightning_fabric.Fabric, network: Network, source: Source
    ) -> tuple[dict[str, np.ndarray], History]:
        run = _Run(self, fabric, network, source)
        first = next(source.batches(self.batch_size, self.seed), None)
        if first is None:
            raise ValueError(f"{self.name}: there are no rows to train on")
        cudnn = torch.backends.cudnn.flags(deterministic=True, benchmark=False)
        with cudnn, few_threads(network, first[0]):
            run.train()
        # Arrays: a tensor does not outlive the process that made it.
        return {k: v.cpu().numpy() for k, v in run.network.state_dict().items()}, run.history


class _Run:
    """One training: what changes while it goes on, which is what a checkpoint holds."""

    def __init__(
        self, plan: Trainer, fabric: lightning_fabric.Fabric, network: Network, source: Source
    ) -> None:
        self.plan, self.fabric, self.source = plan, fabric, source
        self.network: Network = network.to(fabric.device)
        self.parts = {name: list(members) for name, members in network.parts().items()}
        # Of one optimiser Fabric returns one, not the tuple its types allow for.
        self.optimisers: dict[str, Any] = {
            name: fabric.setup_optimizers(self._optimiser(name, members))
            for name, members in self.parts.items()
        }
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["initial_lr"] = group["lr"]
        self.epoch, self.waited, self.batch_size = 0, 0, plan.batch_size
        self.best, self.rate = math.inf, 1.0
        self.best_weights: dict[str, Tensor] | None = None
        self.history: History = {}

    def _optimiser(self, name: str, members: list[nn.Parameter]) -> torch.optim.Optimizer:
        plan = self.plan
        own = self.network.optimiser(name, members, plan.lr, plan.weight_decay)
        # A fused step takes a third of the time, but cannot undo the scaling of 16 bits.
        return own or torch.optim.AdamW(
            members, lr=plan.lr, weight_decay=plan.weight_decay, fused=str(plan.precision) != "16"
        )

    # -- the course of it -------------------------------------------------------------------------

    def train(self) -> None:
        plan, network = self.plan, self.network
        self._look_at_data(network.on_data, seed=plan.seed)
        if not checkpoint.resume(self):
            self._look_at_data(network.on_start, seed=plan.seed)
        while self.epoch < plan.epochs and self.waited < plan.patience:
            self._one_epoch()
            self.epoch += 1
            checkpoint.write(self)
            losses = {k: v[-1] for k, v in self.history.items() if k in ("loss", "held_out")}
            words = ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in losses.items())
            progress.report(f"{plan.name}: train · {words}", self.epoch, plan.epochs)
        progress.report(f"{plan.name}: train", plan.epochs, plan.epochs)
        if self.best_weights is not None:
            network.load_state_dict(self.best_weights)
        network.eval()
        self._look_at_data(network.on_end, seed=plan.seed)
        checkpoint.remove(self)

    def _look_at_data(
        self, hook: Callable[[Callable[[], Iterator[Batch]]], None], seed: int
    ) -> None:
        def batches() -> Iterator[Batch]:
            for batch in self.source.batches(self.batch_size, seed):
                yield self._to_device(batch)

        with seeded(seed, self.fabric.device), torch.no_grad():
            hook(batches)

    def _one_epoch(self) -> None:
        # Seeded by its number, an epoch needs no random state kept to be resumed.
        seed = int(np.random.SeedSequence([self.plan.seed, self.epoch]).generate_state(1)[0])
        with seeded(seed + self.fabric.global_rank, self.fabric.device):
            self._set_rate()
            self.network.train()
            self.network.on_epoch(self.epoch, self.plan.epochs)
            record = self._learn(self.source.batches(self.batch_size, seed))
        with seeded(self.plan.seed, self.fabric.device):
            self.network.eval()
            held_out = self._held_out()
        if held_out is not None:
            record["held_out"] = held_out
            self._keep_best(held_out)
        record["batch_size"] = float(self.batch_size)
        for name, value in record.items():
            self.history.setdefault(name, []).append(value)

    def _set_rate(self) -> None:
        plan, share = self.plan, 1.0
        if plan.schedule == "cosine":
            share = 0.5 * (1 + math.cos(math.pi * self.epoch / plan.epochs))
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * share * self.rate

    def _keep_best(self, held_out: float) -> None:
        if held_out < self.best:
            self.best, self.waited = held_out, 0
            self.best_weights = {k: v.clone() for k, v in self.network.state_dict().items()}
            return
        self.waited += 1
        if self.plan.schedule == "plateau" and self.waited % max(1, self.plan.patience // 2) == 0:
            self.rate *= 0.5

    # -- batches ----------------------------------------------------------------------------------

    def _learn(self, batches: Iterable[Batch]) -> dict[str, float]:
        means = _Means(self._explain_non_finite)
        for i, whole in enumerate(batches):
            pieces = -(-len(whole[0]) // self.batch_size)
            for batch in zip(*(t.tensor_split(pieces) for t in whole), strict=True):
                for rows, losses in self._steps(batch, i):
                    means.add(rows, losses, i)
        group = next(iter(self.optimisers.values())).param_groups[0]
        return {**means.result(), "lr": group["lr"]}

    def _steps(self, batch: Batch, i: int) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Learn from a batch, in two halves where it does not fit in memory."""
        rows = len(batch[0])
        try:
            with self.fabric.autocast():
                losses = self.network.step(self._to_device(self._share(batch)), i, self._descend)
        except RuntimeError as error:
            alone = self.fabric.world_size == 1
            if not out_of_memory(error) or rows < _FEWEST_ROWS or not alone:
                raise
        else:
            yield rows, losses
            return
        free_memory(self.fabric.device)
        self.batch_size = min(self.batch_size, -(-rows // 2))
        log.warning(
            "%s: out of memory with batches of %d rows; going on with %d",
            self.plan.name, rows, self.batch_size,
        )  # fmt: skip
        for half in zip(*(t.tensor_split(2) for t in batch), strict=True):
            yield from self._steps(half, i)

    def _descend(self, loss: Tensor, part: str = "all") -> None:
        optimiser, fabric = self.optimisers[part], self.fabric
        optimiser.zero_grad()
        # Gradients take the precision of what they are gradients of.
        with torch.autocast(fabric.device.type, enabled=False):
            fabric.backward(loss)
        if fabric.world_size > 1:
            for parameter in self.parts[part]:
                if parameter.grad is not None:
                    mean = fabric.all_reduce(parameter.grad, reduce_op="mean")
                    parameter.grad.copy_(mean)  # type: ignore[arg-type]
        if self.plan.clip is not None:
            fabric.clip_gradients(
                self.network, optimiser, max_norm=self.plan.clip, error_if_nonfinite=False
            )
        optimiser.step()

    @torch.no_grad()
    def _held_out(self) -> float | None:
        """Mean held-out loss; None where nothing is held out or the network has no such loss."""
        means = _Means(self._explain_non_finite)
        for i, batch in enumerate(self.source.held_out(self.batch_size)):
            with self.fabric.autocast():
                loss = self.network.held_out(self._to_device(batch))
            if loss is None:
                return None
            means.add(len(batch[0]), {"held-out loss": loss}, i)
        return means.result().get("held-out loss")

    def _share(self, batch: Batch) -> Batch:
        """This process's rows of a batch."""
        size = self.fabric.world_size
        return tuple(t[self.fabric.global_rank :: size] for t in batch) if size > 1 else batch

    def _to_device(self, batch: Batch) -> Batch:
        return tuple(t.to(self.fabric.device, non_blocking=True) for t in batch)

    def _explain_non_finite(self, name: str, value: float, i: int) -> NonFiniteLossError:
        remedies = [f"a lower lr (now {self.plan.lr:g})", "a lower clip"]
        if str(self.plan.precision) != "32":
            remedies.append("precision='32'")
        return NonFiniteLossError(
            f"{self.plan.name}: {name} became {value} in epoch {self.epoch + 1}, batch {i + 1}; "
            f"try {', '.join(remedies)}, and look for extreme values in the data"
        )


class _Means:
    """Means over batches by rows, looking now and then whether all is finite."""

    def __init__(self, explain: Callable[[str, float, int], NonFiniteLossError]) -> None:
        self.explain = explain
        self.waiting: list[tuple[int, dict[str, Tensor], int]] = []
        self.sums: dict[str, float] = {}
        self.rows = 0

    def add(self, rows: int, losses: dict[str, Tensor], i: int) -> None:
        """Note the losses of batch ``i``."""
        self.waiting.append((rows, {k: v.detach() for k, v in losses.items()}, i))
        if len(self.waiting) >= _LOOK:
            self._look()

    def result(self) -> dict[str, float]:
        self._look()
        return {name: total / self.rows for name, total in self.sums.items()}

    def _look(self) -> None:
        for rows, losses, i in self.waiting:
            for name, tensor in losses.items():
                value = float(tensor)
                if not math.isfinite(value):
                    raise self.explain(name, value, i)
                self.sums[name] = self.sums.get(name, 0.0) + rows * value
            self.rows += rows
        self.waiting.clear()
