"""Extracts: so much of the data around an event as its picture needs, as plain data.

They are kept with the event, so that it can be looked at when the data are gone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from awry.core.inputs import FloatArray, IntArray
from awry.core.plain import plain
from awry.report.charts import SEVERITY_CLASSES, Axis, Chart, Picture, number, style
from awry.report.series_charts import around, channels_of, series_panels
from awry.result import SEVERITIES
from awry.series_result import Finding, SeriesEvent

#: Points, cells of a row and characters of a cell that an extract holds.
MAX_POINTS, MAX_CELLS, MAX_CHARACTERS = 300, 50, 200

#: Rows around one that are a picture; fewer say no more than their scores do.
_FEWEST = 5

#: What XML cannot hold.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def of_series(finding: Finding, event: SeriesEvent) -> dict[str, Any]:
    """What surrounds an event of a series, in the channels that show it."""
    part, channels = around(finding, event), channels_of(finding, [event], alone=True)
    picks = _thinned(finding.scores[part], [event.first, event.peak, event.last], part.start)
    lines = ("values", "expected", "low", "high")
    return plain_dict(
        {
            "kind": "series",
            "channels": [finding.channels[j] for j in channels],
            "times": finding.times[picks].astype("datetime64[us]").astype(np.int64) / 1e6,
            **{name: getattr(finding, name)[picks][:, channels] for name in lines},
            "scores": finding.scores[picks],
            "severity": finding.severity[picks],
            "step": finding.step,
            "place": np.searchsorted(picks, [event.first, event.peak, event.last]),
            "shows": event.channels,
        }
    )


def of_rows(
    position: FloatArray, scores: FloatArray, severity: IntArray, peak: int, *, timed: bool
) -> dict[str, Any]:
    """The scores of the rows around ``peak``.

    Parameters
    ----------
    position : ndarray of shape (n,)
        Ascending: seconds where ``timed``, else numbers of rows.
    scores, severity : ndarray of shape (n,)
    peak : int
        Place of the event's row in them.
    """
    half = MAX_POINTS // 2
    part = slice(max(0, peak - half), peak + half)
    return plain_dict(
        {
            "kind": "rows",
            "timed": timed,
            "at": position[peak],
            "position": position[part],
            "scores": scores[part],
            "severity": severity[part],
        }
    )


def cells(table: pa.Table) -> list[dict[str, str]]:
    """The rows of ``table`` as text, so much of them as is kept."""
    return [cells_of(row) for row in table.select(table.column_names[:MAX_CELLS]).to_pylist()]


def cells_of(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as text, so much of it as is kept."""
    return {name: str(value)[:MAX_CHARACTERS] for name, value in islice(row.items(), MAX_CELLS)}


def picture(event: dict[str, Any]) -> Picture | None:
    """The picture of an event that was kept with its ``extract``; None without one."""
    extract = event["extract"]
    threshold = np.inf if event["threshold"] is None else event["threshold"]
    if extract.get("kind") == "series":
        return _series(event, extract, threshold)
    if extract.get("kind") != "rows" or not extract["position"]:
        return None
    scores = np.array(extract["scores"], dtype=float)
    known = np.isfinite(scores)
    if known.sum() < _FEWEST:
        return None
    position = np.array(extract["position"], dtype=float)[known]
    severity = np.array(extract["severity"])[known]
    chart = score_dots(
        position, scores[known], severity, threshold, timed=extract["timed"], headroom=0.28
    )
    chart.title = "Scores of the rows around it"
    chart.x.label = extract.get("axis", chart.x.label)
    # Of events that were kept before, the place is not told.
    at = extract.get("at", event["start"] if extract["timed"] else event["peak"])
    if isinstance(at, float | int) or at.isdecimal():
        chart.rule(float(at), "this event")
    return chart


def svg(shown: Picture, width: int = 720, height: int = 420) -> str:
    """A picture as a file of its own; its words are HTML, which browsers show inside of SVG."""
    css = style().replace("]]>", "")
    body = _NO_XML.sub("", shown.html())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><foreignObject width="100%" height="100%">'
        f'<div xmlns="http://www.w3.org/1999/xhtml" class="awry"><style><![CDATA[{css}]]></style>'
        f"{body}</div></foreignObject></svg>"
    )


def plain_dict(value: dict[str, Any]) -> dict[str, Any]:
    return dict(plain(value))


def score_dots(
    position: FloatArray,
    scores: FloatArray,
    severity: IntArray,
    threshold: float,
    *,
    timed: bool,
    headroom: float = 0.06,
) -> Chart:
    """The scores of rows that are few enough to have a dot each.

    With more ``headroom``, a part of the scores' range, a line can have its name above the dots.
    """
    top = max(float(scores.max()), threshold if np.isfinite(threshold) else -np.inf)
    low = float(scores.min())
    room = 0.06 * (top - low)
    words = ("time", "time (UTC)") if timed else ("linear", "row")
    chart = Chart(
        "Scores over time" if timed else "Scores over the rows",
        Axis(float(position.min()), float(position.max()), *words),
        Axis(low - room, top + headroom * (top - low), label="score"),
    )
    for level, css in enumerate(SEVERITY_CLASSES):
        pick = severity == level
        chart.dots(position[pick], scores[pick], css)
        if pick.any():
            chart.legend.append((css, css if level else "not flagged"))
    if np.isfinite(threshold):
        chart.rule(threshold, f"threshold {number(threshold)}", axis="y")
    return chart


def _series(event: dict[str, Any], extract: dict[str, Any], threshold: float) -> Picture:
    def matrix(name: str) -> FloatArray:
        return np.array(extract[name], dtype=float)

    first, peak, last = extract["place"]
    shown = SeriesEvent(
        first, last, peak, event["score"], SEVERITIES.index(event["severity"]), event["items"],
        event["start"], event["end"], event["key"], event["kind"], extract["shows"],
        event["summary"],
    )  # fmt: skip
    times = (matrix("times") * 1e6).astype("datetime64[us]")
    return series_panels(
        Finding(
            event["key"] or "", extract["channels"], times, matrix("values"), matrix("expected"),
            matrix("low"), matrix("high"), matrix("scores"), np.array(extract["severity"]),
            threshold, [], 0.0, extract["step"], [shown],
        )
    )  # fmt: skip


def _thinned(scores: FloatArray, kept: list[int], start: int) -> IntArray:
    """Points of the extract: the highest score of each slot of time, and those to be kept."""
    slots = np.array_split(np.arange(len(scores)), min(len(scores), MAX_POINTS - len(kept)))
    ranked = np.nan_to_num(scores, nan=-np.inf, neginf=-np.inf)
    highest = [int(slot[np.argmax(ranked[slot])]) + start for slot in slots]
    return np.unique([*highest, *kept])
