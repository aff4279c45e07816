"""Shewhart chart: points or subgroup means beyond their control limits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing, option
from awry.core.series import Moments, OnlineDetector, Series, robust_moments
from awry.core.threshold import Threshold
from awry.detectors.series._band import LEAST_SCALE
from awry.kernels import control


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    least: FloatArray
    total: FloatArray
    points: np.ndarray
    ring: FloatArray
    sums: FloatArray
    seen: np.ndarray


class Shewhart(OnlineDetector):
    """Large sudden deviations: points (individuals) or means of subgroups (x̄) beyond limits.

    A channel scores ``|x̄ - μ| / (σ / sqrt(m))`` where ``x̄`` is the mean of the ``m`` points of
    the subgroup so far, so that every point is judged and the last of a subgroup as on the x̄
    chart. The usual limit is 3, ``contamination="fixed:3"``.

    Parameters
    ----------
    subgroup : int, default=1
        Points that follow one another in a subgroup; 1 is the chart of individuals.
    window : int or None, default=None
        None fixes μ and σ on the training points (phase I). A number takes the mean and standard
        deviation of that many points before each, once there are so many.
    scale : {"mad", "range"}, default="mad"
        How μ and σ come from the training points. ``"mad"``: median and scaled median absolute
        deviation, which anomalies do not move. ``"range"``: the mean, and the mean moving range or
        mean range of subgroups over its expectation d2, as on the classical chart.
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        Among them ``center`` μ and ``scale`` σ of each channel, (d,).

    Notes
    -----
    Departures: the default ``scale``, and that rolling limits never come nearer than a twentieth of
    the training points' scale.

    References
    ----------
    Shewhart: "Economic Control of Quality of Manufactured Product", Van Nostrand 1931; ranges as in
    Montgomery: "Introduction to Statistical Quality Control", sections 6.2 and 6.4.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.tile([9.0, 10.0, 11.0, 10.0], 25)
    >>> x[60:64] = 13
    >>> Shewhart().fit(x).decision_scores_[[59, 60, 63]].round(1)
    array([0., 2., 2.])
    >>> Shewhart(subgroup=4).fit(x).decision_scores_[[59, 60, 63]].round(1)
    array([0., 2., 4.])
    """

    card = Card(
        name="shewhart",
        summary="Points or subgroup means beyond their control limits, fixed or rolling.",
        modality="series",
        family="control charts",
        paper="Shewhart, Economic Control of Quality of Manufactured Product, Van Nostrand",
        year=1931,
        fit_cost="O(T d)",
        score_cost="O(T d)",
        finds="large sudden deviations",
        misses="small shifts; odd shapes; what a season or a trend explains",
        online=True,
        univariate=True,
    )

    constraints = {
        "subgroup": integer(1),
        "window": any_of(nothing(), integer(2)),
        "scale": option("mad", "range"),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        subgroup: int = 1,
        window: int | None = None,
        scale: str = "mad",
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.subgroup = subgroup
        self.window = window
        self.scale = scale
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: Series) -> _State:
        mad = robust_moments(X.values)
        center, scale = mad if self.scale == "mad" else _range_moments(X.values, self.subgroup, mad)
        d = len(center)
        sums = np.zeros((d, 3))
        sums[:, 2] = center
        return _State(
            center, scale, LEAST_SCALE * scale, np.zeros(d), np.zeros(d, np.int64),
            np.zeros((d, self.window or 0)), sums, np.zeros(d, np.int64),
        )  # fmt: skip

    def _advance(self, state: _State, X: Series) -> FloatArray:
        scores = np.empty_like(X.values)
        values = np.ascontiguousarray(X.values)
        control.shewhart(
            values, state.center, state.scale, state.least, self.subgroup, state.total,
            state.points, state.ring, state.sums, state.seen, scores,
        )  # fmt: skip
        return scores


def _range_moments(values: FloatArray, subgroup: int, otherwise: Moments) -> Moments:
    """Mean and mean range over its expectation of each column of ``values`` (T, d), without NaN.

    ``otherwise`` serves for columns without ranges, or with ranges of 0 alone.
    """
    center, scale = otherwise.center.copy(), otherwise.scale.copy()
    for j, column in enumerate(values.T):
        known = column[~np.isnan(column)]
        if subgroup == 1:
            ranges = np.abs(np.diff(known))
        else:
            whole = known[: len(known) // subgroup * subgroup].reshape(-1, subgroup)
            ranges = np.ptp(whole, axis=1)
        if len(ranges) and ranges.any():
            center[j] = known.mean()
            scale[j] = ranges.mean() / expected_range(max(subgroup, 2))
    return Moments(center, scale)


def expected_range(n: int) -> float:
    """d2: the mean range of ``n`` standard normal points.

    Examples
    --------
    >>> [round(expected_range(n), 3) for n in (2, 5, 10)]
    [1.128, 2.326, 3.078]
    """
    return float(quad(lambda x: 1 - norm.sf(x) ** n - norm.cdf(x) ** n, -8, 8)[0])
