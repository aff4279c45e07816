"""Left matrix profile, point by point."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing
from awry.core.series import MAX_FILL, OnlineDetector, Series
from awry.core.threshold import Threshold
from awry.detectors.series._profile import exclusion
from awry.detectors.series._windows import window_length
from awry.kernels import matrix_profile as kernels


class LeftMatrixProfile(OnlineDetector):
    """Shapes not seen before: the newest window is far from every earlier one.

    The score of a point and channel is the z-normalised distance over ``sqrt(2 m)`` of the window
    that ends at it to its nearest neighbour among those in the buffer, leaving out the last quarter
    of a window. A point is judged once there are two windows' worth of neighbours.

    Parameters
    ----------
    window : int or None, default=None
        Points in a window; None takes the dominant period of the training series (of its warm-up,
        if there is one), or 32.
    buffer : int, default=10000
        Newest points that are remembered; a point takes time proportional to it.
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`; the scores need none but to find the period.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    window_ : int
    state_ : named tuple of arrays
        See :class:`~awry.kernels.matrix_profile.Trail`.

    Notes
    -----
    Departures: STAMPI updates the right neighbours of old windows too, which are not needed to
    judge the newest, and remembers all; the covariances advance in O(1) each as in Matrix Profile
    XIV, and each is computed anew every few thousand points, so that errors do not add up.

    References
    ----------
    Yeh et al.: "Matrix Profile I", ICDM 2016 (STAMPI). Lu et al.: "Matrix Profile XXIV: Scaling
    Time Series Anomaly Detection to Trillions of Datapoints", KDD 2022, for the left profile.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 5)
    >>> x[300:310] *= -1
    >>> bool(300 <= LeftMatrixProfile(window=30).fit(x).decision_scores_.argmax() < 330)
    True
    """

    card = Card(
        name="left_matrix_profile",
        summary="Windows whose shape has not been seen before.",
        modality="series",
        family="shape",
        paper="Yeh et al., Matrix Profile I: All Pairs Similarity Joins for Time Series, ICDM",
        year=2016,
        fit_cost="O(T B d) with a buffer of B points",
        score_cost="O(T B d)",
        finds="shapes seen for the first time, at any level and scale",
        misses="odd levels and scales; shapes that were odd before",
        aliases=("stampi",),
        online=True,
        min_rows=8,
    )

    constraints = {
        "window": any_of(nothing(), integer(3)),
        "buffer": integer(16),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        window: int | None = None,
        buffer: int = 10_000,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.window = window
        self.buffer = buffer
        self.warmup = warmup
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> FloatArray:
        head = X if self.warmup is None else X[: self.warmup]
        # Two windows' worth of neighbours and the window must find place in the buffer.
        self.window_ = min(max(window_length(head, self.window), 3), self.buffer // 4)
        return super()._fit(X, y)

    def _start(self, X: Series) -> kernels.Trail:
        return kernels.trail(X.values.shape[1], self.buffer, self.window_)

    def _advance(self, state: kernels.Trail, X: Series) -> FloatArray:
        scores = np.empty((X.values.shape[1], len(X)))
        m = self.window_
        for j, out in enumerate(scores):
            row = kernels.Trail(*(part[j] for part in state))
            values = np.ascontiguousarray(X.values[:, j])
            kernels.follow(values, m, exclusion(m) + 1, 2 * m, MAX_FILL, row, out)
        return scores.T / np.sqrt(2.0 * m)
