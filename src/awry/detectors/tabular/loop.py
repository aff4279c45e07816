"""LoOP: the probability that a row is a local outlier."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import erf

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import real
from awry.core.threshold import Threshold
from awry.detectors.tabular._neighbors import NeighborDetector


class LoOP(NeighborDetector):
    """Probability, by a Gaussian model, that a row lies outside its neighbours' density.

    A row's standard distance is the root mean square distance to its k nearest neighbours; the
    probabilistic local outlier factor (PLOF) is its ratio to the mean standard distance of these
    neighbours, less 1; and the score is erf of the PLOF over ``extent`` times the PLOF's root mean
    square times the root of 2, or 0 where that is negative (equations 6 to 12 of the paper).

    Parameters
    ----------
    n_neighbors : int, default=20
    extent : float > 0, default=3.0
        The paper's lambda: how many standard deviations make a row an outlier for certain.
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
    standard_distance_ : ndarray of shape (n,)
        In the order of ``search_.points_``.
    spread_ : float
        Root mean square of the PLOF of the training rows: the paper's nPLOF without lambda.
    recall_ : float
        Share of the true neighbours that the search finds, measured in ``fit``.

    Notes
    -----
    Rows all of whose neighbours coincide with them and with one another have a PLOF of 0; a row
    beside such neighbours scores 1.

    A row that coincides with a training row is taken to be that row, which is no neighbour of
    itself: training rows and new rows are judged alike.

    References
    ----------
    Kriegel, Kröger, Schubert, Zimek: "LoOP: Local Outlier Probabilities", CIKM 2009.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 2)), [[6.0, 6.0]]])
    >>> detector = LoOP().fit(X)
    >>> int(detector.decision_scores_.argmax()), bool(detector.decision_scores_[200] > 0.95)
    (200, True)
    """

    card = Card(
        name="loop",
        summary="Rows probably outside the density of their neighbours.",
        family="neighbours",
        paper="Kriegel et al., LoOP, CIKM",
        year=2009,
        fit_cost="O(n² d), O(n^1.5 d) approximately",
        score_cost="O(n d) a row, O(n^0.5 d) approximately",
        finds="rows beside a cluster, however dense it is; scores are probabilities",
        misses="groups of more than k anomalies; the order among rows that all score 0 or 1",
    )
    constraints: ClassVar = {
        **NeighborDetector.constraints,
        "extent": real(0, closed="()"),
    }

    def __init__(
        self,
        n_neighbors: int = 20,
        *,
        extent: float = 3.0,
        metric: str = "euclidean",
        p: float = 2,
        algorithm: str = "auto",
        n_jobs: int | None = 1,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.extent = extent
        self.metric = metric
        self.p = p
        self.algorithm = algorithm
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        self.search_ = self._search(X, self.n_neighbors)
        distances, places = self.search_.query_points()
        self.standard_distance_ = _root_mean_square(distances)
        factor = self._factor(distances, places)
        self.spread_ = float(_root_mean_square(factor[np.isfinite(factor)]))
        return self.search_.as_fitted(self._probability(factor))

    def _score(self, X: FloatArray) -> FloatArray:
        return self._probability(self._factor(*self.search_.query(X)))

    def _factor(self, distances: FloatArray, places: IntArray) -> FloatArray:
        """The probabilistic local outlier factor."""
        own, others = _root_mean_square(distances), self.standard_distance_[places].mean(axis=1)
        beside = np.where(own > 0, np.inf, 0.0)
        factor: FloatArray = np.divide(own, others, out=beside + 1.0, where=others > 0) - 1.0
        return factor

    def _probability(self, factor: FloatArray) -> FloatArray:
        scale = self.extent * self.spread_ * np.sqrt(2.0)
        if scale == 0:
            return (factor > 0).astype(np.float64)
        probability: FloatArray = np.maximum(0.0, erf(factor / scale))
        return probability


def _root_mean_square(values: FloatArray) -> FloatArray:
    """Along the last axis; 0 for no values. Free of overflow, as distances may be very great."""
    if values.shape[-1] == 0:
        return np.zeros(values.shape[:-1])
    greatest = np.abs(values).max(axis=-1, keepdims=True)
    unit = values / np.where(greatest > 0, greatest, 1.0)
    root: FloatArray = np.sqrt(np.mean(unit**2, axis=-1)) * greatest[..., 0]
    return root
