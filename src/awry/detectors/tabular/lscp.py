"""LSCP: locally selective combination in parallel outlier ensembles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, instance, integer, listing, nothing, random_state
from awry.core.threshold import Threshold
from awry.detectors.compose import Committee
from awry.detectors.scale import Scale

#: Random subspaces in which neighbours are looked for (20 in the paper).
N_SUBSPACES = 20


class LSCP(Committee):
    """For each row, fuses the detectors that are most competent around it.

    The region of a row is made of the training rows that are among its nearest neighbours in more
    than half of 20 random subspaces. A detector's competence there is the Pearson correlation of
    its scores with the maximum over all detectors, the pseudo ground truth. Detectors in the most
    populated bin of a histogram of the competences, the higher one on ties, are averaged.

    Parameters
    ----------
    detectors : list of str or Detector
        The members; LOF with several neighbourhood sizes by default, as in the paper.
    local_region_size : int, default=30
        Neighbours looked for in each subspace.
    n_bins : int, default=10
        Of the histogram of competences.
    n_jobs : int or None, default=None
        Threads.
    random_state : int, Generator or None, default=None
    contamination : float, str, Threshold or None, default=None

    Attributes
    ----------
    members_ : list of Detector
    subspaces_ : list of ndarray
        The features of each subspace, between d/2 and d of them.
    standard_ : ndarray of shape (n, m)
        Standardised training scores of the members.

    Notes
    -----
    Variant LSCP_MOA of the paper: pseudo truth by maximum, selected detectors averaged.

    References
    ----------
    Zhao, Nasrullah, Hryniewicki, Li: "LSCP: Locally Selective Combination in Parallel Outlier
    Ensembles", SDM 2019, section 3.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[8.0, 8.0, 8.0]]])
    >>> detector = LSCP(["ecod", "hbos"], random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    """

    card = Card(
        name="lscp",
        summary="Rows called odd by the detectors that know their neighbourhood best.",
        family="combination",
        paper="Zhao et al., LSCP, SDM",
        year=2019,
        fit_cost="sum of its members + O(n d log n)",
        score_cost="sum of its members + O(n k log n)",
        finds="local anomalies, with members of different reach",
        misses="what its members miss; slow on many rows",
        pyod="lscp.LSCP",
        stochastic=True,
        max_rows=20_000,
        min_rows=3,
    )
    constraints = {
        "detectors": any_of(nothing(), listing(any_of(instance(str), instance(Detector)))),
        "local_region_size": integer(2),
        "n_bins": integer(1),
        "n_jobs": any_of(nothing(), integer()),
        "random_state": random_state(),
    }
    transient = ("_trees",)

    def __init__(
        self,
        detectors: Sequence[str | Detector] | None = None,
        *,
        local_region_size: int = 30,
        n_bins: int = 10,
        n_jobs: int | None = None,
        random_state: Any = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.detectors = detectors
        self.local_region_size = local_region_size
        self.n_bins = n_bins
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        scores = self._fit_members(X, self.detectors or self._default_members(len(X)))
        self.scales_ = [Scale("standard").fit(column) for column in scores.T]
        self.standard_ = self._standardised(scores)
        rng, d = self._rng(), X.shape[1]
        sizes = rng.integers(max(1, d // 2), d + 1, size=N_SUBSPACES)
        self.subspaces_ = [np.sort(rng.choice(d, size, replace=False)) for size in sizes]
        self.train_ = X.copy()
        self._restore()

    def _restore(self) -> None:
        self._trees = [cKDTree(self.train_[:, features]) for features in self.subspaces_]

    def _default_members(self, n: int) -> list[Detector]:
        from awry.detectors.tabular.lof import LOF

        sizes = (5, 10, 15, 20, 30, 40, 50)
        return [LOF(n_neighbors=k) for k in sizes if k < n] or [LOF(n_neighbors=max(1, n - 1))]

    def _score(self, X: FloatArray) -> FloatArray:
        scores = self._standardised(self._ask(X))
        votes = self._neighbour_votes(X)
        out = np.empty(len(X))
        for i, near in enumerate(votes):
            region = near[0][near[1] > N_SUBSPACES / 2]
            if len(region) < 2:
                # No row is near in most subspaces: the nearest by votes stand in.
                region = near[0][np.argsort(-near[1], kind="stable")[: self.local_region_size]]
            out[i] = scores[i, self._competent(region)].mean()
        return out

    def _neighbour_votes(self, X: FloatArray) -> list[tuple[IntArray, IntArray]]:
        """For each row: training rows near it in some subspace, and in how many."""
        k = min(self.local_region_size, len(self.train_))
        found = [
            tree.query(X[:, features], k=range(1, k + 1))[1]
            for tree, features in zip(self._trees, self.subspaces_, strict=True)
        ]
        return [np.unique(row, return_counts=True) for row in np.concatenate(found, axis=1)]

    def _competent(self, region: IntArray) -> IntArray:
        """The detectors that agree best with the pseudo truth in ``region``."""
        local = self.standard_[region]
        truth = local.max(axis=1)
        local, truth = local - local.mean(axis=0), truth - truth.mean()
        norms = np.sqrt((local**2).sum(axis=0) * (truth**2).sum())
        agree = np.divide(local.T @ truth, norms, out=np.zeros(local.shape[1]), where=norms > 0)
        if np.ptp(agree) < 1e-9:
            return np.arange(len(agree))
        counts, edges = np.histogram(agree, bins=self.n_bins)
        fullest = len(counts) - 1 - int(counts[::-1].argmax())
        inside = (agree >= edges[fullest]) & (agree <= edges[fullest + 1])
        return np.flatnonzero(inside)

    def _standardised(self, scores: FloatArray) -> FloatArray:
        columns = zip(self.scales_, scores.T, strict=True)
        return np.column_stack([scale.transform(column) for scale, column in columns])
