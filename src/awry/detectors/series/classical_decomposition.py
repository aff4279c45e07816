"""Classical decomposition: a moving mean, the mean of each phase, odd where the rest is large."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.errors import DataError
from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing, option
from awry.core.threshold import Threshold
from awry.detectors.series._residuals import DEFAULT_SPAN, ROUNDING, Parts, Residuals


def moving_trend(values: FloatArray, period: int) -> FloatArray:
    """Centred moving mean over one period (T,), carried on at the ends by straight lines.

    Half a period at each end has no full window; there the least-squares line through the nearest
    ``period`` means takes over.
    """
    ends = 0.5 if period % 2 == 0 else 1.0
    weights = np.ones(period + 1 - period % 2) / period
    weights[[0, -1]] *= ends
    half, n = len(weights) // 2, len(values)
    trend = np.empty(n)
    trend[half : n - half] = np.convolve(values, weights, mode="valid")
    at = np.arange(n, dtype=np.float64)
    size = min(period, n - 2 * half)
    for known, open_ in (
        (slice(half, half + size), slice(0, half)),
        (slice(n - half - size, n - half), slice(n - half, n)),
    ):
        slope = 0.0
        x = at[known] - at[known].mean()
        if size > 1:
            slope = (x @ trend[known]) / (x @ x)
        trend[open_] = trend[known].mean() + slope * (at[open_] - at[known].mean())
    return trend


class ClassicalDecomposition(Residuals):
    """Values far from season and trend, both found by means.

    The trend is the centred moving mean over a period, the season the mean of each phase of what is
    left; the rest is judged.

    Parameters
    ----------
    period : int or None, default=None
        Points in a cycle. None takes the shortest :func:`~awry.data.periods.find_periods` finds;
        where there is none only a moving mean over 33 points is taken out.
    model : {"additive", "multiplicative"}, default="additive"
        Whether season, trend and rest add up or multiply; the latter needs values above 0.
    residual_test : {"mad", "iqr", "gesd"}, default="mad"
        How centre and scale of the residuals are found, see
        :class:`~awry.detectors.series.stl.STL`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    periods_ : list of int
        The period; empty where none was found.
    center_, scale_ : ndarray of shape (d,)
        Of the training residuals, which are shares of the expected value where the model is
        multiplicative.

    Notes
    -----
    The oldest decomposition and the cheapest; odd values leave traces in its means, which STL's
    weights undo. New series as in :class:`~awry.detectors.series.stl.STL`.

    References
    ----------
    Persons: "Indices of Business Conditions", Review of Economics and Statistics 1919; as in
    Hyndman & Athanasopoulos: "Forecasting: Principles and Practice", section 3.4.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.tile([1.0, 2.0, 4.0, 3.0], 20)
    >>> x[30] += 2.0
    >>> int(ClassicalDecomposition(period=4).fit(x).decision_scores_.argmax())
    30
    """

    card = Card(
        name="classical_decomposition",
        summary="Values far from a moving mean and the mean of their phase.",
        modality="series",
        family="decomposition",
        paper="Persons, Indices of Business Conditions, Review of Economics and Statistics",
        year=1919,
        fit_cost="O(T d)",
        score_cost="O(T d)",
        finds="values out of season or off a slow trend",
        misses="what a changing season explains; several odd values in few cycles",
        univariate=True,
    )

    constraints = {
        "period": any_of(nothing(), integer(2)),
        "model": option("additive", "multiplicative"),
        "residual_test": Residuals.constraints["residual_test"],
    }

    def __init__(
        self,
        period: int | None = None,
        model: str = "additive",
        residual_test: str = "mad",
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.period = period
        self.model = model
        self.residual_test = residual_test
        self.contamination = contamination

    @property
    def _multiplies(self) -> bool:
        return self.model == "multiplicative"

    def _periods(self, X):  # type: ignore[no-untyped-def]
        return super()._periods(X)[:1]

    def _split(self, values: FloatArray, periods: list[int]) -> Parts:
        if self._multiplies and (values <= 0).any():
            raise DataError(
                "ClassicalDecomposition: model='multiplicative' needs values above 0, "
                f"got {values.min():g}"
            )
        n = len(values)
        trend = moving_trend(values, periods[0] if periods else min(DEFAULT_SPAN, (n + 1) // 2))
        if not periods:
            return Parts(np.zeros((0, n)), trend)
        half, phase = periods[0] // 2, np.arange(n) % periods[0]
        left = values / trend if self._multiplies else values - trend
        # Only where the trend has a full window, as in the textbook.
        inner = slice(half, n - half)
        counts = np.bincount(phase[inner], minlength=periods[0])
        season = np.bincount(phase[inner], left[inner], periods[0]) / counts
        season = season / season.mean() if self._multiplies else season - season.mean()
        return Parts(season[phase][None], trend)

    def _together(self, parts: Parts) -> FloatArray:
        if self._multiplies:
            return parts.trend * parts.seasons.prod(axis=0)
        return super()._together(parts)

    def _calm(self, values: FloatArray, seasons: FloatArray) -> FloatArray:
        if self._multiplies:
            return values / seasons.prod(axis=0)
        return super()._calm(values, seasons)

    def _rest(self, values: FloatArray, expected: FloatArray) -> FloatArray:
        if self._multiplies:
            return values / expected - 1.0
        return super()._rest(values, expected)

    def _restore_rest(self, expected: FloatArray, rest: FloatArray) -> FloatArray:
        if self._multiplies:
            return expected * (1.0 + rest)
        return super()._restore_rest(expected, rest)

    def _floor(self, values: FloatArray) -> FloatArray:
        return np.full(values.shape[1], ROUNDING) if self._multiplies else super()._floor(values)
