"""Sampling: distance to the nearest of a few random rows."""

from __future__ import annotations

from typing import ClassVar

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._neighbors import NeighborDetector, shares


class Sampling(NeighborDetector):
    """Rows far from every row of a small random sample.

    Parameters
    ----------
    subset_size : int >= 2 or float in (0, 1), default=20
        Rows sampled, or their share; all where there are fewer.
    metric : {"euclidean", "minkowski", "manhattan", "chebyshev"}, default="euclidean"
    p : float >= 1, default=2
        Power of the Minkowski metric.
    random_state : int, Generator or None, default=None
    n_jobs : int or None, default=1
        Threads of the search; -1 for all.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    search_ : NeighborSearch
        Among the sampled rows.

    Notes
    -----
    Departure from the paper: a row that is in the sample, or coincides with one that is, leaves it
    out, so that an anomaly that happens to be sampled does not score 0.

    References
    ----------
    Sugiyama & Borgwardt: "Rapid Distance-Based Outlier Detection via Sampling", NIPS 2013,
    equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[0.0, 9.0, 0.0]]])
    >>> int(Sampling(random_state=0).fit(X).decision_scores_.argmax())
    200
    """

    card = Card(
        name="sampling",
        summary="Rows far from every row of a small random sample.",
        family="neighbours",
        paper="Sugiyama & Borgwardt, Rapid Distance-Based Outlier Detection via Sampling, NIPS",
        year=2013,
        fit_cost="O(s n d)",
        score_cost="O(s d) a row",
        finds="rows far from the bulk of the data, at next to no cost",
        misses="rows near the data; small clusters of normal rows that the sample misses are odd",
        pyod="sampling.Sampling",
        stochastic=True,
    )
    constraints: ClassVar = {
        **NeighborDetector.constraints,
        "subset_size": any_of(integer(2), real(0, 1, "()")),
        "random_state": random_state(),
    }

    algorithm = "exact"

    def __init__(
        self,
        subset_size: int | float = 20,
        *,
        metric: str = "euclidean",
        p: float = 2,
        random_state: int | None = None,
        n_jobs: int | None = 1,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.subset_size = subset_size
        self.metric = metric
        self.p = p
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        size = self.subset_size if self.subset_size >= 1 else round(self.subset_size * len(X))
        picks = self._rng().choice(len(X), min(max(int(size), 2), len(X)), replace=False)
        self.search_ = self._search(X[picks], 1)

    def _score(self, X: FloatArray) -> FloatArray:
        return self.search_.query(X)[0][:, 0]

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        """The distance, divided among the features as they make it up."""
        distances, places = self.search_.query(X)
        there = self.search_.points_[places[:, 0]]
        return distances * shares(self.search_.scaled(X) - there, self.search_.power), 0.0
