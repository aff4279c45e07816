"""What comes out of series: findings per series, events in words, incidents across series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from awry.core.events import Event, EventBuilder
from awry.core.incidents import Incident, find_incidents
from awry.core.inputs import FloatArray, IntArray
from awry.core.series import Series
from awry.data.event_kinds import Describer
from awry.data.expected import expectation
from awry.data.series import SeriesSet
from awry.data.wording import number
from awry.result import SEVERITIES, Reason, Result

if TYPE_CHECKING:
    import pyarrow as pa

    from awry.report.charts import Picture
    from awry.series_model import SeriesModel

#: Flagged points no further apart than this are one event.
EVENT_GAP = 3.0
#: Of more series than this only those with events are told.
MAX_TOLD = 200


@dataclass
class SeriesEvent(Event):
    """Flagged points of one series that belong together; ``first``, ``last`` and ``peak`` are
    points of its grid, ``start`` and ``end`` seconds since 1970, ``key`` the series' name.

    Attributes
    ----------
    kind : str
        What it looks like: ``"spike"``, ``"dip"``, ``"level shift"`` and so on.
    channels : list of str
        The channels that show it, the strongest first.
    words : str
        What happened, as a sentence.
    """

    kind: str = "odd"
    channels: list[str] = field(default_factory=list)
    words: str = ""


@dataclass
class Finding:
    """What was found in one series.

    Attributes
    ----------
    key : str
        Its name.
    channels : list of str
        Names of the d channels.
    times : datetime64[us] ndarray of shape (T,)
    values, expected, low, high : ndarray of shape (T, d)
        What was observed (NaN in gaps), what was to be expected, and the band around it.
    scores : ndarray of shape (T,)
        -log10 of the share of the series' normal points that score as high.
    severity : ndarray of shape (T,)
        0 not flagged, 1 warning, 2 critical, 3 emergency.
    threshold : float
    periods : list of int
        In points, the shortest first.
    trend : float
        Of the first channel, per day.
    step : float
        Seconds between points.
    events : list of SeriesEvent
    event_at : ndarray of shape (T,)
        The event each flagged point belongs to, else -1.
    notes : list of str
    choice : str or None
        Why the detector was chosen.
    """

    key: str
    channels: list[str]
    times: NDArray[np.datetime64]
    values: FloatArray
    expected: FloatArray
    low: FloatArray
    high: FloatArray
    scores: FloatArray
    severity: IntArray
    threshold: float
    periods: list[int]
    trend: float
    step: float
    events: list[SeriesEvent] = field(default_factory=list)
    event_at: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    notes: list[str] = field(default_factory=list)
    choice: str | None = None

    def reasons(self, point: int, k: int) -> list[Reason]:
        """The channels furthest off what was expected at ``point``, as far as they are."""
        x, expected = self.values[point], self.expected[point]
        half = np.where(x > expected, self.high[point] - expected, expected - self.low[point])
        off = np.nan_to_num(np.abs(x - expected) / np.where(half > 0, half, np.inf))
        total = float(off.sum())
        return [
            Reason(
                self.channels[j],
                number(float(x[j])),
                f"{number(float(self.low[point, j]))} … {number(float(self.high[point, j]))}",
                float(off[j]) / total,
            )
            for j in np.argsort(-off, kind="stable")[:k]
            if off[j] > 0
        ]


@dataclass
class SeriesResult(Result):
    """Scores and decisions for the rows of a table of series.

    Attributes
    ----------
    findings : list of Finding
        One for each series; of more than 200, those that have events.
    incidents : list of Incident
        Events of many series that belong together, the gravest first.
    series : SeriesSet
        The series, as read.
    """

    model: SeriesModel  # type: ignore[assignment]
    findings: list[Finding] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    series: SeriesSet | None = None

    def finding(self, key: str | None = None) -> Finding:
        """What was found in the series ``key``; by default the one with the gravest event."""
        if key is None and self.findings:
            return max(self.findings, key=lambda f: max((e.score for e in f.events), default=0.0))
        for finding in self.findings:
            if finding.key == key:
                return finding
        keys = ", ".join(f.key for f in self.findings[:10])
        raise ValueError(f"there is no finding of a series {key!r}; there are {keys or 'none'}")

    def gravest(self, k: int = 10) -> list[SeriesEvent]:
        """The ``k`` gravest events, the gravest first."""
        found = [event for finding in self.findings for event in finding.events]
        return sorted(found, key=lambda e: (-e.severity, -e.score, e.start))[:k]

    def plot(self, kind: str | None = None) -> Picture:
        """The series ``kind`` with its band and events, or ``"incidents"`` over time.

        The default is the series with the gravest event.
        """
        from awry.report import series_charts

        if kind == "incidents":
            chart = series_charts.overview(self.findings, self.incidents)
            if chart is None:
                raise ValueError(f"{self.source} has no incidents to plot")
            return chart
        return series_charts.series_panels(self.finding(kind))

    def report(self, path: str | Path) -> Path:
        """Write a self-contained HTML report to ``path`` and return it."""
        from awry.report.series_page import write

        return write(self, path)

    def _repr_html_(self) -> str:
        from awry.report.series_page import fragment

        return fragment(self)

    def explain(
        self, rows: Sequence[int] | IntArray | None = None, k: int = 3
    ) -> list[list[Reason]]:
        """For each row (the flagged ones by default) the channels furthest off what was expected.

        A row whose channels are all as expected, as in the middle of an odd shape, has no reason;
        its event has words.
        """
        picks = np.flatnonzero(self.severity) if rows is None else np.asarray(rows, dtype=int)
        return [
            [] if at is None else at[0].reasons(at[1], k)
            for at in (self._place(int(i)) for i in picks)
        ]

    def _place(self, row: int) -> tuple[Finding, int] | None:
        """The finding and the point of a row; None where it was set aside or all was calm."""
        assert self.series is not None
        i = int(self.series.rows[row])
        finding = self._by_key.get(self.series.keys[i]) if i >= 0 else None
        return None if finding is None else (finding, int(self.series.points[row]))

    def words(self, row: int) -> str:
        """The kind and words of the event that a row (by position) belongs to; else empty."""
        at = self._place(row)
        if at is None or at[0].event_at[at[1]] < 0:
            return ""
        event = at[0].events[at[0].event_at[at[1]]]
        return f"{event.kind}: {event.words}"

    @cached_property
    def _by_key(self) -> dict[str, Finding]:
        return {finding.key: finding for finding in self.findings}

    @cached_property
    def _reasons(self) -> dict[int, str]:
        """What happened at flagged rows, by position: the words of their events."""
        return {i: self.words(i) for i in np.flatnonzero(self.severity).tolist()}

    def to_dict(self, top: int = 10) -> dict[str, Any]:
        """The result in plain data, with the ``top`` gravest events."""
        found = super().to_dict(0)
        del found["top"]
        assert self.series is not None
        return found | {
            "series": len(self.series),
            "points": sum(map(len, self.series.series)),
            "step_seconds": sorted(set(self.series.steps.tolist())),
            "start": str(min(s.times[0] for s in self.series.series if s.times is not None)),
            "end": str(max(s.times[-1] for s in self.series.series if s.times is not None)),
            "events": [event_dict(event) for event in self.gravest(top)],
            "events_total": sum(len(f.events) for f in self.findings),
            "findings": [
                {
                    "key": f.key, "points": len(f.times), "step_seconds": f.step,
                    "periods": f.periods, "trend_per_day": f.trend, "events": len(f.events),
                    "choice": f.choice,
                }
                for f in self.findings[:MAX_TOLD]
            ],
        }  # fmt: skip


def event_dict(event: SeriesEvent) -> dict[str, Any]:
    """An event as plain data."""
    return {
        "series": event.key or "",
        "start": str(np.datetime64(round(event.start * 1e6), "us")),
        "end": str(np.datetime64(round(event.end * 1e6), "us")),
        "severity": SEVERITIES[event.severity],
        "score": event.score,
        "kind": event.kind,
        "channels": event.channels,
        "words": event.words,
    }


def make_result(
    model: SeriesModel,
    table: pa.Table,
    read: SeriesSet,
    scores: Sequence[FloatArray],
    source: str,
    rows: IntArray | None,
) -> SeriesResult:
    """The result for a ``table`` whose series have ``scores`` at their points."""
    at_rows = read.at_rows(list(scores), 0.0)
    times = [s.times.astype(np.int64) / 1e6 for s in read.series if s.times is not None]
    choices, severities = model.choices(), [model.severity(own) for own in scores]
    findings = [
        find(
            key, series, own, severity, model.threshold_, float(read.steps[i]), read.channels,
            choices.get(key),
        )
        for i, (key, series, own, severity) in enumerate(
            zip(read.keys, read.series, scores, severities, strict=True)
        )
        if len(read) <= MAX_TOLD or severity.any()
    ]  # fmt: skip
    events = sorted((e for f in findings for e in f.events), key=lambda e: e.start)
    # As far apart as flagged points of one event may be.
    tolerance = EVENT_GAP * float(np.median(read.steps)) if len(read) else 0.0
    return SeriesResult(
        scores=at_rows,
        severity=model.severity(at_rows),
        model=model,
        table=table,
        rows=np.arange(1, len(at_rows) + 1) if rows is None else rows,
        times=read.at_rows(times, np.nan),
        events=list(events),
        incidents=find_incidents(events, tolerance),
        problems=read.problems,
        notes=list(read.notes),
        source=source,
        findings=findings,
        series=read,
    )


def find(
    key: str,
    series: Series,
    scores: FloatArray,
    severity: IntArray,
    threshold: float,
    step: float,
    channels: list[str],
    choice: str | None = None,
) -> Finding:
    """What was expected of a series, and its events."""
    assert series.times is not None
    periods, band = expectation(series.values, series.times, step)
    finding = Finding(
        key, channels, series.times, series.values, band.expected, band.low, band.high, scores,
        severity, threshold, periods, _trend(band.level[:, 0], step), step, choice=choice,
        event_at=np.full(len(series), -1),
    )  # fmt: skip
    if not severity.any():
        return finding
    describer = Describer(series.values, band, periods, step, channels)
    builder, at = EventBuilder(gap=EVENT_GAP), np.arange(len(series), dtype=np.float64)
    for event in [*builder.push(severity, scores, at, key or None), *builder.flush()]:
        finding.event_at[event.first : event.last + 1] = len(finding.events)
        first, last = describer.tighten(event.first, event.last)
        kind, shown, words = describer.describe(first, last)
        peak = first + int(np.argmax(scores[first : last + 1]))
        start, end = (float(series.times[i].astype(np.int64)) / 1e6 for i in (first, last))
        finding.events.append(
            SeriesEvent(
                first, last, peak, event.score, event.severity, event.size, start, end, event.key,
                kind, shown, words,
            )
        )  # fmt: skip
    return finding


def _trend(level: FloatArray, step: float) -> float:
    """How much the level rises or falls per day, 0 where it does not keep doing so."""
    parts = np.array_split(level, 8)
    if len(level) < 16 or any(np.isnan(part).all() for part in parts):
        return 0.0
    rises = np.diff([float(np.nanmedian(part)) for part in parts])
    rise = float(np.median(rises))
    if rise == 0 or np.mean(np.sign(rises) == np.sign(rise)) < 0.8:
        return 0.0
    return rise / (len(level) / 8 * step) * 86_400
