"""CBLOF: distance to the nearest large cluster."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
from threadpoolctl import threadpool_limits

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import boolean, integer, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._groups import nearest_centre, scale_of
from awry.detectors.tabular._neighbors import shares


class CBLOF(Detector):
    """Rows far from the centres of the large clusters.

    Clusters, from k-means, are large or small by definition 3 of the paper. A row of a large
    cluster scores its distance to that cluster's centre, one of a small cluster that to the nearest
    centre of a large one (definition 4).

    Parameters
    ----------
    n_clusters : int, default=8
        Fewer where fewer rows differ.
    alpha : float in (0, 1), default=0.9
        The large clusters hold this share of the rows.
    beta : float > 1, default=5
        The smallest large cluster is so many times the largest small one.
    use_weights : bool, default=False
        Multiply the distance by the size of the row's cluster, as in the paper; without, as PyOD
        recommends, rows of small clusters are not favoured.
    random_state : int, Generator or None, default=None
        Seed of k-means.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (c, d)
        The largest cluster's first.
    cluster_sizes_ : ndarray of shape (c,)
    n_large_ : int
        The first so many clusters are large.

    Notes
    -----
    Where both conditions cannot be met at once the first is, as in PyOD; where neither can, all
    clusters are large (PyOD raises).

    References
    ----------
    He, Xu, Deng: "Discovering Cluster-Based Local Outliers", Pattern Recognition Letters 2003.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(size=(200, 2)), rng.normal(12, 0.1, size=(4, 2))])
    >>> CBLOF(n_clusters=2, random_state=0).fit(X).decision_scores_.argsort()[-4:].min()
    np.int64(200)
    """

    card = Card(
        name="cblof",
        summary="Rows in small clusters, or far from the centre of a large one.",
        family="neighbours",
        paper="He et al., Discovering Cluster-Based Local Outliers, Pattern Recognition Letters",
        year=2003,
        fit_cost="O(n c d) a pass",
        score_cost="O(c d) a row",
        finds="small clusters of anomalies; rows far from round clusters, in large data",
        misses="rows inside a cluster's radius; clusters that are not round or not equally wide",
        pyod="cblof.CBLOF",
        stochastic=True,
    )
    constraints: ClassVar = {
        "n_clusters": integer(1),
        "alpha": real(0, 1, "()"),
        "beta": real(1, closed="()"),
        "use_weights": boolean(),
        "random_state": random_state(),
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        alpha: float = 0.9,
        beta: float = 5,
        use_weights: bool = False,
        random_state: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.alpha = alpha
        self.beta = beta
        self.use_weights = use_weights
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        centres, labels = _k_means(X, self.n_clusters, self._seed())
        sizes = np.bincount(labels)
        order = np.argsort(-sizes, kind="stable")
        self.cluster_centers_, self.cluster_sizes_ = centres[order], sizes[order]
        self.n_large_ = self._boundary(self.cluster_sizes_)

    def _score(self, X: FloatArray) -> FloatArray:
        return self._nearest_large(X)[0]

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        """The score, divided among the features as they make up the distance."""
        score, centre = self._nearest_large(X)
        return score[:, None] * shares(X - self.cluster_centers_[centre], 2), 0.0

    def _boundary(self, sizes: IntArray) -> int:
        """How many of the clusters, largest first, are large."""
        enough = np.cumsum(sizes)[:-1] >= self.alpha * sizes.sum()
        drop = sizes[:-1] >= self.beta * sizes[1:]
        for condition in (enough & drop, enough, drop):
            if condition.any():
                return int(condition.argmax()) + 1
        return len(sizes)

    def _nearest_large(self, X: FloatArray) -> tuple[FloatArray, IntArray]:
        """Scores, and the centres from which they are measured."""
        # The nearest of all, where that is large, is the nearest large one.
        distances, centre = nearest_centre(X, self.cluster_centers_[: self.n_large_])
        if self.use_weights:
            distances *= self.cluster_sizes_[nearest_centre(X, self.cluster_centers_)[1]]
        return distances, centre


def _k_means(X: FloatArray, n_clusters: int, seed: int) -> tuple[FloatArray, IntArray]:
    """Different centres (c, d), at most ``n_clusters``, and the nearest to each row of ``X``."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    scale = scale_of(X)
    # In one thread, as the order in which threads add up would show in the last digits.
    with threadpool_limits(1), warnings.catch_warnings():
        # Fewer different rows than clusters: fewer clusters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(min(n_clusters, len(X)), random_state=seed % 2**32).fit(X * scale)
    used, labels = np.unique(model.labels_, return_inverse=True)
    return model.cluster_centers_[used] / scale, labels
