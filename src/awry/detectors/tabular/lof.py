"""LOF: density of a row's neighbours over its own."""

from __future__ import annotations

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.threshold import Threshold
from awry.detectors.tabular._neighbors import NeighborDetector


class LOF(NeighborDetector):
    """Rows whose neighbourhood is sparser than those of their neighbours.

    The score is the mean local reachability density of the k nearest neighbours, over the row's
    own (definitions 5 to 7 of the paper): about 1 inside a cluster, greater outside.

    Parameters
    ----------
    n_neighbors : int, default=20
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
    k_distance_, density_ : ndarray of shape (n,)
        Distance to the k-th neighbour and local reachability density, in the order of
        ``search_.points_``.
    floor_ : float
        Added to every mean reachability distance.
    recall_ : float
        Share of the true neighbours that the search finds, measured in ``fit``.

    Notes
    -----
    Departures from the paper: a neighbourhood holds exactly k rows where several are equally far
    away; and the mean reachability distance is raised by 1e-10 of the mean k-distance of the
    training rows (scikit-learn raises it by 1e-10), so that scores stay finite where more than k
    rows coincide. Such rows score 1; a row just beside them scores very high, as in the paper's
    limit, but scores do not depend on the data's units.

    A row that coincides with a training row is taken to be that row, which is no neighbour of
    itself: training rows and new rows are judged alike.

    References
    ----------
    Breunig, Kriegel, Ng, Sander: "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> dense, sparse = rng.normal(0, 0.1, (100, 2)), rng.normal(9, 2, (100, 2))
    >>> X = np.vstack([dense, sparse, [[1.0, 1.0]]])
    >>> int(LOF().fit(X).decision_scores_.argmax())
    200
    """

    card = Card(
        name="lof",
        summary="Rows in sparser surroundings than their neighbours.",
        family="neighbours",
        paper="Breunig et al., LOF, SIGMOD",
        year=2000,
        fit_cost="O(n² d), O(n^1.5 d) approximately",
        score_cost="O(n d) a row, O(n^0.5 d) approximately",
        finds="rows beside a cluster, however dense it is; clusters of different density",
        misses="groups of more than k anomalies; rows spread evenly far from all others",
        aliases=("local_outlier_factor",),
        pyod="lof.LOF",
    )

    def __init__(
        self,
        n_neighbors: int = 20,
        *,
        metric: str = "euclidean",
        p: float = 2,
        algorithm: str = "auto",
        n_jobs: int | None = 1,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.p = p
        self.algorithm = algorithm
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        self.search_ = self._search(X, self.n_neighbors)
        distances, places = self.search_.query_points()
        self.k_distance_ = distances[:, -1].copy()
        self.floor_ = 1e-10 * (float(self.k_distance_.mean()) or 1.0)
        self.density_ = self._density(distances, places)
        return self.search_.as_fitted(self._factor(self.density_, places))

    def _score(self, X: FloatArray) -> FloatArray:
        distances, places = self.search_.query(X)
        return self._factor(self._density(distances, places), places)

    def _density(self, distances: FloatArray, places: IntArray) -> FloatArray:
        """Local reachability density."""
        reach = self.k_distance_[places]
        reach.clip(min=distances, out=reach)
        density: FloatArray = 1.0 / (reach.mean(axis=1) + self.floor_)
        return density

    def _factor(self, density: FloatArray, places: IntArray) -> FloatArray:
        factor: FloatArray = self.density_[places].mean(axis=1) / density
        return factor
