"""Why an event is an anomaly, as those who are told of it read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.data import wording
from awry.stream.plan import lookup
from awry.stream.records import Record

#: A reason: column, value, what is typical, share.
Why = dict[str, Any]
#: Reasons told of an anomaly.
MOST = 3
#: Events that pay for one explanation by a model, and explanations that can be saved up.
_COST, _SAVED = 25, 200


def of_deviations(
    record: Record, row: FloatArray, names: list[str], past: Mapping[str, str]
) -> list[Why]:
    """The columns that are farthest from usual in a row (d,) of standard deviations.

    Parameters
    ----------
    names : list of str
        The record's columns.
    past : mapping of str to str
        The columns that follow, of what its key did before, in words.
    """
    known = [*((name, None) for name in names), *past.items()]
    return [
        {
            "column": known[j][0],
            "value": known[j][1] or _words(lookup(record, known[j][0])),
            "typical": f"{row[j]:+.1f} standard deviations from usual",
            "share": float(abs(row[j]) / np.abs(row).sum()),
        }
        for j in np.argsort(-np.abs(row), kind="stable")[:MOST]
        if abs(row[j]) >= 1.0
    ]


def of_edge(record: Record, ends: list[str]) -> list[Why]:
    """Both ends of an edge that comes too often: which of them is to blame is not told apart."""
    typical = "the edge, or an end of it, comes less often"
    return [
        {"column": name, "value": _words(lookup(record, name)), "typical": typical, "share": 0.5}
        for name in ends
    ]


class Allowance:
    """Which anomalies a model explains, as that can take much longer than to score them.

    Two hundred at first, and one for each 25 events beside. It goes by the events alone, so that
    it does not depend on how they are cut.

    Parameters
    ----------
    left : int, optional
        What ``left`` was when the state was saved.
    """

    def __init__(self, left: int | None = None) -> None:
        self.left = _COST * _SAVED if left is None else left

    def choose(self, severity: IntArray) -> list[int]:
        """Places of the anomalies to explain among events that come next."""
        chosen, at = [], 0
        for i in np.flatnonzero(severity).tolist():
            self._earn(i + 1 - at)
            at = i + 1
            if self.left >= _COST:
                self.left -= _COST
                chosen.append(i)
        self._earn(len(severity) - at)
        return chosen

    def _earn(self, events: int) -> None:
        self.left = min(self.left + events, _COST * _SAVED)


def _words(value: Any) -> str:
    """What a record holds, as a reason tells it."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return wording.number(value)
    return "missing" if value is None else str(value)
