"""Worlds that produce realistic, labelled rows: seeded, of any length, in batches or for ever.

>>> from awry.data.generate import generate
>>> frame = generate("network_traffic", n=10_000, seed=1)
>>> len(frame), sorted(set(frame["anomaly_type"]))
(10000, ['', 'collective', 'contextual', 'point'])
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypedDict, Unpack

import pandas as pd

from .financial_transactions import FinancialTransactions
from .incidents import Kind
from .iot_sensors import IotSensors
from .network_traffic import NetworkTraffic
from .simulation import LABELS, Simulation, require, require_integer, require_real
from .user_behavior import UserBehavior

__all__ = ["LABELS", "NAMES", "Kind", "Options", "generate", "generate_batches", "kinds", "stream"]

_WORLDS: dict[str, type[Simulation]] = {
    "financial_transactions": FinancialTransactions,
    "network_traffic": NetworkTraffic,
    "iot_sensors": IotSensors,
    "user_behavior": UserBehavior,
}
#: Names of the generators.
NAMES = tuple(_WORLDS)
#: A consumer that falls behind by more than this (seconds) gets the set rate again, not a burst.
_PATIENCE = 1.0


class Options(TypedDict, total=False):
    """What every generator takes beside its name and seed.

    ``anomaly_rate``: expected share of anomalous rows, 0 to 0.5 (default 0.02).
    ``kinds``: the kinds to inject, a list, or a dict of kind to share of the anomalous rows;
    None: all.
    ``entities``: how many cards, workstations, machines or users; None: the generator's own.
    ``start``: time of the first row, taken down to the full hour (default 2024-01-01).
    """

    anomaly_rate: float
    kinds: Iterable[str] | Mapping[str, float] | None
    entities: int | None
    start: Any


def _world(name: str) -> type[Simulation]:
    require(isinstance(name, str) and name in _WORLDS, "name", f"one of {', '.join(NAMES)}", name)
    return _WORLDS[name]


def kinds(name: str) -> dict[str, Kind]:
    """The kinds of anomaly of a generator: type, rows of an incident, share of anomalous rows."""
    return dict(_world(name).kinds)


def generate(name: str, n: int = 10_000, seed: int = 0, **options: Unpack[Options]) -> pd.DataFrame:
    """The first ``n`` rows of a world.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`.
    n : int >= 1
        Rows.
    seed : int >= 0
        The same seed gives the same rows, whatever ``n`` is and however they are cut.
    **options
        See :class:`Options`: ``anomaly_rate``, ``kinds``, ``entities``, ``start``.

    Returns
    -------
    pandas.DataFrame
        In order of time; ends with the columns :data:`LABELS`.

    Raises
    ------
    awry.core.params.ParameterError
        A ``ValueError`` that names the parameter, what must hold and what was given.
    """
    require_integer("n", n, 1)
    return next(generate_batches(name, n, batch_size=n, seed=seed, **options))


def generate_batches(
    name: str, n: int | None, batch_size: int = 65_536, seed: int = 0, **options: Unpack[Options]
) -> Iterator[pd.DataFrame]:
    """The rows of :func:`generate` in frames of ``batch_size``, the last one shorter.

    Memory holds a batch and a block at a time. ``n=None`` never ends.
    """
    if n is not None:
        require_integer("n", n, 1)
    require_integer("batch_size", batch_size, 1)
    world = _world(name)
    known = ", ".join(Options.__annotations__)
    for option in options:
        require(option in Options.__annotations__, "an option", f"one of {known}", option)
    return _cut(world(seed=seed, **options), n, batch_size)


def _cut(world: Simulation, n: int | None, batch_size: int) -> Iterator[pd.DataFrame]:
    held: list[pd.DataFrame] = []
    have = given = 0
    for block in world.blocks():
        held.append(block)
        have += len(block)
        while have and (have >= batch_size or (n is not None and have >= n - given)):
            rows = held[0] if len(held) == 1 else pd.concat(held, ignore_index=True)
            size = batch_size if n is None else min(batch_size, n - given)
            yield rows.iloc[:size].reset_index(drop=True)
            given += size
            if given == n:
                return
            held, have = [rows.iloc[size:]], have - size


def stream(
    name: str,
    rate: float | None = None,
    seed: int = 0,
    batch: int | None = None,
    **options: Unpack[Options],
) -> Iterator[Any]:
    """The rows of :func:`generate` one after the other, for ever.

    Parameters
    ----------
    rate : float > 0 or None
        Rows per second of wall time, kept by sleeping; None: as fast as they are taken.
    batch : int >= 1 or None
        None gives one dict per row; a number gives frames of that many rows.
    name, seed, **options
        As for :func:`generate`.

    Yields
    ------
    dict or pandas.DataFrame
        Closing the iterator, or Ctrl-C in its sleep, ends it; there is nothing to clean up.
    """
    if rate is not None:
        require_real("rate", rate, 1e-9, 1e12, "a number > 0 or None")
    if batch is not None:
        require_integer("batch", batch, 1)
    frames = generate_batches(name, None, batch_size=batch or 1024, seed=seed, **options)
    items: Iterator[Any] = frames
    if batch is None:
        items = (row for frame in frames for row in frame.to_dict("records"))
    return items if rate is None else _paced(items, (batch or 1) / rate)


def _paced(items: Iterator[Any], gap: float) -> Iterator[Any]:
    due = time.monotonic()
    for item in items:
        late = time.monotonic() - due
        if late < 0:
            time.sleep(-late)
        elif late > _PATIENCE:
            due += late
        yield item
        due += gap
