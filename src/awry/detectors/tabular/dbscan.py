"""DBSCAN: how far the radius must grow for a row to be in a cluster."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing, real
from awry.core.threshold import Threshold, make_threshold
from awry.detectors.tabular._neighbors import NeighborDetector


class DBSCAN(NeighborDetector):
    """Rows that DBSCAN calls noise, by how much its radius must grow for it not to.

    A row is a core point at radius r if ``min_samples`` rows, itself among them, lie within r; it
    is in a cluster if it is a core point or within r of one, else noise (definitions 1 to 6 of the
    paper). The score is the least radius at which the row is in a cluster, over ``eps``: so a score
    above 1 is noise to DBSCAN, exactly.

    Parameters
    ----------
    eps : float > 0 or None, default=None
        The radius. None takes the median over the training rows of the least radius; ``eps`` does
        not change the order of scores. Where it is given, scores above 1 are flagged by default.
    min_samples : int >= 2, default=5
        Rows that make a core point, itself among them.
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
    core_distance_ : ndarray of shape (n,)
        Least radius at which each of ``search_.points_`` is a core point.
    eps_ : float
        The radius scores are given in.
    recall_ : float
        Share of the true neighbours that the search finds, measured in ``fit``.

    Notes
    -----
    New rows do not make training rows into core points. A row that coincides with a training row is
    taken to be that row.

    References
    ----------
    Ester, Kriegel, Sander, Xu: "A Density-Based Algorithm for Discovering Clusters in Large Spatial
    Databases with Noise", KDD 1996.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 2)), [[5.0, 5.0]]])
    >>> detector = DBSCAN(eps=2.0).fit(X)
    >>> np.flatnonzero(detector.labels_)
    array([200])
    """

    card = Card(
        name="dbscan",
        summary="Rows that are noise to DBSCAN unless its radius grows.",
        family="neighbours",
        paper="Ester et al., A Density-Based Algorithm for Discovering Clusters, KDD",
        year=1996,
        fit_cost="O(n² d), O(n^1.5 d) approximately",
        score_cost="O(n d) a row, O(n^0.5 d) approximately",
        finds="rows outside clusters of any shape",
        misses="rows near a dense cluster when other clusters are sparse; scale-dependent",
    )
    constraints: ClassVar = {
        **NeighborDetector.constraints,
        "eps": any_of(real(0, closed="()"), nothing()),
        "min_samples": integer(2),
    }

    def __init__(
        self,
        eps: float | None = None,
        *,
        min_samples: int = 5,
        metric: str = "euclidean",
        p: float = 2,
        algorithm: str = "auto",
        n_jobs: int | None = 1,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.eps = eps
        self.min_samples = min_samples
        self.metric = metric
        self.p = p
        self.algorithm = algorithm
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _default_threshold(self) -> Threshold:
        return super()._default_threshold() if self.eps is None else make_threshold("fixed:1")

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        self.search_ = self._search(X, self.min_samples - 1)
        distances, places = self.search_.query_points()
        self.core_distance_ = distances[:, -1].copy()
        radius = self._radius(distances, places)
        self.eps_ = self.eps or float(np.median(radius)) or float(radius.mean()) or 1.0
        return self.search_.as_fitted(radius / self.eps_)

    def _score(self, X: FloatArray) -> FloatArray:
        return self._radius(*self.search_.query(X)) / self.eps_

    def _radius(self, distances: FloatArray, places: IntArray) -> FloatArray:
        """Least radius at which a row is in a cluster.

        Core points further away than the neighbours cannot make it less than the core distance.
        """
        reached = np.maximum(distances, self.core_distance_[places]).min(axis=1)
        radius: FloatArray = np.minimum(reached, distances[:, -1])
        return radius
