"""Records as edges: who, with whom, and when, in whole numbers that nothing scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from awry.core.errors import DataError
from awry.core.inputs import FloatArray
from awry.core.params import Configurable, instance, listing
from awry.stream.plan import lookup, seconds
from awry.stream.records import Record

#: Whole numbers up to here are exact in floating point.
_EXACT = 2**53


class Edges(Configurable):
    """Each record as a row (3,) of source, target and tick, as MIDAS takes them.

    - An end that is a whole number is that number. Any other value, text that reads as a number
      included, is the first 53 bits of its BLAKE2b hash: the same in every run and on every
      machine. All that is missing is one end of its own.
    - A tick is a second of the time as ``time`` reads it, so that small whole numbers are ticks as
      they are. A time that cannot be read is that of the edge before.

    Parameters
    ----------
    names : list of str
        Fields of source, target and time.
    """

    constraints = {"names": listing(instance(str))}

    #: Columns of a row.
    width = 3

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def fit(self, records: Sequence[Record], extra: FloatArray | None = None) -> FloatArray:
        """Look whether the first records are edges; their rows (n, 3)."""
        self.check_params()
        for name in self.names:
            if all(lookup(record, name) is None for record in records):
                raise DataError(
                    f"none of the first {len(records):,} events has the field {name!r}",
                    remedy="name source, target and time with --fields",
                )
        times = (seconds(lookup(record, self.names[2])) for record in records)
        self.last_ = next((_tick(at) for at in times if math.isfinite(at)), 0.0)
        return self.transform(records)

    def transform(self, records: Sequence[Record], extra: FloatArray | None = None) -> FloatArray:
        """The rows of the records that come next."""
        source, target, time = self.names
        X = np.empty((len(records), self.width))
        for i, record in enumerate(records):
            at = seconds(lookup(record, time))
            if math.isfinite(at):
                self.last_ = _tick(at)
            X[i] = _end(lookup(record, source)), _end(lookup(record, target)), self.last_
        return X


def _tick(at: float) -> float:
    return float(math.floor(min(max(at, -_EXACT), _EXACT)))


def _end(value: Any) -> int:
    """The number of a source or a target."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if abs(value) <= _EXACT and value == math.floor(value):
            return int(value)
        value = str(value) if value == value else None
    return _hashed("" if value is None else str(value))


@lru_cache(maxsize=65_536)
def _hashed(text: str) -> int:
    whole = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(whole) >> 11
