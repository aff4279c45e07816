"""The shared idea: a simulated clock runs in blocks, incidents are dealt out to a rate.

A block is a fixed span of simulated time with its own random streams, so the rows depend on the
seed alone: not on how many are asked for, nor on how they are cut. What reaches past the end of a
block (a session, an attack) is carried into the next one.
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from itertools import count
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .incidents import Incidents, Kind, Schedule

Columns = dict[str, np.ndarray]
TYPES = ("", "point", "contextual", "collective")
#: Columns that tell the truth; drop them before fitting a detector.
LABELS = ("is_anomaly", "anomaly_type", "anomaly_kind", "incident_id")
_HOUR = 3600.0


def require(ok: bool, name: str, words: str, value: object) -> None:
    """Raise the ``ParameterError`` of the package unless ``ok``."""
    if not ok:
        # Imported here because awry.core brings scikit-learn, which generating data does not need.
        from awry.core.params import ParameterError

        raise ParameterError(f"generate: {name} must be {words}, got {value!r}")


def require_integer(name: str, value: object, low: int) -> None:
    """Raise unless ``value`` is an integer of at least ``low``."""
    ok = isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))
    require(ok and int(value) >= low, name, f"an integer >= {low}", value)  # type: ignore[call-overload]


def require_real(name: str, value: object, low: float, high: float, words: str) -> None:
    """Raise unless ``value`` is a number from ``low`` to ``high``."""
    ok = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    require(ok and low <= float(value) <= high, name, words, value)  # type: ignore[arg-type]


class Simulation(ABC):
    """A world that produces rows for ever.

    Parameters
    ----------
    seed : int >= 0
    anomaly_rate : float in [0, 0.5]
        Expected share of anomalous rows.
    kinds : list of str, dict of str to float, or None
        Kinds of anomaly to inject, each with its usual share of the anomalous rows, or with the
        share given; None means all.
    entities : int >= 1 or None
        Cards, workstations, machines or users.
    start : str or datetime
        Time of the first row, taken down to the full hour.
    """

    kinds: ClassVar[Mapping[str, Kind]]
    #: Output columns after the identifier and the time, with their types.
    columns: ClassVar[Mapping[str, str]]
    identifier: ClassVar[str]
    default_entities: ClassVar[int]
    #: Rows that a block is sized for.
    block_rows: ClassVar[int] = 32_768

    def __init__(
        self,
        seed: int = 0,
        anomaly_rate: float = 0.02,
        kinds: Any = None,
        entities: int | None = None,
        start: Any = "2024-01-01",
    ) -> None:
        require_integer("seed", seed, 0)
        require_real("anomaly_rate", anomaly_rate, 0, 0.5, "a number >= 0 and <= 0.5")
        if entities is not None:
            require_integer("entities", entities, 1)
        self.seed, self.anomaly_rate = int(seed), float(anomaly_rate)
        self.entities = self.default_entities if entities is None else int(entities)
        self.start = self._timestamp(start)
        #: Seconds past midnight at which the simulation starts.
        self.clock = self.start.hour * _HOUR
        shares = self._shares(kinds)
        self.share = {kind: share / sum(shares.values()) for kind, share in shares.items()}
        world = self.rng(0, 0)
        self._schedules = {kind: Schedule(self.kinds[kind].rows, world) for kind in self.kinds}
        self._incidents = 0
        words = self.build(world) | {"anomaly_type": list(TYPES), "anomaly_kind": ["", *self.kinds]}
        self._categories = {name: pd.CategoricalDtype(w) for name, w in words.items()}

    @staticmethod
    def _timestamp(start: Any) -> pd.Timestamp:
        stamp: Any = pd.to_datetime(start, errors="coerce") if isinstance(start, str) else start
        ok = isinstance(stamp, date) and not pd.isna(stamp)
        require(ok and pd.Timestamp(stamp).tz is None, "start", "a time without zone", start)
        return pd.Timestamp(stamp).floor("h")

    def _shares(self, kinds: Any) -> dict[str, float]:
        if kinds is None:
            kinds = list(self.kinds)
        known = f"a list (or a dict to shares > 0) of {', '.join(self.kinds)}"
        require(isinstance(kinds, Collection) and not isinstance(kinds, str), "kinds", known, kinds)
        ok = len(kinds) > 0 and all(isinstance(k, str) and k in self.kinds for k in kinds)
        require(ok, "kinds", known, kinds)
        given = isinstance(kinds, Mapping)
        shares = {k: kinds[k] if given else self.kinds[k].share for k in self.kinds if k in kinds}
        for share in shares.values():
            require_real("kinds", share, 1e-9, 1e9, known)
        return shares

    def rng(self, block: int, stream: int) -> np.random.Generator:
        """The random stream of a block; streams keep normal rows apart from each anomaly kind."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(block, stream)))

    def calendar(self, seconds: np.ndarray) -> pd.DatetimeIndex:
        """Dates of times on the simulation clock; microseconds reach beyond the year 2262."""
        micros = (seconds * 1e6).astype("timedelta64[us]")
        return pd.DatetimeIndex(np.datetime64(self.start, "us") + micros)

    @abstractmethod
    def build(self, rng: np.random.Generator) -> dict[str, list[str]]:
        """Draw the entities and their habits, once; the words that category columns index."""

    @abstractmethod
    def block(self, index: int) -> Columns:
        """Rows of a block in order of time, with ``time`` (seconds), ``kind`` and ``incident``."""

    def incidents(self, index: int, budget: float) -> Iterator[tuple[int, str, Incidents]]:
        """Incidents of each kind that fall due, with the kind's code; ``budget`` in rows."""
        for code, kind in enumerate(self.kinds, start=1):
            rng = self.rng(index, code)
            if kind in self.share:
                size = self._schedules[kind].sizes(rng, budget * self.share[kind])
                if len(size):
                    yield code, kind, Incidents(rng, size)

    def number(self, incidents: Incidents) -> np.ndarray:
        """Number of the incident that each row belongs to, counted from 1."""
        first = self._incidents + 1
        self._incidents += len(incidents.size)
        return np.asarray(first + incidents.which)

    def blocks(self) -> Iterator[pd.DataFrame]:
        """Frames of rows, one per block, for ever."""
        done = 0
        for index in count():
            rows = self.block(index)
            frame = self._frame(rows, done)
            done += len(frame)
            yield frame

    def _frame(self, rows: Columns, done: int) -> pd.DataFrame:
        n = len(rows["time"])
        data: dict[str, Any] = {
            self.identifier: np.arange(done, done + n),
            "timestamp": self.calendar(rows["time"]),
        }
        for name, kind in self.columns.items():
            data[name] = (
                self._category(name, rows[name])
                if kind == "category"
                else rows[name].astype(kind, copy=False)
            )
        types = np.array([0] + [TYPES.index(k.type) for k in self.kinds.values()], dtype=np.int8)
        data["is_anomaly"] = (rows["kind"] > 0).astype(np.int8)
        data["anomaly_type"] = self._category("anomaly_type", types[rows["kind"]])
        data["anomaly_kind"] = self._category("anomaly_kind", rows["kind"])
        data["incident_id"] = rows["incident"]
        return pd.DataFrame(data, copy=False)

    def _category(self, name: str, codes: np.ndarray) -> pd.Categorical:
        dtype = self._categories[name]
        return pd.Categorical.from_codes(codes, dtype=dtype, validate=False)


