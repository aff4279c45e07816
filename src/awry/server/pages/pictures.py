"""Pictures of the pages, made of what the service keeps."""

from __future__ import annotations

from typing import Any

import numpy as np

from awry.data.wording import share
from awry.ops.extracts import score_dots
from awry.ops.overview import Rates, Scores
from awry.report.charts import Axis, Chart, score_histogram, score_over_time

#: Bars of a picture of rates; of a longer time, each stands for several hours.
_BARS = 96
_HOUR = 3600.0
#: Rows that have a dot each; of more, those that are not flagged are drawn as a band.
_DOTS = 1_500


def rates(found: Rates, *, bare: bool = False) -> str | None:
    """The share of rows flagged over time, as HTML; None of less than two hours.

    Hours without rows have no bar, which is not the same as a bar of no height.
    """
    if len(found.at) < 2:
        return None
    begin, end = float(found.at[0]), float(found.at[-1]) + _HOUR
    width = _HOUR * max(1, int(np.ceil((end - begin) / _HOUR / _BARS)))
    slot = ((found.at - begin) // width).astype(int)
    rows = np.bincount(slot, weights=found.rows)
    flagged = np.bincount(slot, weights=found.flagged)
    used = np.flatnonzero(rows)
    percent = 100 * flagged[used] / rows[used]
    left, top = begin + used * width, max(float(percent.max()), 0.1)
    chart = Chart(
        "Share of rows flagged",
        Axis(begin, max(end, begin + width), "time", label="time (UTC)"),
        Axis(0, top * 1.1, label="flagged, % of rows"),
        height=40 if bare else 190,
    )
    seen = np.full(len(used), top * 0.012)
    # A hairline where rows were judged and none was flagged: zero, and known to be.
    chart.boxes(left, left + width, np.zeros(len(used)), seen, "band")
    chart.boxes(left + 0.08 * width, left + 0.92 * width, np.zeros(len(used)), percent, "series0")
    if bare:
        return chart.plot(bare=True)
    overall = float(flagged.sum() / rows.sum())
    chart.rule(100 * overall, f"overall {share(overall)}", axis="y")
    hours = int(width / _HOUR)
    chart.caption = "One bar an hour." if hours == 1 else f"One bar for {hours} hours."
    return chart.html()


def scores(found: Scores, judgement: dict[str, Any]) -> list[str]:
    """Scores over time, or over rows, and how they are spread, as HTML."""
    threshold = judgement["threshold"]
    shown = float(found.scores.max()) if threshold is None else float(threshold)
    about = (found.position, found.scores, found.severity, shown)
    few = len(found.scores) <= _DOTS
    chart = score_dots(*about, timed=found.timed) if few else score_over_time(*about)
    if not found.timed and not few:
        chart.title, chart.x.kind, chart.x.label = "Scores over the rows", "linear", "row"
        chart.caption = "Shaded: from the median to the highest score of neighbouring rows."
    if found.weight > 1:
        chart.caption += f" Of those not flagged, one in {found.weight} is drawn."
    levels = [] if threshold is None else _levels(found, shown)
    calm = found.severity == 0
    spread = np.r_[found.scores[~calm], np.repeat(found.scores[calm], found.weight)]
    histogram = score_histogram(spread, levels)
    histogram.title = "How scores are spread"
    if not found.whole:
        note = " Of so many rows, the scores of those flagged alone were kept."
        chart.caption, histogram.caption = chart.caption + note, note.strip()
    return [chart.html(), histogram.html()]


def _levels(found: Scores, threshold: float) -> list[tuple[str, float]]:
    """From which score on each severity begins, where scores alone decide on it."""
    levels = [("threshold", threshold)]
    for level, name in ((2, "critical"), (3, "emergency")):
        graver = found.severity >= level
        cut = float(found.scores[graver].min()) if graver.any() else np.inf
        if (found.scores[~graver] >= cut).any():
            return levels[:1]
        levels.append((name, cut))
    return levels
