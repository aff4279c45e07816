"""Incidents: which kinds of anomaly there are, when one is due, and its rows laid out flat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Kind(NamedTuple):
    """A named kind of anomaly: its type, the rows of one incident, its share of anomalous rows."""

    type: str
    rows: tuple[int, int]
    share: float = 1.0


class Schedule:
    """Deals out incidents of one kind so that their rows keep to a budget in the long run.

    Credit starts at a random phase, which makes the expected number of anomalous rows right from
    the first row on and not only after the first incident.
    """

    def __init__(self, rows: tuple[int, int], rng: np.random.Generator) -> None:
        self._rows = rows
        self._next = self._draw(rng)
        self._credit = self._next * rng.random()

    def _draw(self, rng: np.random.Generator) -> int:
        return int(rng.integers(self._rows[0], self._rows[1] + 1))

    def sizes(self, rng: np.random.Generator, budget: float) -> np.ndarray:
        """Rows of each incident that falls due after ``budget`` more rows of this kind."""
        self._credit += budget
        sizes = []
        while self._credit >= self._next:
            sizes.append(self._next)
            self._credit -= self._next
            self._next = self._draw(rng)
        return np.array(sizes, dtype=np.intp)


@dataclass
class Incidents:
    """Incidents of one kind in one block, flat: ``which[i]`` is the incident of row ``i``."""

    rng: np.random.Generator
    size: np.ndarray
    which: np.ndarray = field(init=False)
    step: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.which = np.repeat(np.arange(len(self.size)), self.size)
        self.step = np.arange(len(self.which)) - (np.cumsum(self.size) - self.size)[self.which]

    def uniform(self, low: float, high: float) -> np.ndarray:
        """One number per incident, repeated over its rows."""
        return self.rng.uniform(low, high, len(self.size)).take(self.which)

    def pick(self, among: np.ndarray) -> np.ndarray:
        """One of ``among`` per incident."""
        return among.take(self.rng.integers(len(among), size=len(self.size)))

    def victims(self, odd_for: np.ndarray) -> np.ndarray:
        """One normal row per incident, spread evenly over those for which it would be odd.

        ``odd_for`` flags the normal rows, in order of time; where it flags none, any will do.
        """
        fit = np.flatnonzero(odd_for) if odd_for.any() else np.arange(len(odd_for))
        m = len(self.size)
        return fit.take(((np.arange(m) + self.rng.random(m)) / m * len(fit)).astype(np.intp))

    def times(self, normal: np.ndarray) -> np.ndarray:
        """Beginning of each incident, at the time of a normal row, repeated over its rows."""
        return np.asarray(normal[self.victims(np.ones(len(normal), dtype=bool))][self.which])

    def elapsed(self, gaps: np.ndarray) -> np.ndarray:
        """Time since the incident's first row, given the gap before each row (first ignored)."""
        total = np.cumsum(np.where(self.step == 0, 0.0, gaps))
        return np.asarray(total - total[np.arange(len(total)) - self.step])
