"""What drifted as one self-contained HTML page: a table of all features, a picture of each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import awry
from awry.core.files import write_whole
from awry.report import charts
from awry.report.page import template

if TYPE_CHECKING:
    from awry.drift.aspects import Shares
    from awry.drift.table import FeatureDrift, TableChange

#: Features that did not drift and levels of one feature that are drawn.
CALM_SHOWN, LEVELS_SHOWN = 60, 12
_LEGEND = [("band", "reference"), ("series1", "current")]


def write_drift(
    change: TableChange, path: str | Path, *, reference: str, current: str, settings: dict[str, Any]
) -> Path:
    """Write the report of ``change`` to ``path``, whole or not at all.

    Parameters
    ----------
    change : TableChange
    path : path-like
    reference, current : str
        What the two tables are called.
    settings : dict
        How they were compared, to be told.
    """
    drifted = change.drifted
    calm = [f for f in change.features if f.tested and not f.drifted]
    page = template("drift.html").render(
        change=change, reference=reference, current=current, settings=settings,
        drifted=[(f, feature_chart(f).html()) for f in drifted],
        calm=[(f, feature_chart(f).html()) for f in calm[:CALM_SHOWN]],
        not_drawn=max(0, len(calm) - CALM_SHOWN),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), version=awry.__version__,
        style=charts.style(),
    )  # fmt: skip
    return write_whole(path, page.encode())


def feature_chart(feature: FeatureDrift) -> charts.Chart:
    """How the values of a feature lay and lie: shares in bins, or of levels."""
    shares = feature.shares
    draw = _levels if shares.edges is None else _bins
    chart = draw(feature.feature, shares)
    chart.legend = _LEGEND
    return chart


def _bins(name: str, shares: Shares) -> charts.Chart:
    edges = shares.edges
    assert edges is not None
    top = float(max(shares.reference.max(), shares.current.max())) * 100
    chart = charts.Chart(
        name,
        charts.Axis(float(edges[0]), float(edges[-1]), label="value, the end bins hold the rest"),
        charts.Axis(0, top * 1.1, label="% of the rows"),
        height=180,
    )
    chart.boxes(edges[:-1], edges[1:], np.zeros(len(edges) - 1), 100 * shares.reference, "band")
    steps = np.r_[0, np.repeat(100 * shares.current, 2), 0]
    return chart.line(np.repeat(edges, 2), steps, "series1")


def _levels(name: str, shares: Shares) -> charts.Chart:
    # The large ones, and before them those that moved.
    weight = shares.reference + shares.current + 2 * np.abs(shares.current - shares.reference)
    order = np.argsort(-weight, kind="stable")[:LEVELS_SHOWN]
    order = np.sort(order)[::-1]  # from the bottom up, in the levels' own order
    sides = 100 * shares.reference[order], 100 * shares.current[order]
    rows, left = np.arange(len(order), dtype=float), np.zeros(len(order))
    more = len(shares.names) - len(order)
    chart = charts.Chart(
        name,
        charts.Axis(
            0, float(max(side.max() for side in sides)) * 1.05 or 1.0, label="% of the rows"
        ),
        charts.Axis(-0.5, len(order) - 0.5, names=[shares.names[i] for i in order]),
        caption=f"and {more} more levels" if more else "",
        height=40 + 26 * len(order),
    )
    chart.boxes(left, sides[0], rows + 0.02, rows + 0.38, "band")
    return chart.boxes(left, sides[1], rows - 0.38, rows - 0.02, "series1")
