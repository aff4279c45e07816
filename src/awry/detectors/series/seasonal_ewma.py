"""Seasonal EWMA band: a level and a season that follow the series, robustly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing, real
from awry.core.series import Series
from awry.core.threshold import Threshold
from awry.data.periods import dominant_period
from awry.detectors.series._band import LEAST_SCALE, BandDetector
from awry.kernels import control

#: Channels in which a period is looked for.
_PERIOD_CHANNELS = 16
#: Seasons a profile is taken from at least, and at most: the last ones.
_SEASONS = (2, 20)


class _State(NamedTuple):
    level: FloatArray
    season: FloatArray
    variance: FloatArray
    least: FloatArray
    ticks: np.ndarray


class SeasonalEWMA(BandDetector):
    """Points out of a band around a level and a season, for one series or a hundred thousand.

    Holt-Winters' additive method without trend: of a point ``level + season[phase]`` is expected;
    its error e moves the level by ``weight e`` and the season by ``season_weight (1 - weight) e``.
    Robust as in Gelper, Fried & Croux: errors are cut off at 2 σ before they teach (equation 9),
    and σ² is an exponentially weighted mean of the errors' biweight (equation 11). A channel
    scores ``|e| / σ`` with the σ before the point; :meth:`band` gives what is expected.

    Parameters
    ----------
    period : int or None, default=None
        Points in a season; None takes the dominant period of the training points, 1 means none.
    weight, season_weight, scale_weight : float, default=0.1, 0.2 and 0.02
        Weights in (0, 1) of the newest point for the level, its phase of the season and σ².
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    period_ : int
    state_ : named tuple of arrays
        ``level`` (d,), ``season`` (period, d), ``variance`` σ² (d,) and the ``ticks`` of the phase
        and of whole seasons.

    Notes
    -----
    The training points set the level, the season (each phase's median departure from its season's
    median) and σ by medians; with less than two seasons of them there is a level only at first, and
    each new season weighs 1/n until that is ``season_weight``. Missing points let the phase go on.
    Departure: σ is at least a twentieth of what it was at first.

    References
    ----------
    Gelper, Fried & Croux: "Robust Forecasting with Exponential and Holt-Winters Smoothing", Journal
    of Forecasting 2010; Winters: "Forecasting Sales by Exponentially Weighted Moving Averages",
    Management Science 1960.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.tile([1.0, 5.0, 3.0, 9.0], 50) + np.tile([0.1, 0.0, -0.1], 67)[:200]
    >>> model = SeasonalEWMA(period=4).fit(x)
    >>> model.band([np.nan, np.nan]).expected.round(0)
    array([[1.],
           [5.]])
    >>> model.decision_function([5.0]).round(0) > 20  # what is usual, a step too early
    array([ True])
    """

    card = Card(
        name="seasonal_ewma",
        summary="Points outside a band around an exponentially weighted level and season.",
        modality="series",
        family="control charts",
        paper="Gelper, Fried & Croux, Robust Forecasting with Exponential and Holt-Winters "
        "Smoothing, Journal of Forecasting",
        year=2010,
        fit_cost="O(T d)",
        score_cost="O(T d)",
        finds="spikes, dips, steps and values out of season",
        misses="odd shapes within the band; several seasons at once",
        online=True,
        univariate=True,
    )

    constraints = {
        "period": any_of(nothing(), integer(1)),
        "weight": real(0.0, 1.0, "()"),
        "season_weight": real(0.0, 1.0, "()"),
        "scale_weight": real(0.0, 1.0, "()"),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        period: int | None = None,
        weight: float = 0.1,
        season_weight: float = 0.2,
        scale_weight: float = 0.02,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.period = period
        self.weight = weight
        self.season_weight = season_weight
        self.scale_weight = scale_weight
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: Series) -> _State:
        self.period_ = self.period or _period(X)
        seasons = len(X) // self.period_
        level, season, errors = _profile(X.values, self.period_)
        scale = 1.4826 * _medians(np.abs(errors))
        deviation = np.sqrt(np.nan_to_num(_means(errors**2)))
        scale = np.where(scale > 0, scale, deviation)
        # Squares of what is smaller still would vanish.
        variance = np.where(scale > 0, np.maximum(scale, 1e-140), 1.0) ** 2
        ticks = np.array([0, seasons if seasons >= _SEASONS[0] else 0])
        return _State(level, season, variance, LEAST_SCALE**2 * variance, ticks)

    def _expect(self, state: _State, X: Series) -> tuple[FloatArray, FloatArray, FloatArray]:
        expected, scale = np.empty_like(X.values), np.empty_like(X.values)
        control.seasonal_ewma(
            np.ascontiguousarray(X.values), *state, float(self.weight), float(self.season_weight),
            float(self.scale_weight), expected, scale,
        )  # fmt: skip
        return expected, scale, scale


def _period(X: Series) -> int:
    """The period of the first channel that has one, 1 where none has."""
    found = (dominant_period(channel) for channel in X.values.T[:_PERIOD_CHANNELS])
    return next((period for period in found if period is not None), 1)


def _profile(values: FloatArray, period: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Level (d,), season (period, d) and the errors they leave, from the first phase on."""
    seasons = min(len(values) // period, _SEASONS[1])
    if period == 1 or seasons < _SEASONS[0]:
        level = np.nan_to_num(_medians(values))
        return level, np.zeros((period, values.shape[1])), values - level
    cut = values[: seasons * period].reshape(seasons, period, -1)
    levels = _medians(cut.swapaxes(0, 1))
    season = np.nan_to_num(_medians(cut - levels[:, None]))
    errors = cut - levels[:, None] - season
    known = ~np.isnan(levels)
    level = np.take_along_axis(levels, known.argmax(axis=0)[None], axis=0)[0]
    return np.nan_to_num(level), season, errors.reshape(-1, values.shape[1])


def _medians(values: FloatArray) -> FloatArray:
    """Medians along the first axis without NaN, NaN where there is no value.

    numpy's own goes through the columns one by one.
    """
    ordered = np.sort(values, axis=0)  # NaN last
    known = (~np.isnan(values)).sum(axis=0)
    middle = [np.maximum(known - 1, 0) // 2, np.minimum(known // 2, len(values) - 1)]
    return np.take_along_axis(ordered, np.stack(middle), axis=0).mean(axis=0)


def _means(values: FloatArray) -> FloatArray:
    """Means along the first axis without NaN, 0 where there is no value."""
    known = (~np.isnan(values)).sum(axis=0)
    return np.nansum(values, axis=0) / np.maximum(known, 1)
