"""What is asked of a request's rows, and what is answered, row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from awry.core.inputs import FloatArray
from awry.core.plain import plain
from awry.data.columns import ColumnProfile
from awry.data.parse import expectation
from awry.data.serve import Encoded, RowEncoder
from awry.data.tables import as_table, flatten, unique_names
from awry.data.wording import number
from awry.judge import Judge
from awry.model import Model
from awry.result import SEVERITIES, Result

#: The most notes of a row, and of a request: what is odd about all rows need not be said of each.
_ROW_NOTES, _NOTES = 20, 2_000
#: The most problems of the data told one by one.
_PROBLEMS = 20
_SEVERITIES = [None, *SEVERITIES[1:]]


class Ask(msgspec.Struct):
    """Rows, as columns, and how they are to be judged."""

    columns: dict[str, Sequence[Any]]
    rows: int
    numbers: FloatArray | None = None
    method: str = "auto"
    model: str | None = None
    version: int | None = None
    threshold: float | str | None = None
    explain: bool = False


class Problem(msgspec.Struct):
    """Why a row was not judged."""

    field: str
    reason: str
    remedy: str


class Note(msgspec.Struct):
    """What is odd about a row that was judged."""

    field: str
    note: str


class Why(msgspec.Struct):
    """One column's part in a score, as :class:`~awry.result.Reason`."""

    column: str
    value: str
    typical: str
    share: float | None


class Judged(msgspec.Struct, gc=False):
    """One row: judged, unless it has problems."""

    row: int
    score: float | None
    anomaly: bool | None
    severity: str | None
    reasons: list[Why] | UnsetType = UNSET
    problems: list[Problem] | UnsetType = UNSET
    notes: list[Note] | UnsetType = UNSET


class Answer(msgspec.Struct):
    """All that is answered to one request."""

    model: dict[str, Any] | None
    method: str
    rows: int
    flagged: int
    rejected: int
    degraded: bool
    threshold: float | None
    threshold_reason: str
    results: list[Judged]
    notes: list[str]
    problems: list[str]

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return dict(msgspec.to_builtins(self))


def columns_of(rows: Sequence[Mapping[str, Any]], *, flat: bool = False) -> dict[str, Any]:
    """``rows`` as columns, None where a row lacks one; nested objects are joined by dots.

    Examples
    --------
    >>> columns_of([{"a": 1, "b": {"c": 2}}, {"a": 3}])
    {'a': (1, 3), 'b.c': (2, None)}
    """
    if not flat:
        rows = [flatten(row) for row in rows]
    shapes = set(map(tuple, rows))
    if len(shapes) == 1:
        names: Iterable[str] = shapes.pop()
        columns: Iterable[Sequence[Any]] = zip(*(row.values() for row in rows), strict=True)
    else:
        names = tuple(dict.fromkeys(name for row in rows for name in row))
        columns = [tuple(row.get(name) for row in rows) for name in names]
    return dict(zip(_plain_names(tuple(names)), columns, strict=True))


@lru_cache(maxsize=1024)
def _plain_names(names: tuple[str, ...]) -> list[str]:
    return unique_names(names)


