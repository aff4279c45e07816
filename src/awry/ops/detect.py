"""Judging the rows of one request: by a model where there is one, else by themselves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from awry import run
from awry.core import registry
from awry.core.plain import plain
from awry.data.tables import as_table
from awry.judge import Judge
from awry.ops.blame import unfit
from awry.ops.errors import BusyError, TooLargeError, UnfitError
from awry.ops.models import Models
from awry.ops.settings import Settings
from awry.result import SEVERITIES, Result
from awry.series_model import SeriesModel

#: Seconds a request waits for its turn.
_PATIENCE = 2.0
#: The most problems of the data told one by one.
_PROBLEMS = 20


class Judging:
    """Answers requests with rows in them, so many at a time."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self._models, self._settings = models, settings
        self._turns = threading.BoundedSemaphore(settings.max_detections)

    def detect(
        self,
        rows: list[dict[str, Any]],
        *,
        method: str = "auto",
        model: str | None = None,
        version: int | None = None,
        threshold: float | str | None = None,
        explain: bool = False,
    ) -> dict[str, Any]:
        """Score ``rows``, decide, and say why.

        Parameters
        ----------
        rows : list of dict
        method : str
            Name of a detector; answered by the champion of the model of this method for these
            columns, or, where there is none, by fitting to the rows, if they are enough.
        model, version
            The model that is to answer; its champion by default.
        threshold : float or str, optional
            Another rule on the model's scores.
        explain : bool
            Whether rows come with reasons.
        """
        self._check_size(rows)
        with self._turn(), unfit("data"):
            registry.get(method)
            table = as_table(rows)
            name = model or self._models.find(method, table.column_names)
            if name is not None:
                number, judge = self._models.load(name, version)
                judge = _decide_by(judge, threshold)
                result = judge.judge(table, source="data")
                return _answer(result, {"name": name, "version": number}, explain)
            if len(rows) < self._settings.min_fit_rows:
                columns = ", ".join(table.column_names[:10])
                raise UnfitError(
                    f"there is no model of {method} for the columns {columns}, and {len(rows)} "
                    "row(s) are too few to judge by themselves",
                    field="data",
                    remedy="train a model with POST /models, or give at least "
                    f"{self._settings.min_fit_rows} rows",
                )
            result = run.detect(table, detector=method, threshold=threshold, as_="table")
            return _answer(result, None, explain)

    def _check_size(self, rows: list[dict[str, Any]]) -> None:
        limits = self._settings
        if not rows:
            raise UnfitError("holds no rows", field="data", remedy="give at least one")
        if len(rows) > limits.max_rows:
            raise TooLargeError(
                f"holds {len(rows):,} rows, {limits.max_rows:,} are allowed",
                field="data",
                remedy="upload it with POST /datasets and use POST /detect/batch",
            )
        names: set[str] = set()
        for row in rows:
            names.update(row)
            if len(names) > limits.max_columns:
                raise TooLargeError(
                    f"holds more than {limits.max_columns:,} columns", field="data",
                    remedy="leave some out",
                )  # fmt: skip

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_PATIENCE):
            raise BusyError("too many requests are being judged", remedy="try again in a moment")
        try:
            yield
        finally:
            self._turns.release()


def _decide_by(judge: Judge, threshold: float | str | None) -> Judge:
    if threshold is None:
        return judge
    if isinstance(judge, SeriesModel):
        raise UnfitError(
            "a model of series keeps the threshold it was trained with",
            field="threshold",
            remedy="leave it out, or train a model with it",
        )
    return judge.with_threshold(threshold)


def _answer(result: Result, model: dict[str, Any] | None, explain: bool) -> dict[str, Any]:
    reasons: list[Any] = result.explain(np.arange(len(result))) if explain else []
    rows = [
        {
            "row": int(result.rows[i]) - 1,
            "score": float(result.scores[i]),
            "anomaly": bool(result.severity[i] > 0),
            "severity": SEVERITIES[result.severity[i]] or None,
            **({"reasons": [vars(reason) for reason in reasons[i]]} if explain else {}),
        }
        for i in range(len(result))
    ]
    answer = {
        "model": model,
        "method": result.model.detector_.card.name,
        "rows": len(rows),
        "flagged": int(result.labels.sum()),
        "threshold": result.threshold,
        "threshold_reason": result.model.rule_.reason_,
        "results": rows,
        "notes": result.notes,
        "problems": [str(p) for p in result.problems[:_PROBLEMS]],
    }
    return dict(plain(answer))
