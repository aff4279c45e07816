"""k-Shape: windows unlike the shapes that are usual."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing, random_state
from awry.core.series import Series, SeriesDetector
from awry.core.threshold import Threshold
from awry.detectors.series import _shapes
from awry.detectors.series._windows import window_length
from awry.kernels.shapes import k_shape


class KShape(SeriesDetector):
    """Windows unlike the shapes that are usual.

    Subsequences four windows long are clustered by shape, whatever their phase; the score of a
    window is the weighted mean of its z-normalised distances to the nearest part of each cluster's
    centre, large and central clusters weighing most. Each channel has its own shapes.

    Parameters
    ----------
    window : int or None, default=None
        Points in a window; None takes the dominant period, or 32 where there is none.
    n_clusters : int, default=6
        Shapes of a channel.
    stride : int, default=10
        Points from one subsequence's start to the next.
    random_state : int or None, default=None
        Seed of the labels k-Shape starts from.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    window_ : int
    centers_ : list of ndarray of shape (k, 4 window)
        The shapes of each channel.
    weights_ : list of ndarray of shape (k,)

    Notes
    -----
    Scores, lengths and defaults are those of TSB-AD's KShapeAD, which is SAND in one batch.
    Departures: at most 2000 subsequences are clustered, further apart where there are more; scores
    are not standardised, which does not change their order.

    References
    ----------
    Paparrizos & Gravano: "k-Shape: Efficient and Accurate Clustering of Time Series", SIGMOD 2015.
    Boniol, Paparrizos, Palpanas & Franklin: "SAND: Streaming Subsequence Anomaly Detection", VLDB
    2021, section 4, for weights and scores.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 5) + np.random.default_rng(0).normal(scale=0.05, size=600)
    >>> x[300:315] *= -1
    >>> model = KShape(window=31, random_state=0).fit(x)
    >>> bool(270 < model.decision_scores_.argmax() < 345)
    True
    """

    card = Card(
        name="k_shape",
        summary="Windows unlike the shapes that are usual.",
        modality="series",
        family="shape",
        paper="Paparrizos & Gravano, k-Shape, SIGMOD",
        year=2015,
        fit_cost="O(k d (N w log w + w^3)) an iteration, N <= 2000 subsequences of 4 windows w",
        score_cost="O(T k w d)",
        finds="odd shapes, also such as come back",
        misses="odd levels and scales; rare shapes that are normal",
        stochastic=True,
        min_rows=8,
    )

    constraints = {
        "window": any_of(nothing(), integer(3)),
        "n_clusters": integer(1),
        "stride": integer(1),
        "random_state": random_state(),
    }

    def __init__(
        self,
        window: int | None = None,
        n_clusters: int = 6,
        stride: int = 10,
        random_state: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.window = window
        self.n_clusters = n_clusters
        self.stride = stride
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> None:
        self.window_ = min(max(window_length(X, self.window), 3), len(X))
        # A subsequence leaves room for others.
        length = max(min(4 * self.window_, len(X) // 2), self.window_)
        self.centers_, self.weights_ = [], []
        rng = self._rng()
        for x, holes in _channels(X):
            rows = _shapes.subsequences(x, holes, length, self.stride)
            centers, labels = k_shape(rows, min(self.n_clusters, len(rows)), rng)
            self.centers_.append(centers)
            self.weights_.append(_shapes.weights(centers, np.bincount(labels).astype(float)))

    def _score(self, X: Series) -> FloatArray:
        models = zip(_channels(X), self.centers_, self.weights_, strict=True)
        scores = [
            _shapes.distances_to_shapes(x, holes, self.window_, centers, importance)
            for (x, holes), centers, importance in models
        ]
        return np.stack(scores, axis=1)


def _channels(X: Series) -> list[tuple[FloatArray, np.ndarray]]:
    values, holes = X.filled()
    return list(zip(values.T.copy(), holes.T, strict=True))
