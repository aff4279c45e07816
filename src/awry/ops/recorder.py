"""Keeps what requests had judged, beside answering them: no request waits for the database."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from awry.core.errors import AwryError
from awry.data.tables import as_table
from awry.ops import extracts
from awry.ops.answers import Answer, Ask
from awry.ops.beside import Beside
from awry.ops.findings import Findings
from awry.ops.judgement import Found, Judgement
from awry.ops.models import Models
from awry.ops.settings import Settings
from awry.ops.store import AWAY
from awry.result import SEVERITIES, Reason

_log = logging.getLogger(__name__)

#: Rows that may wait to be written; of more, the newest are not kept.
_WAITING = 200_000
#: Seconds between writes, and by which flagged requests of one event may be apart.
_PAUSE, _GAP = 1.0, 60.0
#: Name of the requests that no model answered.
_THEMSELVES = "requests"
LEVELS = {name or None: level for level, name in enumerate(SEVERITIES)}


class _Heard(NamedTuple):
    number: int
    at: float
    seconds: float
    ask: Ask
    answer: Answer


class Recorder:
    """Takes answers and writes them once a second, those of one model together.

    Attributes
    ----------
    lost : int
        Rows that were not kept since the process began, because the database was too slow.
    """

    def __init__(self, findings: Findings, models: Models, settings: Settings) -> None:
        self._findings, self._models, self._settings = findings, models, settings
        #: Are told of each judgement, and the requests it is of, once it is kept.
        self.listeners: list[Callable[[Judgement, list[Any]], None]] = []
        #: Are told how many rows are lost, when some are.
        self.losses: list[Callable[[int], object]] = []
        self._heard: deque[_Heard] = deque()
        self._rows = self._requests = self.lost = 0
        self._lock = threading.Lock()
        self._beside = Beside("awry-recorder", _PAUSE, self.flush, at_once=False)
        self.start = self._beside.start

    def hear(self, ask: Ask, answer: Answer, seconds: float) -> None:
        """Take a request and its answer, which must not be changed any more."""
        with self._lock:
            if self._rows + answer.rows > _WAITING:
                self._lose(answer.rows)
                return
            self._rows += answer.rows
            self._requests += 1
            self._heard.append(_Heard(self._requests, time.time(), seconds, ask, answer))

    def close(self) -> None:
        """Write what is left, and stop."""
        self._beside.close()
        try:
            self.flush()
        except sa.exc.SQLAlchemyError as error:
            self._lose(self._rows)
            told = str(error).partition("\n")[0]
            _log.error("%d rows that requests had judged are not kept: %s", self._rows, told)

    def flush(self) -> None:
        """Write what was heard; what a database that is away did not take waits for its return."""
        with self._lock:
            heard, self._heard = list(self._heard), deque()
            self._rows = 0
        groups: dict[Any, list[_Heard]] = {}
        for one in heard:
            model = one.answer.model or {"name": None, "version": None}
            key = (model["name"], model["version"], one.answer.threshold)
            groups.setdefault(key, []).append(one)
        waiting = list(groups.items())
        while waiting:
            (name, version, threshold), members = waiting.pop(0)
            calm = self._settings.kept_calm_rows
            made = _judgement(members, name, version, threshold, calm)
            try:
                self._add_event(made, members)
                self._findings.record(made)
            except AWAY:
                self._take_back([*members, *(one for _, own in waiting for one in own)])
                raise
            self._pass_on(made, members)

    def _lose(self, rows: int) -> None:
        self.lost += rows
        for listener in self.losses:
            listener(rows)

    def _take_back(self, heard: list[_Heard]) -> None:
        with self._lock:
            self._heard.extendleft(reversed(heard))
            self._rows += sum(one.answer.rows for one in heard)

    def _pass_on(self, made: Judgement, heard: list[_Heard]) -> None:
        for listener in self.listeners:
            try:
                listener(made, heard)
            except Exception as error:  # what is kept stays kept, and the others are told
                told = str(error).partition("\n")[0]
                _log.error("requests could not be compared or sampled: %s", told)

    def _add_event(self, made: Judgement, heard: list[_Heard]) -> None:
        """All that is flagged at one time is one event; the highest score says why."""
        flagged = np.flatnonzero(made.severity)
        if not len(flagged):
            return
        assert made.at is not None
        peak = int(flagged[np.argmax(np.nan_to_num(made.scores[flagged], nan=-np.inf))])
        ends = np.cumsum([one.answer.rows for one in heard])
        request = int(np.searchsorted(ends, peak, "right"))
        ask, row = heard[request].ask, peak - int(ends[request] - heard[request].answer.rows)
        table = as_table({name: [values[row]] for name, values in ask.columns.items()})
        why = self._reasons(made, table)
        at = made.at[flagged]
        extract = extracts.of_rows(
            np.arange(float(len(made.scores))), made.scores, made.severity, peak, timed=False
        )
        made.events = [
            Found(
                int(flagged[0]), int(flagged[-1]), peak, float(made.scores[peak]),
                int(made.severity.max()), len(flagged), float(at.min()), float(at.max()),
                kind="row" if len(flagged) == 1 else "rows",
                words="; ".join(map(str, why)) or "unusual as a whole",
                item=made.items[peak], reasons=why,
                extract=extract | {"row": extracts.cells(table)[0]},
                features=[reason.column for reason in why],
            )
        ]  # fmt: skip

    def _reasons(self, made: Judgement, table: Any) -> list[Reason]:
        if made.model is None:
            return []
        try:
            judge: Any = self._models.load(made.model, made.version)[1]
            return list(judge.reasons(table, 5)[0]) if hasattr(judge, "reasons") else []
        except AwryError:  # such as a model of series, which one row is not enough for
            return []


class _Items(Sequence[str]):
    """Names of the rows of requests, made when asked for: of most rows nobody does."""

    def __init__(self, heard: Sequence[_Heard]) -> None:
        self._heard = heard
        self._ends = list(accumulate(len(one.answer.results) for one in heard))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, i: Any) -> Any:
        request = bisect_right(self._ends, i)
        one = self._heard[request]
        return f"{one.number}/{one.answer.results[i - self._ends[request]].row}"

    def __iter__(self) -> Iterator[str]:
        return (f"{one.number}/{row.row}" for one in self._heard for row in one.answer.results)


def _judgement(
    heard: list[_Heard], name: str | None, version: int | None, threshold: float | None, calm: int
) -> Judgement:
    """What ``heard`` was judged; of rows not flagged, ``calm`` are kept, and the others counted."""
    results = [row for one in heard for row in one.answer.results]
    scores = np.array([row.score for row in results], dtype=float)
    severity = np.array([LEVELS[row.severity] for row in results], dtype=np.int64)
    kept = severity > 0
    kept[np.flatnonzero(~kept)[:calm]] = True
    return Judgement(
        source=name or _THEMSELVES,
        origin="request",
        items=_Items(heard),
        scores=scores,
        severity=severity,
        at=np.repeat([one.at for one in heard], [len(one.answer.results) for one in heard]),
        model=name,
        version=version,
        threshold=threshold,
        gap=_GAP,
        seconds=float(np.mean([one.seconds for one in heard])),
        kept=kept,
    )
