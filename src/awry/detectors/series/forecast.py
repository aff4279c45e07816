"""Forecast: each value beside what exponential smoothing or ARIMA foretells."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.utils.validation import check_is_fitted

from awry.core.card import Card
from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.core.optional import optional
from awry.core.params import any_of, integer, nothing, option, real
from awry.core.series import Series, SeriesDetector, robust_moments
from awry.core.threshold import Threshold
from awry.detectors.series._residuals import Band, common_periods
from awry.kernels import loess

#: Points a model needs beside its seasons.
FEWEST = 10


class Forecast(SeriesDetector):
    """Values outside the prediction interval that a forecasting model gives one step ahead.

    A model is fitted to each channel of the training series, then run through a series with its
    parameters fixed: each point is foretold from those before it. The score of a channel is
    ``|error| / half-width`` of the prediction interval, so ``contamination="fixed:1"`` flags what
    lies outside.

    Parameters
    ----------
    model : {"ets", "arima", "mstl"}, default="ets"
        Exponential smoothing with additive error, damped trend and additive season; ARIMA(p, 1, 1)
        with a season (0, 1, 1); or exponential smoothing of what is left
        when the seasons of a training MSTL, continued, are taken out.
    period : int or None, default=None
        Points in a cycle. None takes the shortest (for ``"mstl"`` all) that
        :func:`~awry.data.periods.find_periods` finds.
    order : int, default=2
        p, the autoregressive order of ARIMA.
    coverage : float, default=0.95
        Of the prediction interval.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    periods_ : list of int
    params_ : list of ndarray
        Of each channel's model, as statsmodels orders them.
    sigma_ : ndarray of shape (d,)
        Robust standard deviation of each channel's training errors.

    Notes
    -----
    Models are those of statsmodels. Departures: the interval's width comes from the median
    absolute training error, which anomalies do not widen; errors in the first points of a series,
    where the model finds its level, are not judged. A new series is taken by itself; seasons of
    ``"mstl"`` go on from the training series' first phase.

    References
    ----------
    Hyndman, Koehler, Ord & Snyder: "Forecasting with Exponential Smoothing", 2008, chapters 2 and
    6; Box & Jenkins: "Time Series Analysis", 1970; Bandara, Hyndman & Bergmeir, 2021, for MSTL.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.cumsum(np.random.default_rng(0).normal(0, 0.1, 200))
    >>> x[150] += 3.0
    >>> int(Forecast().fit(x).decision_scores_.argmax())
    150
    """

    card = Card(
        name="forecast",
        summary="Values outside the prediction interval of exponential smoothing or ARIMA.",
        modality="series",
        family="forecast",
        paper="Hyndman, Koehler, Ord & Snyder, Forecasting with Exponential Smoothing",
        year=2008,
        fit_cost="O(T d) an iteration of the optimiser, times the period",
        score_cost="O(T d), times the period",
        finds="spikes, breaks and beats out of step",
        misses="slow changes, which it follows",
        extra="forecast",
        univariate=True,
    )

    constraints = {
        "model": option("ets", "arima", "mstl"),
        "period": any_of(nothing(), integer(2)),
        "order": integer(1),
        "coverage": real(0, 1, "()"),
    }

    def __init__(
        self,
        model: str = "ets",
        period: int | None = None,
        order: int = 2,
        coverage: float = 0.95,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.model = model
        self.period = period
        self.order = order
        self.coverage = coverage
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> None:
        n, d = X.values.shape
        periods = [self.period] if self.period else common_periods(X)
        if n < FEWEST:
            raise DataError(f"Forecast: the series must have {FEWEST} points at least, got {n}")
        if self.model != "mstl":
            periods = periods[:1]
        self.periods_ = [p for p in periods if n >= 2 * p + FEWEST]
        self.center_, self.unit_ = robust_moments(X.values)
        z = (X.filled()[0] - self.center_) / self.unit_
        self.cycles_ = self._seasons(z) if self.model == "mstl" else []
        self.params_, self.sigma_ = [], np.ones(d)
        for j, channel in enumerate((z - self._season(n, d)).T):
            params = self._learn(channel)
            self.params_.append(params)
            error = np.abs(channel - self._foretell(channel, params))[~np.isnan(X.values[:, j])]
            if len(error):
                typical = 1.4826 * float(np.nanmedian(error)) or float(np.nanstd(error))
                self.sigma_[j] = max(typical, 1e-9)

    def _seasons(self, z: FloatArray) -> list[FloatArray]:
        """The last training cycle of each season (period, d), turned to the first phase."""
        n = len(z)
        if not self.periods_:
            return []
        parts = [loess.mstl(channel, self.periods_, robust=True).season for channel in z.T]
        return [
            np.roll(np.column_stack([s[k][-p:] for s in parts]), n % p, axis=0)
            for k, p in enumerate(self.periods_)
        ]

    def _season(self, n: int, d: int) -> FloatArray:
        whole = np.zeros((n, d))
        for cycle in self.cycles_:
            whole += cycle[np.arange(n) % len(cycle)]
        return whole

    def _made(self, z: FloatArray) -> Any:
        """The model of a channel, not fitted."""
        api = optional("statsmodels.tsa.api", extra="forecast", needed_by="Forecast")
        season = self.periods_[0] if self.periods_ and self.model != "mstl" else 0
        seasonal = int(season > 0)
        if self.model == "arima":
            return api.SARIMAX(
                z, order=(self.order, 1, 1), seasonal_order=(0, seasonal, seasonal, season)
            )
        return api.ETSModel(
            z, error="add", trend="add", damped_trend=True, seasonal="add" if season else None,
            seasonal_periods=season or None, initialization_method="heuristic",
        )  # fmt: skip

    def _learn(self, z: FloatArray) -> FloatArray:
        with warnings.catch_warnings():
            # What the optimiser leaves undone shows in the width of the interval.
            warnings.simplefilter("ignore")
            return np.asarray(self._made(z).fit(disp=False, maxiter=100).params)

    def _foretell(self, z: FloatArray, params: FloatArray) -> FloatArray:
        """One step ahead, (T,); NaN for the first points."""
        first = 1 + max(self.periods_, default=0)
        if len(z) < first + FEWEST:
            return np.full(len(z), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = self._made(z).smooth(params)
        found = np.asarray(result.fittedvalues, dtype=np.float64).copy()
        found[: first if self.model == "arima" else 1] = np.nan
        return found

    def _expected(self, X: Series) -> FloatArray:
        z = (X.filled()[0] - self.center_) / self.unit_
        season = self._season(*z.shape)
        pairs = zip((z - season).T, self.params_, strict=True)
        return np.column_stack([self._foretell(c, p) for c, p in pairs]) + season

    @property
    def _half(self) -> FloatArray:
        return np.asarray(norm.ppf(0.5 + self.coverage / 2) * self.sigma_)

    def _score(self, X: Series) -> FloatArray:
        return np.abs((X.values - self.center_) / self.unit_ - self._expected(X)) / self._half

    def band(self, X: Any) -> Band:
        """What is foretold of each point and its prediction interval, each (T, d).

        NaN in the first points.
        """
        check_is_fitted(self)
        expected = self.center_ + self.unit_ * self._expected(self._check_input(X, reset=False))
        half = self._half * self.unit_
        return Band(expected, expected - half, expected + half)
