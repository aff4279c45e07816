"""Why an event is an anomaly, as those who are told of it read it."""

from __future__ import annotations

from typing import Any

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.data import wording
from awry.stream.features import NAMES, in_words
from awry.stream.fields import Fields
from awry.stream.plan import lookup
from awry.stream.records import Record

#: A reason: column, value, what is typical, share.
Why = dict[str, Any]
#: Reasons told of an anomaly.
MOST = 3
#: Events that pay for one explanation by a model, and explanations that can be saved up.
_COST, _SAVED = 25, 200


def of_deviations(record: Record, row: FloatArray, i: int, fields: Fields) -> list[Why]:
    """The columns that are farthest from usual in a row (d,) of standard deviations.

    Parameters
    ----------
    i : int
        Place of the record among those that ``fields`` scaled last.
    """
    values, usual = (part[i] for part in fields.last)
    numbers, known = len(fields.numbers_), fields.columns()
    found = []
    for j in np.argsort(-np.abs(row), kind="stable")[:MOST].tolist():
        if abs(row[j]) < 1.0:
            break
        away = f"this is {row[j]:+.1f} standard deviations away"
        if j < len(known):
            name, value = known[j], _words(lookup(record, known[j]))
            typical = f"{wording.number(float(usual[j]))}, {away}"
        else:
            past = j - len(known)
            name, value = NAMES[past], in_words(past, float(values[j]))
            typical = f"{in_words(past, float(usual[j]))}, {away}"
        if numbers <= j < len(known):
            often, rare = (f"{2.0**x:,.0f}" for x in (usual[j], values[j]))
            typical = f"texts that 1 of {often} events has, this has 1 of {rare}"
        share = float(abs(row[j]) / np.abs(row).sum())
        found.append({"column": name, "value": value, "typical": typical, "share": share})
    return found


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
