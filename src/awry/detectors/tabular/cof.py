"""COF: chaining distance of a row over those of its neighbours."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.threshold import Threshold
from awry.detectors.tabular._neighbors import NeighborDetector
from awry.kernels import neighborhoods as kernels


class COF(NeighborDetector):
    """Rows less connected to their neighbours than these are to theirs.

    From a row a chain is laid through its k nearest neighbours, always to the one nearest to the
    chain so far; the average chaining distance weighs early links more. The score is the row's
    average chaining distance over the mean of its neighbours' (definitions 3 to 6 of the paper):
    about 1 along a pattern, even a thin one such as a line, greater off it.

    Parameters
    ----------
    n_neighbors : int, default=20
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
    chaining_distance_ : ndarray of shape (n,)
        Average chaining distances in the order of ``search_.points_``, in its units.
    floor_ : float
        Added to every chaining distance.
    recall_ : float
        Share of the true neighbours that the search finds, measured in ``fit``.

    Notes
    -----
    Departure from the paper: chaining distances are raised by 1e-10 of their mean, so that scores
    stay finite where more than k rows coincide. Unlike PyOD's, which takes the neighbours in the
    order of their distance from the row, the chain is the paper's set-based nearest path.

    A row that coincides with a training row is taken to be that row, which is no neighbour of
    itself: training rows and new rows are judged alike.

    References
    ----------
    Tang, Chen, Fu, Cheung: "Enhancing Effectiveness of Outlier Detections for Low Density
    Patterns", PAKDD 2002.

    Examples
    --------
    >>> line = np.column_stack([np.linspace(0, 10, 101), np.zeros(101)])
    >>> X = np.vstack([line, [[5.0, 1.0]]])
    >>> int(COF(n_neighbors=10).fit(X).decision_scores_.argmax())
    101
    """

    card = Card(
        name="cof",
        summary="Rows off the lines and surfaces that their neighbours follow.",
        family="neighbours",
        paper="Tang et al., Enhancing Effectiveness of Outlier Detections, PAKDD",
        year=2002,
        fit_cost="O(n² d + n k² d), O(n^1.5 d + n k² d) approximately",
        score_cost="O(n d + k² d) a row, O(n^0.5 d + k² d) approximately",
        finds="rows beside thin patterns of low density, where LOF is blind",
        misses="groups of more than k anomalies",
        pyod="cof.COF",
    )
    constraints: ClassVar = NeighborDetector.constraints

    metric, p = "euclidean", 2

    def __init__(
        self,
        n_neighbors: int = 20,
        *,
        algorithm: str = "auto",
        n_jobs: int | None = 1,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.algorithm = algorithm
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        self.search_ = self._search(X, self.n_neighbors)
        points, (_, places) = self.search_.points_, self.search_.query_points()
        chains = kernels.chaining_distance(points, points, places)
        self.floor_ = 1e-10 * (float(chains.mean()) or 1.0)
        self.chaining_distance_ = chains + self.floor_
        return self.search_.as_fitted(self._factor(self.chaining_distance_, places))

    def _score(self, X: FloatArray) -> FloatArray:
        places, scaled = self.search_.query(X)[1], self.search_.scaled(X)
        chains = kernels.chaining_distance(scaled, self.search_.points_, places)
        return self._factor(chains + self.floor_, places)

    def _factor(self, chains: FloatArray, places: IntArray) -> FloatArray:
        factor: FloatArray = chains / np.mean(self.chaining_distance_[places], axis=1)
        return factor