class EventSimulation(Simulation):
    """A world of events at irregular times; incidents add events of their own.

    A subclass says what normal life looks like in :meth:`normal` and has one method per kind,
    ``_kind(incidents, normal)``, which returns the rows of those incidents. Normal rows come from a
    random stream of their own: they are the same at every anomaly rate.
    """

    @property
    @abstractmethod
    def pace(self) -> float:
        """Mean normal rows per hour."""

    @abstractmethod
    def normal(self, rng: np.random.Generator, begin: float, hours: pd.DatetimeIndex) -> Columns:
        """Normal rows that start within ``hours``, the first at ``begin`` seconds."""

    _carried: Columns

    def block(self, index: int) -> Columns:
        hours = max(1, math.ceil(self.block_rows / self.pace))
        begin, end = index * hours * _HOUR, (index + 1) * hours * _HOUR
        calendar = self.calendar(begin + np.arange(hours) * _HOUR)
        rows = self.normal(self.rng(index, 0x100), begin, calendar)
        n = len(rows["time"])
        honest: Columns = {**rows, "kind": np.zeros(n, np.int8), "incident": np.zeros(n, np.int64)}
        parts = [honest] if index == 0 else [self._carried, honest]
        budget = n * self.anomaly_rate / (1 - self.anomaly_rate) if n else 0.0
        for code, kind, incidents in self.incidents(index, budget):
            added: Columns = getattr(self, f"_{kind}")(incidents, rows)
            added["kind"] = np.full(len(incidents.which), code, np.int8)
            added["incident"] = self.number(incidents)
            parts.append(added)
        merged = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        order = np.argsort(merged["time"], kind="stable")
        ready = int(np.searchsorted(merged["time"], end, sorter=order))
        self._carried = {name: values[order[ready:]] for name, values in merged.items()}
        return {name: values[order[:ready]] for name, values in merged.items()}


def hour_of_week(hours: pd.DatetimeIndex) -> np.ndarray:
    """0 for Monday 00:00 to 167 for Sunday 23:00."""
    return np.asarray(hours.day_of_week * 24 + hours.hour)
