"""EWMA chart: an exponentially weighted mean that leaves its control limits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing, real
from awry.core.series import OnlineDetector, Series, robust_moments
from awry.core.threshold import Threshold
from awry.kernels import control


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    level: FloatArray
    age: FloatArray


class EWMA(OnlineDetector):
    """Small lasting shifts of a level: an exponentially weighted mean beyond its limits.

    With ``z_t = λ x_t + (1 - λ) z_(t-1)`` from ``z_0 = μ`` the score of a channel is
    ``|z_t - μ| / (σ sqrt(λ / (2 - λ) (1 - (1 - λ)^(2t))))``, the paper's limits with their exact
    width from the first point on. The usual limits are 2.7 to 3, ``contamination="fixed:3"``.

    Parameters
    ----------
    weight : float, default=0.2
        λ in (0, 1], the weight of the newest point; small values find small shifts.
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays (d,)
        ``center`` μ and ``scale`` σ of each channel, ``level`` z and ``age`` t.

    Notes
    -----
    Departure: μ and σ are the median and the scaled median absolute deviation of the training
    points, which anomalies among them do not move.

    References
    ----------
    Roberts: "Control Chart Tests Based on Geometric Moving Averages", Technometrics 1959; the
    limits as in Lucas & Saccucci, Technometrics 1990, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.r_[np.tile([9.0, 10.0, 11.0], 30), np.full(8, 12.0)]
    >>> EWMA().fit(x).decision_scores_[[80, 91, 97]].round(1)
    array([0.3, 1.6, 3.4])
    """

    card = Card(
        name="ewma",
        summary="Points where an exponentially weighted mean leaves its control limits.",
        modality="series",
        family="control charts",
        paper="Roberts, Control Chart Tests Based on Geometric Moving Averages, Technometrics",
        year=1959,
        fit_cost="O(T d)",
        score_cost="O(T d)",
        finds="small lasting shifts of the level",
        misses="odd shapes; what a season or a trend explains",
        online=True,
        univariate=True,
    )

    constraints = {"weight": real(0.0, 1.0, "(]"), "warmup": any_of(nothing(), integer(2))}

    def __init__(
        self,
        weight: float = 0.2,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.weight = weight
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: Series) -> _State:
        center, scale = robust_moments(X.values)
        return _State(center, scale, center.copy(), np.zeros(len(center)))

    def _advance(self, state: _State, X: Series) -> FloatArray:
        scores = np.empty_like(X.values)
        values = np.ascontiguousarray(X.values)
        control.ewma(values, state.center, state.scale, self.weight, state.level, state.age, scores)
        return scores
