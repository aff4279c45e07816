"""How the command line tells what was found in series: events, not points."""

from __future__ import annotations

from typing import Any

import numpy as np

from awry.cli.view import number_words, table
from awry.core.incidents import Incident
from awry.data.event_kinds import duration
from awry.result import SEVERITIES
from awry.series_result import Finding, SeriesEvent, SeriesResult

#: Series described one by one.
MAX_SERIES = 5


def series_lines(result: SeriesResult) -> list[str]:
    """The series that were read, in words."""
    read = result.series
    assert read is not None
    facts = result.to_dict(0)
    steps = [duration(s) for s in facts["step_seconds"]]
    every = steps[0] if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    n, channels = len(read), len(read.channels)
    lines = [
        f"{n:,} series{'' if channels == 1 else f' of {channels} channels'}, "
        f"{facts['points']:,} points every {every}, from {_moment(facts['start'])} "
        f"to {_moment(facts['end'])}"
    ]
    for finding in result.findings[:MAX_SERIES] if n <= MAX_SERIES else []:
        periods = ", ".join(duration(p * finding.step) for p in finding.periods)
        words = f"comes round every {periods}" if periods else "no period found"
        if finding.trend and abs(finding.trend) * _days(finding) > _spread(finding):
            words += f"; {finding.channels[0]} drifts by {number_words(finding.trend)} a day"
        lines.append(f"{finding.key or 'the series'}: {words}")
    return lines


def show_events(result: SeriesResult, top: int) -> None:
    """Print the gravest incidents, where many series have events, and the gravest events."""
    total = len(result.events)
    if not total or not top:
        return
    several = result.series is not None and len(result.series) > 1
    together = [i for i in result.incidents if len(i.keys) > 1]
    if together:
        table(
            ["start", "end", "severity", "series", "what"],
            [_incident_row(incident) for incident in result.incidents[:top]],
            title=f"{len(result.incidents):,} incidents of {total:,} events in all",
        )
        return
    table(
        [*(["series"] if several else []), "start", "end", "severity", "kind", "channels", "peak",
         "what"],
        [
            [*([event.key or ""] if several else []), *_event_row(result, event)]
            for event in result.gravest(top)
        ],
        title=f"{total:,} event{'s' * (total != 1)}"
        + (f", the gravest {top}" if total > top else ""),
    )  # fmt: skip


def explain_rows(result: SeriesResult, picks: list[int]) -> list[dict[str, Any]]:
    """What was expected at rows, and how far off they are, as plain data."""
    reasons = result.explain(picks, k=len(result.findings[0].channels) if result.findings else 1)
    return [
        {
            "row": int(result.rows[i]),
            "score": float(result.scores[i]),
            "event": result.words(i),
            "reasons": [vars(reason) for reason in why],
        }
        for i, why in zip(picks, reasons, strict=True)
    ]


def show_rows(result: SeriesResult, picks: list[int]) -> None:
    """Print :func:`explain_rows`."""
    for row in explain_rows(result, picks):
        table(
            ["channel", "value", "expected", "share"],
            [[r["column"], r["value"], r["typical"], r["share"]] for r in row["reasons"]],
            title=f"row {row['row']:,}: score {number_words(row['score'])} (threshold "
            f"{number_words(result.threshold)})" + (f"; {row['event']}" if row["event"] else ""),
        )


def _event_row(result: SeriesResult, event: SeriesEvent) -> list[Any]:
    finding = result.finding(event.key or "")
    ends = [_moment(str(finding.times[i])) for i in (event.first, event.last, event.peak)]
    severity = SEVERITIES[event.severity]
    return [
        ends[0], ends[1], severity, event.kind, ", ".join(event.channels[:4]), ends[2], event.words
    ]  # fmt: skip


def _incident_row(incident: Incident) -> list[Any]:
    ends = [
        _moment(str(np.datetime64(round(t * 1e6), "us"))) for t in (incident.start, incident.end)
    ]
    return [*ends, SEVERITIES[incident.severity], len(incident.keys), incident.words]


def _moment(text: str) -> str:
    return text.replace("T", " ").split(".")[0].removesuffix(":00")


def _days(finding: Finding) -> float:
    return len(finding.times) * float(finding.step) / 86_400


def _spread(finding: Finding) -> float:
    """Half the height of the band: less than that is no drift to speak of."""
    height = finding.high[:, 0] - finding.low[:, 0]
    return float(np.nanmedian(height)) / 2 if np.isfinite(height).any() else np.inf
