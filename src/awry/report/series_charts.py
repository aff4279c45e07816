"""Charts of series: what was observed, what was expected, and the events between them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.data.wording import number
from awry.report.charts import SEVERITY_CLASSES, Axis, Chart, Picture, legend

if TYPE_CHECKING:
    from awry.core.events import Event
    from awry.core.incidents import Incident
    from awry.series_result import Finding, SeriesEvent

#: Slots of time a line is drawn in: about two pixels of a wide screen.
SLOTS = 600
#: Channels drawn one below the other.
CHANNELS = 6
#: Rows of the overview.
ROWS = 30
#: Least width of a mark, as a share of the picture.
_LEAST = 0.004
#: Points around an event in its own picture: this many times its length, and at least so many.
_AROUND, _FEWEST = 2.0, 40


@dataclass
class Panels(Picture):
    """Charts one below the other on one axis of time."""

    title: str
    charts: list[Chart]
    caption: str = ""
    legend: list[tuple[str, str]] = field(default_factory=list)

    def html(self) -> str:
        last = len(self.charts) - 1
        parts = "".join(
            f'<div class="ylabel">{html.escape(chart.y.label)}</div>{chart.plot(times=i == last)}'
            for i, chart in enumerate(self.charts)
        )
        caption = f'<p class="caption">{html.escape(self.caption)}</p>' if self.caption else ""
        label = html.escape(self.charts[-1].x.label)
        return (
            f'<figure class="chart panels"><figcaption>{html.escape(self.title)}</figcaption>'
            f'{legend(self.legend)}{parts}<div class="xlabel">{label}</div>'
            f"{caption}</figure>"
        )


def series_panels(finding: Finding) -> Panels:
    """A series: its channels, then its scores.

    Channels that take part in an event come first, those of the gravest event before others.
    """
    return _panels(finding, slice(0, len(finding.times)), channels_of(finding, finding.events))


def event_panels(finding: Finding, event: SeriesEvent) -> Panels:
    """One event and what surrounds it, in the channels that take part in it."""
    return _panels(finding, around(finding, event), channels_of(finding, [event], alone=True))


def _panels(finding: Finding, part: slice, shown: list[int]) -> Panels:
    seconds = _seconds(finding)[part]
    events = [e for e in finding.events if e.last >= part.start and e.first < part.stop]
    axis = _time_axis(seconds, finding.step)
    charts = [
        _channel(finding, j, part, axis, events, 170 if len(shown) == 1 else 105) for j in shown
    ]
    charts.append(_scores(finding, part, axis, events))
    left = finding.values.shape[1] - len(shown)
    caption = f"{left:,} more channels are not drawn." if left else ""
    name = finding.key or ", ".join(finding.channels[:3])
    keys = [("calm", "observed"), ("band", "expected")]
    keys += [(SEVERITY_CLASSES[s], SEVERITY_CLASSES[s]) for s in _severities(events)]
    return Panels(name, charts, caption, keys)


def event_picture(finding: Finding, event: SeriesEvent) -> str:
    """A small picture of one event, without words, as HTML."""
    part = around(finding, event)
    j = channels_of(finding, [event])[0]
    axis = _time_axis(_seconds(finding)[part], finding.step)
    chart = _channel(finding, j, part, axis, [event], 54)
    chart.title = f"{event.kind} of {finding.channels[j]}"
    return chart.plot(bare=True)


def overview(
    findings: Sequence[Finding], incidents: Sequence[Incident], rows: int = ROWS
) -> Chart | None:
    """Events over time, a row for each series; incidents of several series are shaded.

    The series of the first incidents come first; None where nothing happened.
    """
    keys = list(dict.fromkeys(key for incident in incidents for key in incident.keys))
    if not keys:
        return None
    shown = keys[:rows]
    row = {key: len(shown) - 1 - i for i, key in enumerate(shown)}
    ends = [(_seconds(f)[0], _seconds(f)[-1] + f.step) for f in findings]
    axis = Axis(min(a for a, _ in ends), max(b for _, b in ends), "time", "time (UTC)")
    names = [_short(key or "series") for key in reversed(shown)]
    chart = Chart(
        "Events over time", axis, Axis(-0.6, len(shown) - 0.4, names=names),
        height=40 + 20 * len(shown),
    )  # fmt: skip
    for incident in incidents:
        if len(incident.keys) > 1:
            _shade(chart, incident.start, incident.end, incident.severity)
    for level in (1, 2, 3):
        marks = [
            (e.start, e.end, row[e.key or ""])
            for incident in incidents
            for e in incident.events
            if e.severity == level and (e.key or "") in row
        ]
        if marks:
            start, end, at = np.transpose(marks)
            left, right = _wide_enough(axis, start, end)
            chart.boxes(left, right, at - 0.35, at + 0.35, SEVERITY_CLASSES[level])
            chart.legend.append((SEVERITY_CLASSES[level], SEVERITY_CLASSES[level]))
    calm = len(findings) - len(keys)
    notes = [f"{len(keys) - rows:,} more series with events" if len(keys) > rows else ""]
    notes.append(f"{calm:,} series without" if calm > 0 else "")
    left_out = " and ".join(note for note in notes if note)
    chart.caption = "Shaded: incidents of several series."
    chart.caption += f" Not drawn: {left_out}." if left_out else ""
    return chart


def _short(name: str, most: int = 18) -> str:
    """``name`` without its middle where it is long: names of series differ at their ends."""
    return name if len(name) <= most else f"{name[:7]}…{name[8 - most :]}"


# -- parts of the charts ------------------------------------------------------------------------


def _channel(
    finding: Finding, j: int, part: slice, axis: Axis, events: Sequence[SeriesEvent], height: int
) -> Chart:
    """One channel in its band, events shaded and drawn over in the colour of their severity."""
    seconds, x = _seconds(finding)[part], finding.values[part, j]
    low, high = finding.low[part, j], finding.high[part, j]
    chart = Chart(
        finding.channels[j], axis, _value_axis(x, low, high, finding.channels[j]), height=height
    )
    for event in events:
        _shade(chart, event.start, event.end, event.severity, finding.step / 2)
    at, (low, high) = _envelope(seconds, low, high)
    chart.area(at, low, high, "expected band")
    chart.line(*_thin(seconds, x))
    for event in events:
        if finding.channels[j] in event.channels or not event.channels:
            inside = slice(max(event.first - part.start, 0), event.last + 1 - part.start)
            css = SEVERITY_CLASSES[event.severity]
            chart.line(*_thin(seconds[inside], x[inside]), css)
            if part.start <= event.peak < part.stop:
                peak = event.peak - part.start
                chart.dots(seconds[peak : peak + 1], x[peak : peak + 1], css)
    return chart


def _scores(finding: Finding, part: slice, axis: Axis, events: Sequence[SeriesEvent]) -> Chart:
    """The scores and their threshold, on the same axis of time."""
    seconds, scores = _seconds(finding)[part], finding.scores[part]
    known = scores[np.isfinite(scores)]
    top = max([finding.threshold * 1.25, *(known.max(keepdims=True) if len(known) else [])])
    chart = Chart("Scores", axis, Axis(0.0, float(top), label="score"), height=64)
    for event in events:
        _shade(chart, event.start, event.end, event.severity, finding.step / 2)
    chart.line(*_thin(seconds, scores))
    return chart.rule(finding.threshold, f"threshold {number(finding.threshold)}", axis="y")


def _shade(chart: Chart, start: float, end: float, severity: int, more: float = 0.0) -> None:
    """Shade a stretch of time, ``more`` to either side."""
    left, right = _wide_enough(chart.x, np.array([start - more]), np.array([end + more]))
    low, high = np.array([chart.y.low]), np.array([chart.y.high])
    chart.boxes(left, right, low, high, f"shade {SEVERITY_CLASSES[severity]}")


def _wide_enough(axis: Axis, start: FloatArray, end: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both ends, moved apart where nothing could be seen between them."""
    lack = np.clip(_LEAST * (axis.high - axis.low) - (end - start), 0.0, None) / 2
    return start - lack, end + lack


