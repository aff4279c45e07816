"""One record of fixed size for each key, the latest in memory and the others put away."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from awry.core.errors import ModelError
from awry.core.inputs import IntArray

#: Records written down in one go.
_AT_ONCE = 500


class Spill(Protocol):
    """Where records are that are not in memory."""

    def load(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """The records of those of ``keys`` that were put away."""

    def save(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Put records away, in the place of older ones."""


class TemporarySpill:
    """Records in a database file of this process, gone with it."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._file.execute("PRAGMA synchronous=OFF")
        self._file.execute("CREATE TABLE r (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID")

    def load(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for at in range(0, len(keys), 500):
            some = keys[at : at + 500]
            marks = ",".join("?" * len(some))
            found.update(self._file.execute(f"SELECT k, v FROM r WHERE k IN ({marks})", some))  # noqa: S608
        return found

    def save(self, records: Iterable[tuple[str, bytes]]) -> None:
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR REPLACE INTO r VALUES (?, ?)", records)
        self._file.execute("COMMIT")


class KeyStore:
    """Records of keys in arrays (slots, …), which are changed in place.

    Keys asked for since the last ``settle`` stay in memory, since what was put away of them is old;
    of the others the least recently used make room. So ``settle`` is due once ``crowded``.

    Parameters
    ----------
    start : dict of ndarray
        The record of a key never seen: an array for each part.
    capacity : int
        Keys in memory.
    spill : Spill
    """

    def __init__(self, start: dict[str, NDArray[Any]], capacity: int, spill: Spill) -> None:
        self._start, self._capacity, self._spill = start, capacity, spill
        self._size = sum(part.nbytes for part in start.values())
        self.arrays = {name: self._room(part, 64) for name, part in start.items()}
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._free: list[int] = list(range(63, -1, -1))
        self._dirty: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def crowded(self) -> bool:
        return 2 * len(self._dirty) > self._capacity

    def slots(self, keys: Sequence[str]) -> IntArray:
        """Where the record of each key is, shape (n,), until the next call."""
        slots, dirty = self._slots, self._dirty
        # By their last use, the latest at the end.
        distinct = list(dict.fromkeys(reversed(keys)))[::-1]
        missing = []
        for key in distinct:
            if key in slots:
                slots.move_to_end(key)
                dirty[key] = slots[key]
            else:
                missing.append(key)
        if missing:
            away = self._spill.load(missing)
            for key in missing:
                slots[key] = dirty[key] = self._take()
            self._read(missing, away)
        return np.fromiter(map(slots.__getitem__, keys), dtype=np.int64, count=len(keys))

    def changed(self) -> Iterator[tuple[str, bytes]]:
        """The records asked for since the last ``settle``, to be put away by the caller."""
        names, slots = list(self._dirty), list(self._dirty.values())
        for at in range(0, len(names), _AT_ONCE):
            some = slots[at : at + _AT_ONCE]
            parts = [
                part[some].reshape(len(some), self._start[name].size).view(np.uint8)
                for name, part in self.arrays.items()
            ]
            records = map(bytes, np.hstack(parts))
            yield from zip(names[at : at + _AT_ONCE], records, strict=True)

    def settle(self) -> None:
        """What ``changed`` gave has been put away."""
        self._dirty.clear()

    def put_away(self) -> None:
        """Put them away here and now."""
        self._spill.save(self.changed())
        self.settle()

    def _take(self) -> int:
        if len(self._slots) >= self._capacity:
            oldest = next(iter(self._slots))
            if oldest not in self._dirty:
                return self._slots.pop(oldest)
        if not self._free:
            size = len(next(iter(self.arrays.values())))
            for name, part in self.arrays.items():
                self.arrays[name] = np.concatenate([part, self._room(self._start[name], size)])
            self._free = list(range(2 * size - 1, size - 1, -1))
        return self._free.pop()

    def _read(self, keys: Sequence[str], away: Mapping[str, bytes]) -> None:
        """Fill the slots of keys that come to memory."""
        records = [away[key] for key in keys if key in away]
        if any(len(record) != self._size for record in records):
            raise ModelError(f"a key's record must have {self._size} bytes")
        rows = np.frombuffer(b"".join(records), np.uint8).reshape(len(records), self._size)
        known = [self._slots[key] for key in keys if key in away]
        fresh = [self._slots[key] for key in keys if key not in away]
        at = 0
        for name, part in self.arrays.items():
            first = self._start[name]
            part[fresh] = first
            values = np.ascontiguousarray(rows[:, at : at + first.nbytes]).view(first.dtype)
            part[known] = values.reshape(len(known), *first.shape)
            at += first.nbytes

    @staticmethod
    def _room(start: NDArray[Any], slots: int) -> NDArray[Any]:
        return np.empty((slots, *start.shape), dtype=start.dtype)
