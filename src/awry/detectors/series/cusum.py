"""CUSUM chart: sums of deviations that add up to a shift."""

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
    up: FloatArray
    down: FloatArray


class CUSUM(OnlineDetector):
    """Small lasting shifts of a level: deviations added up, less a slack.

    With ``z = (x - μ) / σ`` the two-sided tabular form: ``C+ = max(0, C+ + z - k)`` and
    ``C- = max(0, C- - z - k)``; a channel scores the larger, in standard deviations. Above ``h`` is
    a signal, ``contamination="fixed:5"``.

    Parameters
    ----------
    k : float, default=0.5
        The slack (reference value): half the shift to be found, in standard deviations.
    h : float or None, default=5.0
        The decision interval, in standard deviations. Once a sum is above it both start over at 0,
        so that each signal is a new one. None: they never do, and a lasting shift scores ever more.
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays (d,)
        ``center`` μ and ``scale`` σ of each channel, the sums ``up`` C+ and ``down`` C-.

    Notes
    -----
    With k = 0.5 and h = 5 a normal series signals every 465 points and one shifted by a standard
    deviation after 10.4. Departure: μ and σ are the median and the scaled median absolute deviation
    of the training points, which anomalies among them do not move.

    References
    ----------
    Page: "Continuous Inspection Schemes", Biometrika 1954; the tabular form as in Montgomery:
    "Introduction to Statistical Quality Control", section 9.1.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.r_[np.tile([9.0, 10.0, 11.0], 30), np.full(8, 12.0)]
    >>> CUSUM().fit(x).decision_scores_[[80, 91, 95, 97]].round(1)
    array([0.2, 1.9, 5.3, 1.7])
    """

    card = Card(
        name="cusum",
        summary="Points where deviations from the level have added up to a shift.",
        modality="series",
        family="control charts",
        paper="Page, Continuous Inspection Schemes, Biometrika",
        year=1954,
        fit_cost="O(T d)",
        score_cost="O(T d)",
        finds="small lasting shifts of the level",
        misses="odd shapes; what a season or a trend explains",
        online=True,
        univariate=True,
    )

    constraints = {
        "k": real(0.0),
        "h": any_of(nothing(), real(0.0, closed="()")),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        k: float = 0.5,
        h: float | None = 5.0,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.k = k
        self.h = h
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: Series) -> _State:
        center, scale = robust_moments(X.values)
        return _State(center, scale, np.zeros(len(center)), np.zeros(len(center)))

    def _advance(self, state: _State, X: Series) -> FloatArray:
        scores = np.empty_like(X.values)
        values = np.ascontiguousarray(X.values)
        limit = np.inf if self.h is None else float(self.h)
        control.cusum(
            values, state.center, state.scale, float(self.k), limit, state.up, state.down, scores
        )
        return scores