def _seconds(finding: Finding) -> FloatArray:
    return finding.times.astype("datetime64[us]").astype(np.int64) / 1e6


def _time_axis(seconds: FloatArray, step: float) -> Axis:
    return Axis(float(seconds[0]) - step / 2, float(seconds[-1]) + step / 2, "time", "time (UTC)")


def _value_axis(x: FloatArray, low: FloatArray, high: FloatArray, name: str) -> Axis:
    """From the least to the largest value; a band far wider than these is cut."""
    known = x[np.isfinite(x)]
    if not len(known):
        return Axis(0.0, 1.0, label=name)
    reach = 0.35 * float(np.ptp(known))
    edges = np.r_[known, low[low > known.min() - reach], high[high < known.max() + reach]]
    pad = 0.05 * float(np.ptp(edges))
    return Axis(float(edges.min()) - pad, float(edges.max()) + pad, label=name)


def _severities(events: Sequence[Event]) -> list[int]:
    return sorted({event.severity for event in events if event.severity})


def channels_of(
    finding: Finding, events: Sequence[SeriesEvent], *, alone: bool = False
) -> list[int]:
    """Channels to draw, those of the gravest events first, ``alone`` or before others."""
    ranked = sorted(events, key=lambda e: (-e.severity, -e.score))
    named = dict.fromkeys(name for event in ranked for name in event.channels)
    known = {name: j for j, name in enumerate(finding.channels)}
    first = [known[name] for name in named if name in known]
    others = [] if alone and first else range(len(finding.channels))
    return list(dict.fromkeys([*first, *others]))[:CHANNELS]


def around(finding: Finding, event: SeriesEvent) -> slice:
    """The points of an event's own picture: some seasons, or several of its lengths."""
    length = event.last - event.first + 1
    season = max((p for p in finding.periods if p <= 8 * length + 200), default=0)
    reach = int(max(_AROUND * length, _FEWEST, 1.5 * season))
    return slice(max(0, event.first - reach), min(len(finding.times), event.last + reach + 1))


def _slots(n: int) -> IntArray:
    """First points of the slots that ``n`` points are drawn in."""
    return np.unique(np.linspace(0, n, min(n, SLOTS) + 1).astype(np.int64))[:-1]


def _thin(seconds: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The line with the least and the largest value of each slot: no spike is lost.

    A slot without a value stays, as a gap.
    """
    if len(x) <= 2 * SLOTS:
        return seconds, x
    first = _slots(len(x))
    slot = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(x)]))
    keep = []
    for empty in (-np.inf, np.inf):
        filled = np.where(np.isfinite(x), x, empty)
        ends = (np.maximum if empty < 0 else np.minimum).reduceat(filled, first)
        is_end = np.flatnonzero(filled == ends[slot])
        keep.append(is_end[np.unique(slot[is_end], return_index=True)[1]])
    at = np.unique(np.concatenate(keep))
    return seconds[at], x[at]


def _envelope(
    seconds: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """The least of ``low`` and the largest of ``high`` in each slot; NaN where it has none."""
    if len(seconds) <= 2 * SLOTS:
        return seconds, (low, high)
    first = _slots(len(seconds))
    return seconds[first], (np.fmin.reduceat(low, first), np.fmax.reduceat(high, first))
