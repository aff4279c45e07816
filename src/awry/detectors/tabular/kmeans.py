"""k-means--: distance to the nearest of a few centres that outliers do not move."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import integer, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._groups import nearest_centre
from awry.detectors.tabular._neighbors import shares

#: Rows on which starts are compared, and steps after which centres are left where they are.
_SAMPLE, _MOST_STEPS = 10_000, 30


class KMeansDistance(Detector):
    """Rows far from the centres that k-means puts among the training rows.

    The centres are moved as in k-means, but in each step by the nearest rows only (algorithm 1 of
    the paper, k-means--); else anomalies would be centres of their own.

    Parameters
    ----------
    n_clusters : int, default=8
    trim : float in [0, 0.5], default=0.1
        Share of the rows, the farthest from the centres, that do not move them.
    n_init : int, default=10
        Random starts, on a sample of at most 10,000 rows, of which the one of the least distortion
        is followed up on all rows.
    random_state : int, Generator or None, default=None
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (c, d)

    References
    ----------
    Chawla & Gionis: "k-means--: A Unified Approach to Clustering and Outlier Detection", SDM 2013.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[0.0, 9.0, 0.0]]])
    >>> detector = KMeansDistance(n_clusters=3, random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    """

    card = Card(
        name="kmeans",
        summary="Rows far from every cluster's centre.",
        family="neighbours",
        paper="Chawla & Gionis, k-means--, SDM",
        year=2013,
        fit_cost="O(n c d) a pass",
        score_cost="O(c d) a row",
        finds="rows far from round clusters, in large data",
        misses="rows inside a cluster's radius; clusters that are not round or not equally wide",
        aliases=("kmeans_distance",),
        stochastic=True,
    )
    constraints: ClassVar = {
        "n_clusters": integer(1),
        "trim": real(0, 0.5),
        "n_init": integer(1),
        "random_state": random_state(),
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        trim: float = 0.1,
        n_init: int = 10,
        random_state: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.trim = trim
        self.n_init = n_init
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        rng = self._rng()
        sample = X[rng.permutation(len(X))[:_SAMPLE]]
        starts = [
            sample[rng.permutation(len(sample))[: self.n_clusters]] for _ in range(self.n_init)
        ]
        followed = [self._follow(sample, start) for start in starts]
        best = min(followed, key=lambda found: found[0])[1]
        self.cluster_centers_ = np.unique(self._follow(X, best)[1], axis=0)

    def _follow(self, X: FloatArray, centres: FloatArray) -> tuple[float, FloatArray]:
        """Move the centres until they stay; return the distortion and the centres."""
        for _ in range(_MOST_STEPS):
            distortion, moved = _step(X, centres, self.trim)
            if np.array_equal(moved, centres):
                break
            centres = moved
        return distortion, centres

    def _score(self, X: FloatArray) -> FloatArray:
        return nearest_centre(X, self.cluster_centers_)[0]

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        """The distance, divided among the features as they make it up."""
        distances, labels = nearest_centre(X, self.cluster_centers_)
        return distances[:, None] * shares(X - self.cluster_centers_[labels], 2), 0.0


def _step(X: FloatArray, centres: FloatArray, trim: float) -> tuple[float, FloatArray]:
    """Mean squared distance of the rows that count, and the centres moved to their means."""
    distances, labels = nearest_centre(X, centres)
    near = distances <= np.quantile(distances, 1.0 - trim)
    kept, labels = X[near], labels[near]
    sizes = np.bincount(labels, minlength=len(centres))
    sums = [np.bincount(labels, column, minlength=len(centres)) for column in kept.T]
    moved = np.divide(
        np.column_stack(sums), sizes[:, None], out=centres.copy(), where=sizes[:, None] > 0
    )
    return float(np.mean(distances[near] ** 2)), moved
