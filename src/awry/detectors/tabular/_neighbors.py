"""One search for nearest neighbours, exact or approximate, for all detectors that need one."""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed
from sklearn.neighbors import NearestNeighbors

from awry.core import progress
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import Configurable, any_of, integer, nothing, option, real
from awry.detectors.tabular._groups import (
    Groups,
    one_blas_thread,
    one_group,
    partition,
    scale_of,
    scaled,
    unscaled,
)

METRICS = ("euclidean", "minkowski", "manhattan", "chebyshev")
ALGORITHMS = ("auto", "exact", "approximate", "brute", "kd_tree", "ball_tree")

#: Up to so many rows ``algorithm="auto"`` is exact.
EXACT_ROWS = 100_000
#: Rows in a group: large ones make for few products, small ones leave more out of a search.
_EXACT_GROUP, _APPROXIMATE_GROUP = 512, 256
#: Sampled queries on which the approximate search is set, and as many on which it is judged.
_SAMPLE = 500
_TARGET_RECALL, _LEAST_RECALL = 0.97, 0.95
#: Queries searched at a time, and visits of groups noted at a time.
_CHUNK, _VISITS = 4096, 1 << 22
#: Cells of a query below which no product is large enough for BLAS to use threads.
_SMALL = 512


class NeighborSearch(Configurable):
    """The nearest training rows of a query, leaving out the query itself.

    A query that coincides with a training row is taken to be that row, so one neighbour at
    distance zero is left out. Thus training rows are judged by the others, and a new row equal to
    a training row is judged as that row is.

    Distances are exact. With ``algorithm="approximate"`` some of the nearest rows may be missed:
    the rows are put into groups by k-means and only the groups whose centres are nearest to the
    query are searched. How many groups is set in ``fit`` on sampled rows, and the recall this
    reaches is measured there on other rows against the exact neighbours.

    Parameters
    ----------
    n_neighbors : int, default=10
    metric : {"euclidean", "minkowski", "manhattan", "chebyshev"}, default="euclidean"
    p : float >= 1, default=2
        Power of the Minkowski metric; 2 is Euclidean.
    algorithm : {"auto", "exact", "approximate", ...}, default="auto"
        ``"auto"`` is exact up to 100,000 rows. The names ``"brute"``, ``"kd_tree"`` and
        ``"ball_tree"`` known from PyOD mean ``"exact"``. Metrics other than the Euclidean are
        always exact.
    n_jobs : int or None, default=1
        Threads; -1 for all.

    Attributes
    ----------
    points_ : ndarray of shape (n, d)
        The training rows times ``scale_``, group after group.
    scale_ : float
        1 but for extreme data.
    order_ : ndarray of shape (n,)
        The number that each of ``points_`` had in ``fit``.
    n_neighbors_ : int
        ``n_neighbors``, or n - 1 where there are fewer rows.
    recall_ : float
        Share of the true neighbours found, measured in ``fit``; 1 where the search is exact.
    n_probes_ : int
        Groups searched per query; 0 where the search is exact.
    starts_, centres_ : ndarray of shape (g + 1,), (g, d)
        Where each group begins, and its centre; both of one group where nothing was grouped.
    """

    constraints: ClassVar = {
        "n_neighbors": integer(1),
        "metric": option(*METRICS),
        "p": real(1),
        "algorithm": option(*ALGORITHMS),
        "n_jobs": any_of(nothing(), integer()),
    }
    transient: ClassVar = ("_index",)

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        metric: str = "euclidean",
        p: float = 2,
        algorithm: str = "auto",
        n_jobs: int | None = 1,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.p = p
        self.algorithm = algorithm
        self.n_jobs = n_jobs

    def fit(self, X: FloatArray) -> NeighborSearch:
        """Make ``X`` (n, d) searchable; keeps a copy."""
        self.n_neighbors_ = min(self.n_neighbors, len(X) - 1)
        self.n_probes_, self.recall_, self.scale_ = 0, 1.0, scale_of(X)
        X = X if self.scale_ == 1.0 else X * self.scale_
        large = self.algorithm == "auto" and len(X) > EXACT_ROWS
        approximate = self.power == 2 and (large or self.algorithm == "approximate")
        with one_blas_thread():
            if self.power == 2:
                size = _APPROXIMATE_GROUP if approximate else _EXACT_GROUP
                labels, self.centres_ = partition(X, size)
            else:
                labels, self.centres_ = one_group(X)
        self.order_ = np.argsort(labels, kind="stable")
        self.points_ = X[self.order_]
        self.starts_ = np.searchsorted(labels[self.order_], np.arange(len(self.centres_) + 1))
        self._restore()
        if approximate:
            self._set_probes()
        return self

    def query(self, Q: FloatArray, k: int | None = None) -> tuple[FloatArray, IntArray]:
        """Distances of the training rows nearest to ``Q`` (m, d), and their places in ``points_``.

        Both are of shape (m, k), the nearest first; ``k`` is ``n_neighbors_`` by default and at
        most n - 1.
        """
        return self._query(self.scaled(Q), self.n_probes_, k)

    def query_points(self) -> tuple[FloatArray, IntArray]:
        """As :meth:`query`, for each of ``points_``."""
        return self._query(self.points_, self.n_probes_)

    def as_fitted(self, values: FloatArray) -> FloatArray:
        """Values of ``points_``, shape (n,), in the order that the rows had in ``fit``."""
        out = np.empty_like(values)
        out[self.order_] = values
        return out

    def scaled(self, Q: FloatArray) -> FloatArray:
        """``Q`` in the units of ``points_``."""
        return scaled(Q, self.scale_)

    @property
    def power(self) -> float:
        """The Minkowski power of the metric."""
        return {"euclidean": 2, "manhattan": 1, "chebyshev": np.inf}.get(self.metric, self.p)

    def _restore(self) -> None:
        """Make the index from what is kept."""
        self._index: Groups | _Tree
        if self.power == 2:
            self._index = Groups(self.points_, self.starts_, self.centres_)
        else:
            self._index = _Tree(self.points_, self.power)

    def _query(
        self, Q: FloatArray, n_probes: int, k: int | None = None
    ) -> tuple[FloatArray, IntArray]:
        """As :meth:`query`, for scaled ``Q``, from ``n_probes`` groups; with 0, exactly."""
        k = self.n_neighbors_ if k is None else k
        distances, places = np.empty((len(Q), k)), np.empty((len(Q), k), np.int64)
        step = max(_CHUNK, _VISITS // n_probes) if n_probes else _CHUNK
        starts = range(0, len(Q), step)

        def search(start: int) -> None:
            rows = slice(start, start + step)
            found = self._index.nearest(Q[rows], k + 1, n_probes)
            distances[rows], places[rows] = _leave_out(*found)

        if self.n_jobs in (None, 1):
            steps = map(search, starts)
        else:
            threads = Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")
            steps = threads(delayed(search)(start) for start in starts)
        small = len(Q) * Q.shape[1] < _SMALL
        with nullcontext() if small else one_blas_thread():
            for _ in progress.track("neighbours", steps, len(starts)):
                pass
        return unscaled(distances, self.scale_), places

    def _set_probes(self) -> None:
        """Set how many groups to search, and measure the recall."""
        assert isinstance(self._index, Groups)
        rng = np.random.default_rng(0)
        picks = rng.choice(len(self.points_), min(2 * _SAMPLE, len(self.points_)), replace=False)
        first, second = np.array_split(np.sort(picks), 2)
        # Rank, by distance from the query, of the groups that hold its neighbours.
        places = self._query(self.points_[first], 0)[1]
        homes = np.searchsorted(self.starts_, places, side="right") - 1
        order = self._index.visits(self.points_[first], len(self.centres_))
        ranks = np.nonzero(order[:, None, :] == homes[:, :, None])[2]
        probes = 1 + int(np.quantile(ranks, _TARGET_RECALL, method="higher"))
        limit = self._query(self.points_[second], 0)[0][:, -1:]
        # Where most groups must be searched, the exact search is as quick.
        while 2 * probes < len(self.centres_):
            recall = np.mean(self._query(self.points_[second], probes)[0] <= limit)
            if recall >= _LEAST_RECALL:
                self.n_probes_, self.recall_ = probes, float(recall)
                return
            probes *= 2


class _Tree:
    """scikit-learn's search, for the other metrics."""

    def __init__(self, points: FloatArray, power: float) -> None:
        self.tree = NearestNeighbors(metric="minkowski", p=power).fit(points)

    def nearest(self, Q: FloatArray, k: int, n_probes: int = 0) -> tuple[FloatArray, IntArray]:
        distances, places = self.tree.kneighbors(Q, k)
        return distances, places


def _leave_out(distances: FloatArray, places: IntArray) -> tuple[FloatArray, IntArray]:
    """Leave out of each row's neighbours the first where it coincides, else the last."""
    rows = np.arange(len(distances))[:, None]
    keep = (distances[:, :1] == 0) + np.arange(distances.shape[1] - 1)
    return distances[rows, keep], places[rows, keep]


def shares(differences: FloatArray, power: float) -> FloatArray:
    """Share of each feature in Minkowski distances; ``differences`` is of shape (..., d)."""
    size = np.abs(differences)
    greatest = size.max(axis=-1, keepdims=True)
    size /= np.where(greatest > 0, greatest, 1.0)
    size = (size == 1.0).astype(np.float64) if np.isinf(power) else size**power
    total = size.sum(axis=-1, keepdims=True)
    return size / np.where(total > 0, total, 1.0)


class NeighborDetector(Detector):
    """Base of detectors that judge a row by its nearest training rows.

    The parameters but for ``contamination`` are those of :class:`NeighborSearch`.
    """

    constraints: ClassVar = NeighborSearch.constraints

    n_neighbors: int
    metric: str
    p: float
    algorithm: str
    n_jobs: int | None

    def _search(self, X: FloatArray, n_neighbors: int) -> NeighborSearch:
        """The search among ``X`` (n, d); notes the recall."""
        search = NeighborSearch(
            n_neighbors, metric=self.metric, p=self.p, algorithm=self.algorithm, n_jobs=self.n_jobs
        ).fit(X)
        self.recall_ = search.recall_
        return search