class Verdicts:
    """What is wrong with some rows, and odd about others.

    Parameters
    ----------
    encoder : RowEncoder
    columns : mapping
        The values of the rows.
    encoded : Encoded
        What became of them.

    Attributes
    ----------
    rejected : ndarray of shape (n,), bool
        Rows with a value that cannot be read as its column's kind, where training knew of none.
    """

    def __init__(
        self, encoder: RowEncoder, columns: Mapping[str, Sequence[Any]], encoded: Encoded
    ) -> None:
        self._encoder, self._columns, self._encoded = encoder, columns, encoded
        self._wrong = encoded.unfit
        if encoded.unfit.any():
            known = np.array([bool(p.stats["unfit"]) for p in encoder.profiles])
            self._wrong = encoded.unfit & ~known
        self.rejected: np.ndarray = np.asarray(self._wrong.any(axis=1))
        low, high = encoder.ranges
        self._outside = (encoded.numbers < low) | (encoded.numbers > high)
        self._odd = (encoded.novel.any(axis=1) | self._outside.any(axis=1)) & ~self.rejected

    def add_to(self, results: Sequence[Judged], first: int) -> None:
        """Put them into the ``results`` of the rows from ``first`` on."""
        part = slice(first, first + len(results))
        left = _NOTES
        for i in np.flatnonzero(self.rejected[part]).tolist():
            at = first + i
            results[i].problems = [
                Problem(p.name, f"{_shown(self._value(p.name, at))} {expected}", _remedy(p))
                for p in self._where(self._wrong[at])
                for expected in [expectation(p.reading or {"type": p.kind})]
            ]
        for i in np.flatnonzero(self._odd[part]).tolist():
            if left <= 0:
                break
            found = results[i].notes = self._notes(first + i)
            left -= len(found)

    def _notes(self, at: int) -> list[Note]:
        news = self._where(self._encoded.novel[at])[:_ROW_NOTES]
        row = {name: column[at] for name, column in self._columns.items()} if news else {}
        found = [Note(p.name, self._encoder.news(p.name, row)) for p in news]
        for j in np.flatnonzero(self._outside[at])[: _ROW_NOTES - len(found)].tolist():
            low, high = (number(float(end)) for end in self._encoder.ranges[:, j])
            found.append(
                Note(self._encoder.number_names[j], f"is outside {low} … {high}, seen in training")
            )
        return found

    def _where(self, marked: np.ndarray) -> list[ColumnProfile]:
        return [self._encoder.profiles[j] for j in np.flatnonzero(marked).tolist()]

    def _value(self, name: str, at: int) -> Any:
        return self._columns[name][at]


def judged_rows(judge: Judge, scores: FloatArray, rejected: np.ndarray) -> list[Judged]:
    """What is told of each row; of those that are rejected there is no score."""
    severity = judge.severity(scores)
    words = [_SEVERITIES[level] for level in severity.tolist()]
    flags = (severity > 0).tolist()
    results = list(map(Judged, range(len(scores)), scores.tolist(), flags, words))
    for i in np.flatnonzero(rejected).tolist():
        results[i] = Judged(i, None, None, None)
    return results


def add_reasons(judge: Model, ask: Ask, results: list[Judged]) -> None:
    """Say of each row that was judged why it scores as it does."""
    judged = [one.row for one in results if one.score is not None]
    if judged:
        table = as_table(ask.columns).take(judged)
        for i, reasons in zip(judged, judge.reasons(table), strict=True):
            results[i].reasons = [Why(**plain(vars(reason))) for reason in reasons]


def of_result(result: Result, model: dict[str, Any] | None, explain: bool) -> Answer:
    """The answer that a result of the library is."""
    results = judged_rows(result.model, result.scores, np.zeros(len(result), dtype=bool))
    for one, row in zip(results, result.rows, strict=True):
        one.row = int(row) - 1
    if explain:
        for one, reasons in zip(results, result.explain(np.arange(len(result))), strict=True):
            one.reasons = [Why(**plain(vars(reason))) for reason in reasons]
    problems = [str(p) for p in result.problems[:_PROBLEMS]]
    return make_answer(result.model, model, results, result.notes, problems=problems)


def make_answer(
    judge: Judge,
    model: dict[str, Any] | None,
    results: list[Judged],
    notes: list[str],
    *,
    problems: Sequence[str] = (),
    degraded: bool = False,
) -> Answer:
    """The answer with ``results``, and what is told of ``judge``."""
    return Answer(
        model=model,
        method=judge.detector_.card.name,
        rows=len(results),
        flagged=sum([one.anomaly is True for one in results]),
        rejected=sum([one.problems is not UNSET for one in results]),
        degraded=degraded,
        threshold=judge.threshold_ if math.isfinite(judge.threshold_) else None,
        threshold_reason=judge.rule_.reason_,
        results=results,
        notes=notes,
        problems=list(problems),
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _remedy(p: ColumnProfile) -> str:
    if p.kind in ("number", "time"):
        return f"give a {p.kind}, or null where there is none"
    if p.kind == "boolean":
        return (
            "give true or false" if p.reading is None else f"give {' or '.join(p.reading['words'])}"
        )
    return "give a value like those of training, or null where there is none"
