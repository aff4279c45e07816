"""Rows scored, then learnt: by one detector, by one for each key, or by a model."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from awry.core.detector import Detector
from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import Online, own_copy
from awry.data.tables import as_table, flatten
from awry.judge import Judge
from awry.model import Model
from awry.stream.keys import KeyStore, Spill
from awry.stream.records import Record


class Scorer:
    """One detector for all: an online one learns each row after it is scored.

    Parameters
    ----------
    detector : Detector
        Fitted.
    """

    store: KeyStore | None = None

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def score(self, X: FloatArray, keys: Sequence[str] | None) -> FloatArray:
        """Scores (n,), NaN where there is none yet."""
        if not isinstance(self.detector, Online):
            return self.detector.decision_function(X)
        return self.detector._advance(self.detector.state_, X)


class KeyScorer(Scorer):
    """A detector for each key, which begins as ``detector`` is."""

    def __init__(self, detector: Detector, capacity: int, spill: Spill) -> None:
        super().__init__(detector)
        if not isinstance(detector, Online) or not detector.in_state:
            raise DataError(
                f"{detector.card.name} does not learn online in a state of fixed size",
                remedy="leave out --per-key",
            )
        self._first = detector.state_
        parts: dict[str, Any] = {}
        _collect(detector.state_, parts)
        self.store = KeyStore(parts, capacity, spill)

    def score(self, X: FloatArray, keys: Sequence[str] | None) -> FloatArray:
        assert self.store is not None
        assert keys is not None
        assert isinstance(self.detector, Online)
        slots = self.store.slots(keys)
        return self.detector._advance_each(self._states(self._first), slots, X)

    def _states(self, like: Any, path: str = "") -> Any:
        """The states of all slots in the form of one: its arrays are the store's own."""
        if isinstance(like, np.ndarray):
            assert self.store is not None
            return self.store.arrays[path]
        parts = [self._states(part, f"{path}.{i}") for i, part in enumerate(like)]
        return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)


class ModelScorer:
    """A fitted model: its columns, its scores, its severities. An online detector goes on learning.

    Parameters
    ----------
    model : Model
    detector : Online, optional
        The model's detector as it has become.
    """

    def __init__(self, model: Judge, detector: Detector | None = None) -> None:
        if not isinstance(model, Model):
            raise DataError(
                "the model judges series, not one event after the other",
                remedy="choose a model of rows",
            )
        self.model = model
        own = model.detector_
        self.learns = isinstance(own, Online) and not model.by
        if self.learns:
            # The registry's model is shared and stays as it is.
            self.detector = detector or _copied(own)
        self._names = [*(model.by or []), *model.encoder_.source_names_]
        if model.context_ is not None:
            self._names += [c for c in model.context_.columns if c not in self._names]

    def judge(self, records: Sequence[Record]) -> tuple[FloatArray, IntArray]:
        """Scores and severities of the records."""
        table = self._table(records)
        if self.learns:
            assert isinstance(self.detector, Online)
            X = self.model.encode(table)
            scores = self.detector.update(X)
            scores = scores + self.model.novelty_step_ * self.model._novelty(table).sum(axis=1)
        else:
            scores = self.model.score(table)
        return scores, self.model.severity(scores)

    def reasons(self, records: Sequence[Record], k: int) -> list[list[dict[str, Any]]]:
        """The ``k`` columns that pushed the score of each record up most, by what is learnt now."""
        model = self.model
        if self.learns:
            model = copy(model)
            model.detector_ = self.detector
        return [
            [asdict(reason) | {"share": float(reason.share)} for reason in row]
            for row in model.reasons(self._table(records), k)
        ]

    def _table(self, records: Sequence[Record]) -> pa.Table:
        flat = [flatten(record) for record in records]
        # A column that no record of a small batch has is there all the same, and empty.
        return as_table({name: [record.get(name) for record in flat] for name in self._names})


def _copied(detector: Any) -> Detector:
    other = copy(detector)
    other.state_ = own_copy(detector.state_)
    return other  # type: ignore[no-any-return]


def _collect(state: Any, parts: dict[str, Any], path: str = "") -> None:
    """The arrays of a state by their place in it."""
    if isinstance(state, np.ndarray):
        parts[path] = state
        return
    if not isinstance(state, tuple):
        raise DataError("the detector's state is not of fixed size", remedy="leave out --per-key")
    for i, part in enumerate(state):
        _collect(part, parts, f"{path}.{i}")
