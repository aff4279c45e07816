"""Batches for training: from arrays in memory or on disk, or from any iterable of batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch

from awry.nn.network import Batch

#: Below this many held-out rows their loss says little, and none are held out.
MIN_HELD_OUT = 5
#: What the weights of a kind of rows come to at least, lest there be none to divide by.
LEAST_WEIGHT = 1e-6


class Source(Protocol):
    """Where batches come from, the same whenever asked for the same epoch."""

    def batches(self, size: int, seed: int) -> Iterator[Batch]:
        """The rows to learn from, in the order of ``seed``."""

    def held_out(self, size: int) -> Iterator[Batch]:
        """The rows set aside, in one order; none if there are none."""

    def fingerprint(self) -> list[float]:
        """Numbers that tell this data from other data."""


def make_source(data: Any, validation_fraction: float, seed: int) -> Source:
    """A :class:`Source` of a tuple of arrays of equal length, or of an iterable of batches."""
    if isinstance(data, tuple) or hasattr(data, "shape"):
        arrays = data if isinstance(data, tuple) else (data,)
        return Arrays(arrays, validation_fraction, seed)
    return Stream(data, validation_fraction)


def as_batch(values: Any) -> Batch:
    """Arrays, or one, as tensors; floats become single precision."""
    return tuple(_tensor(v) for v in (values if isinstance(values, tuple) else (values,)))


def _tensor(values: Any) -> torch.Tensor:
    array = np.asarray(values)
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
    # torch wants memory that is writable and runs forwards.
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def extremes(batches: Iterable[Batch]) -> tuple[torch.Tensor, torch.Tensor]:
    """The least and the greatest value (d,) of each column of rows that come in batches.

    Examples
    --------
    >>> [t.tolist() for t in extremes([(torch.eye(2),), (torch.tensor([[3.0, 0.5]]),)])]
    [[0.0, 0.0], [3.0, 1.0]]
    """
    parts = [(x.amin(dim=0), x.amax(dim=0)) for x, *_ in batches]
    least, most = (torch.stack(ends) for ends in zip(*parts, strict=True))
    return least.amin(dim=0), most.amax(dim=0)


def fair_sample(parts: Iterable[torch.Tensor], most: int) -> torch.Tensor:
    """``most`` of the rows that come in parts, each as likely as any other, or all if fewer.

    Examples
    --------
    >>> fair_sample([torch.arange(3), torch.arange(3, 5)], 9).tolist()
    [0, 1, 2, 3, 4]
    """
    kept: list[torch.Tensor] = []
    lots: list[torch.Tensor] = []
    waiting = 0
    for rows in parts:
        kept.append(rows)
        lots.append(torch.rand(len(rows), device=rows.device))
        waiting += len(rows)
        # Not before twice as many wait, so that rows are seldom moved.
        if waiting > 2 * most:
            kept, lots = ([part] for part in _drawn(kept, lots, most))
            waiting = most
    return _drawn(kept, lots, most)[0]


def _drawn(
    kept: list[torch.Tensor], lots: list[torch.Tensor], most: int
) -> tuple[torch.Tensor, torch.Tensor]:
    rows, drawn = torch.cat(kept), torch.cat(lots)
    picks = drawn.topk(min(most, len(drawn))).indices.sort().values
    return rows[picks], drawn[picks]


class Moments:
    """Mean and covariance of rows that come in parts, of one kind or weighed for several.

    In double precision, on the CPU, and by differences from what comes first, so that a mean far
    from zero costs no digits.

    Attributes
    ----------
    n : int
        Rows.
    total : Tensor of shape (k,)
        Sums of weights.

    Examples
    --------
    >>> moments = Moments()
    >>> for part in ([[1.0], [2.0]], [[6.0]]):
    ...     moments.add(torch.tensor(part))
    >>> float(moments.mean), round(float(moments.covariance), 3)
    (3.0, 4.667)
    """

    def __init__(self) -> None:
        self.n = 0

    def add(self, rows: torch.Tensor, weights: torch.Tensor | None = None) -> None:
        """Take rows (n, q) in, with weights (n, k); all weigh the same by default."""
        if weights is None:
            weights = torch.ones(len(rows), 1)
        z, w = rows.detach().double().cpu(), weights.detach().double().cpu()
        if not self.n:
            self._origin = z.mean(dim=0)
            k, q = w.shape[1], z.shape[1]
            self.total, self._sums = z.new_zeros(k), z.new_zeros(k, q)
            self._squares = z.new_zeros(k, q, q)
        away = z - self._origin
        self.n += len(z)
        self.total += w.sum(dim=0)
        self._sums += w.T @ away
        self._squares += torch.einsum("nk,ni,nj->kij", w, away, away)

    @property
    def mean(self) -> torch.Tensor:
        """Means (k, q)."""
        return self._origin + self._sums / self._weight

    @property
    def covariance(self) -> torch.Tensor:
        """Covariances (k, q, q)."""
        mean = self._sums / self._weight
        return self._squares / self._weight[:, None] - mean[:, :, None] * mean[:, None]

    @property
    def _weight(self) -> torch.Tensor:
        return self.total.clamp_min(LEAST_WEIGHT)[:, None]


class Arrays:
    """Rows of arrays, memory-mapped ones included, in a new order each epoch.

    Parameters
    ----------
    arrays : tuple of array-likes of equal length
        Anything with a length that takes an array of row numbers.
    validation_fraction : float
        Share of the rows set aside, drawn by ``seed``.
    seed : int
    """

    def __init__(self, arrays: tuple[Any, ...], validation_fraction: float, seed: int) -> None:
        self.arrays = arrays
        n = len(arrays[0])
        aside = int(n * validation_fraction)
        order = np.random.default_rng(seed).permutation(n)
        aside = aside if aside >= MIN_HELD_OUT else 0
        self.aside, self.rows = np.sort(order[:aside]), np.sort(order[aside:])

    def _take(self, rows: np.ndarray) -> Batch:
        return as_batch(tuple(array[rows] for array in self.arrays))

    def batches(self, size: int, seed: int) -> Iterator[Batch]:
        order = np.random.default_rng(seed).permutation(self.rows)
        # Even parts: a last batch of one row has no variance to normalise by.
        for rows in np.array_split(order, max(1, -(-len(order) // size))):
            yield self._take(rows)

    def held_out(self, size: int) -> Iterator[Batch]:
        for start in range(0, len(self.aside), size):
            yield self._take(self.aside[start : start + size])

    def fingerprint(self) -> list[float]:
        picks = np.linspace(0, len(self.rows) - 1, 16).astype(int)
        sums = [float(t.double().sum()) for t in self._take(self.rows[np.unique(picks)])]
        return [float(len(self.rows)), float(len(self.aside)), *sums]


class Stream:
    """Batches as they come from an iterable, for data larger than memory.

    Rows are set aside at even steps, so that every pass sets aside the same ones, and learnt from
    in the order they come: shuffle on disk if that order means something. ``size`` has no say but
    that larger batches are cut.

    Parameters
    ----------
    source : iterable of arrays or of tuples of arrays
        Gives the same batches each time it is iterated; a generator, which gives them once, will
        not do.
    validation_fraction : float
    """

    def __init__(self, source: Iterable[Any], validation_fraction: float) -> None:
        if iter(source) is source:
            raise ValueError(
                "batches must come from an object that can be iterated once per epoch, "
                f"got {type(source).__name__}, which gives them once; pass a class with __iter__"
            )
        self.source = source
        self.every = round(1 / validation_fraction) if validation_fraction else 0

    def _parts(self, aside: bool, size: int) -> Iterator[Batch]:
        seen = 0
        for values in self.source:
            batch = as_batch(values)
            number = torch.arange(seen, seen + len(batch[0]))
            seen += len(batch[0])
            chosen = number % self.every == self.every - 1 if self.every else number < 0
            rows = torch.nonzero(chosen if aside else ~chosen)[:, 0]
            for part in rows.tensor_split(-(-len(rows) // size)) if len(rows) else ():
                yield tuple(t[part] for t in batch)

    def batches(self, size: int, seed: int) -> Iterator[Batch]:
        return self._parts(False, size)

    def held_out(self, size: int) -> Iterator[Batch]:
        return self._parts(True, size)

    def fingerprint(self) -> list[float]:
        first = as_batch(next(iter(self.source)))
        return [float(len(first[0])), *(float(t.double().sum()) for t in first)]
