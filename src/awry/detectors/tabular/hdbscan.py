"""HDBSCAN: outlier scores from the hierarchy of dense clusters (GLOSH)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing
from awry.core.threshold import Threshold
from awry.detectors.tabular._neighbors import NeighborDetector
from awry.kernels import density_tree as kernels


class HDBSCAN(NeighborDetector):
    """Rows that leave their cluster long before its densest part dissolves.

    As the distance within which rows are linked falls, clusters split and rows drop out. The score
    (GLOSH, definition 5.1 of the paper) is 1 - eps_min / eps: eps the distance at which the row
    leaves its last cluster, eps_min that at which the last row of that cluster does. It lies
    between 0, in the densest part of a cluster, and 1.

    Parameters
    ----------
    min_cluster_size : int >= 2, default=5
        Fewer rows are no cluster.
    min_samples : int >= 2 or None, default=None
        Rows, the row itself among them, whose distance makes the core distance;
        ``min_cluster_size`` if None.
    n_jobs : int or None, default=1
        Threads of the search for neighbours; -1 for all.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    search_ : NeighborSearch
    core_distance_ : ndarray of shape (n,)
        In the order of ``search_.points_``.
    cluster_, leaves_ : ndarray of shape (n,)
        The last cluster of each of ``search_.points_``, and the distance at which it leaves it.
    parent_, birth_, least_ : ndarray of shape (c,)
        The cluster that each splits off from, the distance at which it does, and the distance at
        which its last row leaves.

    Notes
    -----
    A new row is linked to the training row of the least mutual reachability distance, and leaves
    its cluster with it or, if it is linked later, at that distance. A row that coincides with a
    training row is taken to be that row: so training rows get the scores of the paper. Unlike
    here, PyOD's class of the name takes 1 - the membership probability for score.

    References
    ----------
    Campello, Moulavi, Zimek, Sander: "Hierarchical Density Estimates for Data Clustering,
    Visualization, and Outlier Detection", ACM TKDD 2015.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(0, 1, (100, 2)), rng.normal(9, 1, (100, 2)), [[4.5, 4.5]]])
    >>> int(HDBSCAN(min_cluster_size=10).fit(X).decision_scores_.argmax())
    200
    """

    card = Card(
        name="hdbscan",
        summary="Rows that drop out of a cluster far from its densest part.",
        family="neighbours",
        paper="Campello et al., Hierarchical Density Estimates, ACM TKDD",
        year=2015,
        fit_cost="O(n² d)",
        score_cost="O(n d) a row",
        finds="rows beside and between clusters of any shape and density; small groups",
        misses="the order of rows far outside, which all score near 1",
        aliases=("glosh",),
        pyod="hdbscan.HDBSCAN",
        max_rows=50_000,
    )
    constraints: ClassVar = {
        "min_cluster_size": integer(2),
        "min_samples": any_of(integer(2), nothing()),
        "n_jobs": NeighborDetector.constraints["n_jobs"],
    }

    metric, p, algorithm = "euclidean", 2, "exact"

    def __init__(
        self,
        min_cluster_size: int = 5,
        *,
        min_samples: int | None = None,
        n_jobs: int | None = 1,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.min_cluster_size = min_cluster_size
        self.min_samples = min_samples
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.search_ = self._search(X, (self.min_samples or self.min_cluster_size) - 1)
        self.core_distance_ = self.search_.query_points()[0][:, -1].copy()
        points = self.search_.points_ / self.search_.scale_
        edges, lengths = kernels.spanning_tree(points, self.core_distance_)
        order = np.argsort(lengths, kind="stable")
        tree = kernels.condense(
            *kernels.merges(edges, order), lengths[order], self.min_cluster_size
        )
        self.parent_, self.birth_, self.least_, self.cluster_, self.leaves_ = tree

    def _score(self, X: FloatArray) -> FloatArray:
        link, reach = self._link(X)
        cluster, leaves = self.cluster_[link], self.leaves_[link]
        # Linked after the row it is linked to has split off: it was last in a cluster further up.
        late = reach > leaves
        while (up := late & (self.birth_[cluster] <= reach)).any():
            cluster = np.where(up, self.parent_[cluster], cluster)
        leaves = np.where(late, reach, leaves)
        ratio = np.divide(self.least_[cluster], leaves, out=np.ones(len(X)), where=leaves > 0)
        return np.maximum(0.0, 1.0 - ratio)

    def _link(self, X: FloatArray) -> tuple[IntArray, FloatArray]:
        """The training row of least mutual reachability distance, by place, and that distance."""
        link, reach = np.empty(len(X), np.int64), np.empty(len(X))
        rows, k, n = np.arange(len(X)), self.search_.n_neighbors_, len(self.leaves_)
        core = self.search_.query(X)[0][:, -1]
        while len(rows):
            distances, places = self.search_.query(X[rows], k)
            mutual = np.maximum(distances, self.core_distance_[places])
            mutual = np.maximum(mutual, core[rows, None])
            best = mutual.argmin(axis=1)
            link[rows] = places[np.arange(len(rows)), best]
            reach[rows] = mutual.min(axis=1)
            # Rows further away are not linked earlier, unless all near ones are in sparser places.
            rows = rows[(reach[rows] > distances[:, -1]) & (k < n - 1)]
            k = min(2 * k, n - 1)
        return link, reach
