"""KNN: distance to the nearest neighbours."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import option
from awry.core.threshold import Threshold
from awry.detectors.tabular._neighbors import NeighborDetector, shares

#: Unflagged training rows that a row whose neighbours are flagged is compared with.
_CALM_ROWS = 20_000


class KNN(NeighborDetector):
    """Rows far from their nearest neighbours.

    Parameters
    ----------
    n_neighbors : int, default=5
    method : {"largest", "mean", "median"}, default="largest"
        The score is the distance to the k-th neighbour (Ramaswamy et al.), the mean of the
        distances to all k (Angiulli & Pizzuti, whose weight is their sum), or their median.
    metric : {"euclidean", "minkowski", "manhattan", "chebyshev"}, default="euclidean"
    p : float >= 1, default=2
        Power of the Minkowski metric.
    algorithm : {"auto", "exact", "approximate", ...}, default="auto"
        ``"auto"`` searches exactly up to 100,000 rows and approximately beyond; see
        :class:`~awry.detectors.tabular._neighbors.NeighborSearch`.
    n_jobs : int or None, default=1
        Threads of the search; -1 for all.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    search_ : NeighborSearch
    recall_ : float
        Share of the true neighbours that the search finds, measured in ``fit``.

    Notes
    -----
    A row that coincides with a training row is taken to be that row, which is no neighbour of
    itself: training rows and new rows are judged alike.

    References
    ----------
    Ramaswamy, Rastogi, Shim: "Efficient Algorithms for Mining Outliers from Large Data Sets",
    SIGMOD 2000. Angiulli & Pizzuti: "Fast Outlier Detection in High Dimensional Spaces", PKDD 2002.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[0.0, 9.0, 0.0]]])
    >>> detector = KNN(n_neighbors=10, method="mean").fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    >>> detector.explain(X[200:]).top(1)[0][0][0]
    'x1'
    """

    card = Card(
        name="knn",
        summary="Rows far from their nearest neighbours.",
        family="neighbours",
        paper="Ramaswamy et al., Efficient Algorithms for Mining Outliers, SIGMOD",
        year=2000,
        fit_cost="O(n² d), O(n^1.5 d) approximately",
        score_cost="O(n d) a row, O(n^0.5 d) approximately",
        finds="rows in empty space, whatever the shape of the data; small groups of up to k rows",
        misses="rows near a dense cluster when other clusters are sparse; scale-dependent",
        pyod="knn.KNN",
    )
    constraints: ClassVar = {
        **NeighborDetector.constraints,
        "method": option("largest", "mean", "median"),
    }

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        method: str = "largest",
        metric: str = "euclidean",
        p: float = 2,
        algorithm: str = "auto",
        n_jobs: int | None = 1,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.method = method
        self.metric = metric
        self.p = p
        self.algorithm = algorithm
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        self.search_ = self._search(X, self.n_neighbors)
        return self.search_.as_fitted(self._combine(self.search_.query_points()[0]))

    def _score(self, X: FloatArray) -> FloatArray:
        return self._combine(self.search_.query(X)[0])

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        """Each distance, divided among the features as they make it up.

        A neighbour that is flagged itself shares what is odd about a row of a small group: there
        the nearest training row that is not flagged says in which features the row is apart.
        """
        distances, places = self.search_.query(X)
        rows, flagged = self.search_.scaled(X), self.labels_[self.search_.order_][places] == 1
        calm = self._calm_differences(rows, np.flatnonzero(flagged.any(axis=1)))
        parts = np.zeros(X.shape)
        for rank, weight in enumerate(self._weights(distances.shape[1])):
            if weight:
                apart = rows - self.search_.points_[places[:, rank]]
                instead = flagged[:, rank, None] & (calm != 0).any(axis=1, keepdims=True)
                part = shares(np.where(instead, calm, apart), self.search_.power)
                parts += weight * distances[:, rank, None] * part
        return parts, 0.0

    def _calm_differences(self, rows: FloatArray, picks: IntArray) -> FloatArray:
        """How the ``picks`` of ``rows`` differ from the nearest unflagged of the training rows.

        Shape (m, d); 0 in the other rows. Of many training rows, some spread evenly are looked at.
        """
        apart = np.zeros(rows.shape)
        calm = np.flatnonzero(self.labels_[self.search_.order_] == 0)
        if len(picks) and len(calm):
            spread = np.linspace(0, len(calm) - 1, min(_CALM_ROWS, len(calm))).astype(np.int64)
            points, power = self.search_.points_[calm[spread]], self.search_.power
            metric, about = ("chebyshev", {}) if np.isinf(power) else ("minkowski", {"p": power})
            nearest = pairwise_distances_argmin(
                rows[picks], points, metric=metric, metric_kwargs=about
            )
            apart[picks] = rows[picks] - points[nearest]
        return apart

    def _combine(self, distances: FloatArray) -> FloatArray:
        score: FloatArray = (distances * self._weights(distances.shape[1])).sum(axis=1)
        return score

    def _weights(self, k: int) -> FloatArray:
        """What each of ``k`` ascending distances counts."""
        ranks = {
            "largest": slice(k - 1, k),
            "mean": slice(0, k),
            "median": slice((k - 1) // 2, k // 2 + 1),
        }[self.method]
        weights = np.zeros(k)
        weights[ranks] = 1.0 / len(weights[ranks])
        return weights
