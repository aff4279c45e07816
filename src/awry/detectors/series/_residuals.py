"""What season and trend leave over, in units of its scale; shared by the decompositions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import median_filter
from sklearn.utils.validation import check_is_fitted

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, boolean, integer, listing, nothing, option
from awry.core.series import Moments, Series, SeriesDetector
from awry.data.periods import find_periods
from awry.kernels.columns import extreme_deviates
from awry.kernels.deviates import critical_deviates

#: Points of the trend's span where there is no season.
DEFAULT_SPAN = 33
#: Scales below this share of the largest value are rounding.
ROUNDING = 1e-9


class Parts(NamedTuple):
    """Seasons (k, T), one for each period, and trend (T,) of a channel."""

    seasons: FloatArray
    trend: FloatArray


class Band(NamedTuple):
    """What is expected of each value, and between which limits; each (T, d)."""

    expected: FloatArray
    low: FloatArray
    high: FloatArray


def scale_floor(values: FloatArray) -> FloatArray:
    """The least scale of each column that is not taken for rounding; ``values`` may hold NaN."""
    largest = np.nan_to_num(np.abs(values)).max(axis=0)
    return np.where(largest > 0, ROUNDING * largest, 1.0)


def residual_moments(rest: FloatArray, test: str, max_outliers: float, alpha: float) -> Moments:
    """Centre and scale of residuals (T,) without NaN, in which odd ones count little.

    ``"mad"``: median and 1.4826 times the median absolute deviation. ``"iqr"``: midhinge and
    interquartile range over 1.349; Tukey's fences are then at 2.7. ``"gesd"``: mean and standard
    deviation of what Rosner's test leaves. All three scales are the standard deviation of normal
    residuals.
    """
    if test == "mad":
        centre = np.median(rest)
        scale = 1.4826 * np.median(np.abs(rest - centre))
    elif test == "iqr":
        low, high = np.percentile(rest, [25, 75])
        centre, scale = (low + high) / 2, (high - low) / 1.349
    else:
        steps = min(max(int(max_outliers * len(rest)), 1), len(rest) - 3)
        ordered, found = np.sort(rest), 0
        low = 0
        if steps >= 1:
            deviates, lows = extreme_deviates(ordered, steps)
            above = np.flatnonzero(deviates > critical_deviates(len(rest), steps, alpha))
            found = int(above[-1]) + 1 if len(above) else 0
            low = lows[found]
        kept = ordered[low : len(ordered) - (found - low)]
        centre, scale = kept.mean(), kept.std(ddof=1) if len(kept) > 1 else 0.0
    return Moments(np.asarray(centre), np.asarray(scale or rest.std()))


class Residuals(SeriesDetector):
    """Base of detectors that take season and trend out of each channel and judge the rest.

    A subclass writes ``_split(values, periods)``.

    The score of a value is ``|rest - centre| / scale`` with centre and scale of the training
    residuals by ``residual_test``; of a missing value NaN. A new series is decomposed by itself if
    it is at least two of its longest periods long. A shorter one is taken to follow the training
    series, at the phase its times tell, or else right after it: the season is that of the last
    training cycle, continued, and the level the median of the values before each, as many as in the
    longest period, seasons taken out. With ``causal`` every series is judged like that, by what
    came before.
    """

    constraints = {
        "period": any_of(nothing(), integer(2), listing(integer(2))),
        "residual_test": option("mad", "iqr", "gesd"),
        "causal": boolean(),
    }
    #: The most outliers and the level of the test ``"gesd"``.
    max_outliers: float = 0.1
    alpha: float = 0.05

    period: int | list[int] | None
    residual_test: str
    causal: bool = False

    def _split(self, values: FloatArray, periods: list[int]) -> Parts:
        """Seasons and trend of a channel (T,) without NaN, at least two periods long."""
        raise NotImplementedError

    def _together(self, parts: Parts) -> FloatArray:
        """What seasons and trend make the values, (T,)."""
        return parts.trend + parts.seasons.sum(axis=0)

    def _calm(self, values: FloatArray, seasons: FloatArray) -> FloatArray:
        """The values (T, d) without their ``seasons`` (k, T, d)."""
        return values - seasons.sum(axis=0)

    def _rest(self, values: FloatArray, expected: FloatArray) -> FloatArray:
        return values - expected

    def _restore_rest(self, expected: FloatArray, rest: FloatArray) -> FloatArray:
        """The inverse of ``_rest``."""
        return expected + rest

    def _floor(self, values: FloatArray) -> FloatArray:
        """The least scale of each channel."""
        return scale_floor(values)

    def _moments(self, rest: FloatArray) -> Moments:
        return residual_moments(rest, self.residual_test, self.max_outliers, self.alpha)

    def _periods(self, X: Series) -> list[int]:
        """The periods asked for, or those of the channel that has most."""
        if self.period is None:
            return common_periods(X)
        asked = [int(p) for p in np.unique(self.period)]
        if len(X) < 2 * asked[-1]:
            raise DataError(
                f"{type(self).__name__}: the series must be at least two periods long, "
                f"2 x {asked[-1]} points, got {len(X)}"
            )
        return asked

    def _fit(self, X: Series, y: IntArray | None) -> FloatArray:
        self.periods_ = self._periods(X)
        self.end_, self.step_ = _micros(X.times)[-1] if X.times is not None else 0, step_of(X.times)
        filled, _ = X.filled(causal=self.causal)
        longest = self._longest
        parts = [self._split(channel, self.periods_) for channel in filled.T]
        # The last cycle of each season, to be continued, and the levels at the end.
        self.cycles_ = [
            np.column_stack([p.seasons[k][-period:] for p in parts])
            for k, period in enumerate(self.periods_)
        ]
        seasons = np.stack([p.seasons for p in parts], axis=-1)
        calm = self._calm(filled, seasons)
        lead = np.tile(np.median(calm[:longest], axis=0), (longest, 1))
        self.levels_ = np.concatenate([lead, calm])[-longest:]
        if self.causal:
            expected = self._together(Parts(seasons, _past_median(lead, calm)))
        else:
            expected = np.column_stack([self._together(p) for p in parts])
        rest = self._rest(X.values, expected)
        self.center_, self.scale_ = np.zeros(rest.shape[1]), np.ones(rest.shape[1])
        floor = self._floor(X.values)
        for j, channel in enumerate(rest.T):
            known = channel[~np.isnan(channel)]
            if len(known):
                self.center_[j], scale = self._moments(known)
                self.scale_[j] = max(float(scale), floor[j])
        return self._deviation(rest)

    @property
    def _longest(self) -> int:
        return max(self.periods_, default=DEFAULT_SPAN)

    def _expected(self, X: Series) -> FloatArray:
        """Season and trend of a new series, (T, d)."""
        values, _ = X.filled(causal=self.causal)
        offset = 0
        if X.times is not None and self.step_:
            offset = round((int(_micros(X.times)[0]) - self.end_) / self.step_) - 1
        if self.causal or len(X) < 2 * self._longest:
            at = offset + np.arange(len(X))
            seasons = np.zeros((len(self.cycles_), *values.shape))
            for k, cycle in enumerate(self.cycles_):
                seasons[k] = cycle[at % len(cycle)]
            level = _past_median(self.levels_, self._calm(values, seasons))
            return self._together(Parts(seasons, level))
        parts = [self._split(channel, self.periods_) for channel in values.T]
        return np.column_stack([self._together(p) for p in parts])

    def _score(self, X: Series) -> FloatArray:
        return self._deviation(self._rest(X.values, self._expected(X)))

    def _deviation(self, rest: FloatArray) -> FloatArray:
        return np.abs(rest - self.center_) / self.scale_

    def band(self, X: Any, width: float = 3.0) -> Band:
        """What is expected of each value, and the limits between which scores are below ``width``.

        Parameters
        ----------
        X : array-like of shape (T,) or (T, d)
        width : float, default=3

        Returns
        -------
        Band
            ``expected``, ``low`` and ``high``, each (T, d).
        """
        check_is_fitted(self)
        expected = self._expected(self._check_input(X, reset=False))
        steps = (self.center_ + k * width * self.scale_ for k in (0, -1, 1))
        return Band(*(self._restore_rest(expected, step) for step in steps))


def common_periods(X: Series) -> list[int]:
    """The periods of the channel that has most."""
    step = step_of(X.times)
    return max((find_periods(c, step / 1e6 if step else None) for c in X.values.T), key=len)


def _micros(times: Any) -> IntArray:
    return np.asarray(times, dtype="datetime64[us]").astype(np.int64)


def step_of(times: Any) -> int | None:
    """The usual step between times in microseconds, None without times or at a single one."""
    if times is None or len(times) < 2:
        return None
    return int(np.median(np.diff(_micros(times)))) or None


def _past_median(before: FloatArray, values: FloatArray) -> FloatArray:
    """The median of the ``len(before)`` points before each of ``values`` (T, d)."""
    length = len(before)
    whole = np.concatenate([before, values])[:-1]
    # The window of a point's predecessor that ends there, put where the filter centres it.
    shifted = median_filter(whole, size=(length, 1), origin=((length - 1) // 2, 0))
    return shifted[length - 1 :]
