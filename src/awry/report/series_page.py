"""What was found in series as one self-contained page: incidents first, then events, then series.

No scripts, no network, light and dark, phone width.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import awry
from awry.core.events import Event
from awry.core.files import write_whole
from awry.core.incidents import Incident
from awry.data.event_kinds import duration
from awry.data.wording import moment, number, share
from awry.report import charts, page, series_charts

if TYPE_CHECKING:
    from awry.series_result import Finding, SeriesEvent, SeriesResult

#: Incidents with a picture; further ones are listed.
INCIDENTS, LISTED = 5, 100
#: Events with a small picture, and series with a large one.
EVENTS, SERIES = 40, 12
#: Small pictures of further series of an incident.
_THUMBS = 6


def write(result: SeriesResult, path: str | Path) -> Path:
    """Write the report of ``result`` to ``path``, whole or not at all."""
    text = page.template("series.html").render(_content(result), style=charts.style())
    return write_whole(path, text.encode())


def fragment(result: SeriesResult) -> str:
    """The head of the report for a notebook: summary, incidents and the first picture."""
    content = _content(result, incidents=3, events=0, series=0)
    return page.template("series_fragment.html").render(content, style=charts.style())


def _content(
    result: SeriesResult, incidents: int = INCIDENTS, events: int = EVENTS, series: int = SERIES
) -> dict[str, Any]:
    facts = result.to_dict(0)
    findings = {finding.key: finding for finding in result.findings}
    found = result.gravest(len(result.events))
    rest = result.incidents[incidents:]
    overview = series_charts.overview(result.findings, result.incidents)
    # The gravest series first; among equals those with more events.
    ranked = sorted(
        result.findings,
        key=lambda f: (-max((e.severity for e in f.events), default=0), -len(f.events), f.key),
    )
    return {
        "facts": facts,
        "count": {
            "events": len(found),
            "incidents": len(result.incidents),
            "series": facts["series"],
            "hit": sum(bool(f.events) for f in result.findings),
            "points": facts["points"],
        },
        "severities": _severities(found),
        "span": f"{_minute(facts['start'])} to {_minute(facts['end'])} UTC",
        "incidents": [_incident(one, findings) for one in result.incidents[:incidents]],
        "more_incidents": [_incident(one, findings, drawn=0) for one in rest[:LISTED]],
        "unlisted": max(0, len(rest) - LISTED),
        "overview": overview.html() if overview and facts["series"] > 1 else "",
        "events": [_event(event, findings[event.key or ""]) for event in found[:events]],
        "more_events": max(0, len(found) - events),
        "series": [_series(finding) for finding in ranked[:series]],
        "more_series": max(0, facts["series"] - series),
        "learning": page.learning(result.model.detector_),
        "problems": facts["problems"][:50],
        "more_problems": max(0, facts["set_aside"] - 50),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": awry.__version__,
    }


def _severities(events: Sequence[Event]) -> dict[str, int]:
    counts = np.bincount([event.severity for event in events], minlength=4)
    return {
        name: int(count)
        for name, count in zip(charts.SEVERITY_CLASSES[1:], counts[1:], strict=True)
    }


def _incident(
    incident: Incident, findings: dict[str, Finding], drawn: int = 1 + _THUMBS
) -> dict[str, Any]:
    """An incident as the page shows it, the first of its series in pictures."""
    best: dict[str, SeriesEvent] = {}
    for event in sorted(incident.events, key=lambda e: -e.score):
        best.setdefault(event.key or "", event)  # type: ignore[arg-type]
    pairs = [(findings[key], best[key]) for key in incident.keys]
    lead, event = pairs[0]
    return {
        "severity": charts.SEVERITY_CLASSES[incident.severity],
        "when": _when(incident.start, incident.end, lead.step),
        "words": incident.words,
        "lead": f"{lead.key}: {event.words}" if len(pairs) > 1 else "",
        "picture": series_charts.event_panels(lead, event).html() if drawn else "",
        "thumbs": [
            (finding.key, event.words, series_charts.event_picture(finding, event))
            for finding, event in pairs[1:drawn]
        ],
    }


def _event(event: SeriesEvent, finding: Finding) -> dict[str, Any]:
    return {
        "severity": charts.SEVERITY_CLASSES[event.severity],
        "kind": event.kind,
        "key": event.key or "",
        "when": _when(event.start, event.end, finding.step),
        "words": event.words,
        "channels": event.channels[1:6] if len(finding.channels) > 1 else [],
        "more_channels": max(0, len(event.channels) - 6),
        "score": event.score,
        "picture": series_charts.event_picture(finding, event),
    }


def _series(finding: Finding) -> dict[str, Any]:
    return {
        "title": finding.key or ", ".join(finding.channels[:4]),
        "picture": series_charts.series_panels(finding).html(),
        "facts": series_facts(finding),
        "notes": finding.notes,
    }


def series_facts(finding: Finding) -> dict[str, str]:
    """What is known of a series, in words."""
    seconds = finding.times.astype("datetime64[us]").astype(np.int64) / 1e6
    missing = np.isnan(finding.values).all(axis=1)
    gaps = int(np.count_nonzero(np.diff(np.r_[0, missing.astype(np.int8)]) == 1))
    lost = share(float(missing.mean()))
    facts = {
        "read": f"{len(seconds):,} points, one every {duration(finding.step)}, "
        f"{moment(float(seconds[0]))} to {moment(float(seconds[-1]))} UTC",
        "comes round": ", ".join(
            f"every {duration(period * finding.step)} ({period:,} points)"
            for period in finding.periods
        )
        or "no period found",
        "trend": _trend(finding),
        "gaps": f"{gaps:,}, {lost} of the points" if gaps else "none",
        "events": f"{len(finding.events):,}; a score above {number(finding.threshold)} is flagged",
    }
    return facts | ({"detector": finding.choice} if finding.choice else {})


def _trend(finding: Finding) -> str:
    """The trend per day, where it amounts to something beside the width of the band."""
    days = finding.step * len(finding.times) / 86400
    width = finding.high[:, 0] - finding.low[:, 0]
    usual = float(np.nanmedian(width)) if np.isfinite(width).any() else 0.0
    if abs(finding.trend) * days <= 0.25 * usual or not np.isfinite(finding.trend):
        return "none to speak of"
    return f"{'+' if finding.trend > 0 else '-'}{number(abs(finding.trend))} per day"


def _when(start: float, end: float, step: float) -> str:
    """From the first point to the end of the last, one ``step`` after it."""
    if end <= start:
        return moment(start)
    first, last = moment(start), moment(end + step)
    day, _, clock = last.partition(" ")
    last = clock if first.startswith(day) and clock else last
    return f"{first} to {last} ({duration(end + step - start)})"


def _minute(stamp: str) -> str:
    return stamp.replace("T", " ")[:16]
