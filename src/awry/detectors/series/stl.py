"""STL: season and trend by loess, odd where the rest is large."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, boolean, integer, nothing
from awry.core.threshold import Threshold
from awry.detectors.series._residuals import DEFAULT_SPAN, Parts, Residuals
from awry.kernels import loess


def split_stl(
    values: FloatArray, period: int | None, seasonal: int | None, trend: int | None, robust: bool
) -> Parts:
    """Season and trend of ``values`` (T,) by STL; without a period only a robust loess trend."""
    if trend is None and period is None:
        trend = DEFAULT_SPAN
    periods = [period] if period else []
    start = loess.rough_weights(values, periods, DEFAULT_SPAN) if robust else None
    found = loess.stl(
        values, period or 1, seasonal=seasonal, trend=trend, robust=robust, start=start
    )
    seasons = found.season[None] if period else np.zeros((0, len(values)))
    return Parts(seasons, found.trend)


class STL(Residuals):
    """Values far from season and trend, both found by loess.

    Parameters
    ----------
    period : int or None, default=None
        Points in a cycle. None takes the shortest :func:`~awry.data.periods.find_periods` finds;
        where there is none only the trend is taken out.
    seasonal : int, default=7
        Odd span of the seasonal smoothing, in cycles, at least 7.
    trend : int or None, default=None
        Span of the trend in points, made odd; None: the authors' for the period, and 33 without.
    robust : bool, default=True
        Whether odd points are weighed down while season and trend are found.
    residual_test : {"mad", "iqr", "gesd"}, default="mad"
        How centre and scale of the residuals are found: median and median absolute deviation,
        quartiles (Tukey's fences are then at 2.7), or mean and standard deviation of what Rosner's
        test leaves; each the standard deviation of normal residuals.
    causal : bool, default=False
        Whether values are judged by those before them only: against the last training cycle,
        continued, around the median of the values before, as many as in a period.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    periods_ : list of int
        The period; empty where none was found.
    center_, scale_ : ndarray of shape (d,)
        Of the training residuals.

    Notes
    -----
    A new series of two periods and more is decomposed by itself; a shorter one is taken to follow
    the training series and judged as under ``causal``. Residuals are measured by the training
    residuals' scale. Rounds are those
    of statsmodels (inner 2, outer 15 if robust; 5 and 0 if not). Departure: robust rounds begin
    with the weights of :func:`~awry.kernels.loess.rough_weights`, without which a spike in a few
    cycles may draw the season to itself.

    References
    ----------
    Cleveland, Cleveland, McRae & Terpenning: "STL: A Seasonal-Trend Decomposition Procedure Based
    on Loess", Journal of Official Statistics 1990, sections 2 and 3.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(240) * 2 * np.pi / 24) + np.random.default_rng(0).normal(0, 0.1, 240)
    >>> x[100] += 1.0
    >>> detector = STL(period=24).fit(x)
    >>> int(detector.decision_scores_.argmax()), bool(detector.decision_scores_[100] > 5)
    (100, True)
    """

    card = Card(
        name="stl",
        summary="Values far from season and trend, both found by loess.",
        modality="series",
        family="decomposition",
        paper="Cleveland et al., STL: A Seasonal-Trend Decomposition Procedure Based on Loess",
        year=1990,
        fit_cost="O(T log T d)",
        score_cost="O(T log T d)",
        finds="values out of season or off a changing trend",
        misses="odd shapes within the usual range; events as long as a period",
        univariate=True,
    )

    constraints = {
        **Residuals.constraints,
        "period": any_of(nothing(), integer(2)),
        "seasonal": integer(7),
        "trend": any_of(nothing(), integer(3)),
        "robust": boolean(),
    }

    def __init__(
        self,
        period: int | None = None,
        seasonal: int = 7,
        trend: int | None = None,
        robust: bool = True,
        residual_test: str = "mad",
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.period = period
        self.seasonal = seasonal
        self.trend = trend
        self.robust = robust
        self.residual_test = residual_test
        self.causal = causal
        self.contamination = contamination

    def _periods(self, X):  # type: ignore[no-untyped-def]
        return super()._periods(X)[:1]

    def _split(self, values: FloatArray, periods: list[int]) -> Parts:
        trend = None if self.trend is None else self.trend | 1
        period = periods[0] if periods else None
        return split_stl(values, period, self.seasonal | 1, trend, self.robust)
