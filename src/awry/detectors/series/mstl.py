"""MSTL: several seasons and a trend by loess, odd where the rest is large."""

from __future__ import annotations

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import boolean, integer
from awry.core.threshold import Threshold
from awry.detectors.series._residuals import DEFAULT_SPAN, Parts, Residuals
from awry.detectors.series.stl import split_stl
from awry.kernels import loess


class MSTL(Residuals):
    """Values far from trend and several seasons, such as day, week and year.

    Parameters
    ----------
    period : int, list of int or None, default=None
        Points in a cycle of each season. None takes those that
        :func:`~awry.data.periods.find_periods` finds; where there are none only the trend is taken
        out.
    iterate : int, default=2
        Rounds in which each season is found from what the others leave.
    robust : bool, default=True
        Whether odd points are weighed down while seasons and trend are found.
    residual_test : {"mad", "iqr", "gesd"}, default="mad"
        How centre and scale of the residuals are found, see
        :class:`~awry.detectors.series.stl.STL`.
    causal : bool, default=False
        Whether values are judged by those before them only: against the last training cycles,
        continued, around the median of the values before, as many as in the longest period.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    periods_ : list of int
        Ascending; empty where none was found.
    center_, scale_ : ndarray of shape (d,)
        Of the training residuals.

    Notes
    -----
    The seasonal spans are the authors' 11, 15, 19 and so on. Departures: no Box-Cox transform, and
    robust by default. New series as in :class:`~awry.detectors.series.stl.STL`.

    References
    ----------
    Bandara, Hyndman & Bergmeir: "MSTL: A Seasonal-Trend Decomposition Algorithm for Time Series
    with Multiple Seasonal Patterns", 2021, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(1000)
    >>> x = np.sin(t * 2 * np.pi / 24) + np.sin(t * 2 * np.pi / 168)
    >>> x += np.random.default_rng(0).normal(0, 0.1, 1000)
    >>> x[500] += 1.0
    >>> int(MSTL(period=[24, 168]).fit(x).decision_scores_.argmax())
    500
    """

    card = Card(
        name="mstl",
        summary="Values far from trend and several seasons, found by loess in turn.",
        modality="series",
        family="decomposition",
        paper="Bandara, Hyndman & Bergmeir, MSTL: A Seasonal-Trend Decomposition Algorithm",
        year=2021,
        fit_cost="O(T log T d) a season",
        score_cost="O(T log T d) a season",
        finds="values out of several seasons or off a changing trend",
        misses="odd shapes within the usual range; events as long as a period",
        univariate=True,
    )

    constraints = {**Residuals.constraints, "iterate": integer(1), "robust": boolean()}

    def __init__(
        self,
        period: int | list[int] | None = None,
        iterate: int = 2,
        robust: bool = True,
        residual_test: str = "mad",
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.period = period
        self.iterate = iterate
        self.robust = robust
        self.residual_test = residual_test
        self.causal = causal
        self.contamination = contamination

    def _split(self, values: FloatArray, periods: list[int]) -> Parts:
        if not periods:
            return split_stl(values, None, 7, None, self.robust)
        start = loess.rough_weights(values, periods, DEFAULT_SPAN) if self.robust else None
        found = loess.mstl(values, periods, iterate=self.iterate, robust=self.robust, start=start)
        return Parts(found.season, found.trend)
