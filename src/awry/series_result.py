"""What comes out of series: findings per series, events in words, incidents across series."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from awry.core.events import Event
from awry.core.inputs import FloatArray, IntArray
from awry.result import Result

if TYPE_CHECKING:
    from awry.series_model import SeriesModel


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
    notes : list of str
    choice : str or None
        Why the detector was chosen.
    channels : list of str
        Names of the d channels.
    """

    key: str
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
    notes: list[str] = field(default_factory=list)
    choice: str | None = None
    channels: list[str] = field(default_factory=list)


@dataclass
class SeriesResult(Result):
    """Scores and decisions for the rows of a table of series.

    Attributes
    ----------
    findings : list of Finding
        One for each series that could be judged.
    incidents : list
        Events of many series that belong together, the gravest first.
    """

    model: SeriesModel  # type: ignore[assignment]
    findings: list[Finding] = field(default_factory=list)
    incidents: list[Any] = field(default_factory=list)
