"""What was judged together, made ready to be kept: its scores, and events with their reasons."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from awry.core.events import Event, find_events
from awry.core.incidents import Incident, find_incidents
from awry.core.inputs import FloatArray, IntArray
from awry.ops import extracts
from awry.result import Reason, Result
from awry.series_result import EVENT_GAP, SeriesResult

#: Events kept of one judgement, the gravest; flagged items beyond them are kept as scores alone.
MAX_EVENTS = 1_000
#: Reasons kept of an event.
_REASONS = 5

#: Gives the rows of a table by their places in the judgement.
Fetch = Callable[[IntArray], pa.Table]


@dataclass
class Found(Event):
    """An event that can be kept.

    Attributes
    ----------
    kind : str
        What it looks like, such as ``"spike"``; ``"row"`` or ``"rows"`` of a table.
    words : str
        What happened, in one line.
    item : str
        The item with the highest score.
    reasons : list of Reason
        Of that item.
    extract : dict
        Of the data around it, see :mod:`awry.ops.extracts`.
    features : list of str
        The columns that show it.
    """

    kind: str = "row"
    words: str = ""
    item: str = ""
    reasons: list[Reason] = field(default_factory=list)
    extract: dict[str, Any] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)


@dataclass
class Judgement:
    """Items that were judged together.

    Attributes
    ----------
    source : str
        The data set, the stream, or the model that was asked.
    origin : {"request", "job", "stream"}
    items : sequence of str
        What each of the n items is called: a row's number, or ``topic/partition/offset``.
    scores : ndarray of shape (n,)
    severity : ndarray of shape (n,)
        0 not flagged, 1 warning, 2 critical, 3 emergency.
    at : ndarray of shape (n,), optional
        Seconds since 1970; the time of judging where it is not known.
    model, version : optional
        What judged them; none where they were judged by themselves.
    events : list of Found
    incidents : list of Incident
        Of these events.
    gap : float, optional
        Seconds by which an event of the same series, and an incident of the same source, that
        another judgement ended with may lie back to be the same; judgements that are whole by
        themselves have none.
    role : {"champion", "challenger"}
    seconds : float, optional
        That judging took; of a request, where these are many.
    kept : ndarray of shape (n,), optional
        Whether each score is kept by itself, and not only counted in its hour; all by default.
    """

    source: str
    origin: str
    items: Sequence[str]
    scores: FloatArray
    severity: IntArray
    at: FloatArray | None = None
    model: str | None = None
    version: int | None = None
    threshold: float | None = None
    events: list[Found] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    gap: float | None = None
    role: str = "champion"
    seconds: float | None = None
    job: str | None = None
    judged: float = field(default_factory=time.time)
    kept: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.items) == len(self.scores) == len(self.severity):
            raise ValueError("a judgement needs an item, a score and a severity for each")
        known = np.full(len(self.scores), np.nan) if self.at is None else self.at
        self.at = np.where(np.isfinite(known), known, self.judged)


class Gathering:
    """Puts a judgement together from results that come batch after batch.

    Events are found among all of them, so that none ends where a batch does.

    Parameters
    ----------
    fetch : callable, optional
        Gives rows again, for the reasons of events; by default those of a single result.
    """

    def __init__(self, fetch: Fetch | None = None) -> None:
        self.fetch = fetch
        self._parts: list[tuple[Any, ...]] = []
        self._last: Result | None = None

    def add(self, result: Result) -> Result:
        """Take the next result, and give it back."""
        self._parts.append((result.rows, result.scores, result.severity, result.times, result.keys))
        self._last = result
        return result

    def judgement(self, **about: Any) -> Judgement:
        """The judgement of all that was added; ``about`` says whose, see :class:`Judgement`."""
        result = self._last
        assert result is not None
        if self.fetch is None:
            table = result.table
            self.fetch = table.take
        columns: Any = [
            None if column[0] is None else np.concatenate(column)
            for column in zip(*self._parts, strict=True)
        ]
        rows, scores, severity, times, keys = columns
        made = Judgement(
            items=Numbers(rows), scores=scores, severity=severity, at=times,
            threshold=result.threshold, **about,
        )  # fmt: skip
        if isinstance(result, SeriesResult):
            made.events = _of_series(result)
            steps = np.array([finding.step for finding in result.findings])
        else:
            found = find_events(severity, scores, times, keys)
            made.events = self._of_rows(made, _gravest(found), times is not None)
            # Rows without a time are all of one moment.
            known = times[np.isfinite(times)] if times is not None else np.empty(0)
            steps = np.diff(np.sort(known))
        tolerance = EVENT_GAP * float(np.median(steps)) if len(steps) else 0.0
        made.incidents = find_incidents(made.events, tolerance)
        return made

    def _of_rows(self, made: Judgement, found: list[Event], timed: bool) -> list[Found]:
        assert made.at is not None
        assert self.fetch is not None
        assert self._last is not None
        if not found:
            return []
        peaks = np.array([event.peak for event in found])
        table = self.fetch(peaks)
        reasons, cells = self._last.model.reasons(table, _REASONS), extracts.cells(table)
        order = np.argsort(made.at, kind="stable") if timed else np.arange(len(made.scores))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        position = made.at[order] if timed else np.asarray(made.items)[order]
        scores, severity = made.scores[order], made.severity[order]
        kept = []
        for event, why, row in zip(found, reasons, cells, strict=True):
            extract = extracts.of_rows(
                position, scores, severity, int(place[event.peak]), timed=timed
            )
            own = vars(event)
            if not timed:  # it happened when it was judged
                own |= {"start": made.judged, "end": made.judged}
            kept.append(
                Found(
                    **own,
                    kind="row" if event.size == 1 else "rows",
                    words="; ".join(map(str, why)) or "unusual as a whole",
                    item=made.items[event.peak],
                    reasons=why,
                    extract=extract | {"row": row},
                    features=[reason.column for reason in why],
                )
            )
        return kept


class Numbers(Sequence[str]):
    """Numbers of rows as text, made when asked for."""

    def __init__(self, numbers: IntArray) -> None:
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, i: Any) -> Any:
        return str(self._numbers[i])

    def __iter__(self) -> Iterator[str]:
        return map(str, self._numbers.tolist())

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self._numbers, dtype)


def _gravest(events: list[Any]) -> list[Any]:
    ranked = sorted(events, key=lambda e: (-e.severity, -e.score, e.first))[:MAX_EVENTS]
    return sorted(ranked, key=lambda e: e.first)


def _of_series(result: SeriesResult) -> list[Found]:
    pairs = [(finding, event) for finding in result.findings for event in finding.events]
    kept = _gravest([event for _, event in pairs])
    chosen = {id(event) for event in kept}
    found = []
    for finding, event in pairs:
        if id(event) not in chosen:
            continue
        own = {k: v for k, v in vars(event).items() if k != "channels"}
        why = finding.reasons(event.peak, _REASONS)
        found.append(
            Found(
                **own,
                item=str(finding.times[event.peak]),
                reasons=why,
                extract=extracts.of_series(finding, event),
                features=list(dict.fromkeys([*event.channels, *(r.column for r in why)])),
            )
        )
    return found
