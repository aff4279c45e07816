"""LODA: lightweight on-line detector of anomalies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, option, random_state
from awry.core.threshold import Threshold
from awry.kernels import histograms as kernels
from awry.kernels.columns import column_blocks, total
from awry.kernels.projections import project

#: Training rows an empty bin counts for, as in PyOD.
_EMPTY = 1e-12


class LODA(Detector):
    """Rows that fall where histograms of random projections are low.

    The score of a row is the mean over sparse random projections of -log p, with p the share of
    training rows in the bin its projection falls into (equation 3 of the paper). Each projection
    weights about sqrt(d) columns, taken at random, with normal numbers.

    Parameters
    ----------
    n_bins : int or "auto", default=10
        Bins of each histogram; ``"auto"`` chooses for each projection by Birgé and Rozenholc's
        penalised likelihood, as the paper does.
    n_random_cuts : int, default=100
        Projections.
    random_state : int, Generator or None, default=None
        Seed of the projections.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    features_ : ndarray of shape (n_random_cuts, int(sqrt(d)))
        Columns in each projection.
    weights_ : ndarray of shape (n_random_cuts, int(sqrt(d)))
        Their weights.
    low_, high_, n_bins_ : ndarray of shape (n_random_cuts,)
        Ranges and numbers of bins of the histograms.
    probabilities_ : ndarray of shape (n_random_cuts, ``max(n_bins_)``)
        Shares of training rows in the bins.
    center_ : ndarray of shape (d,)
        Mean of the training rows, from which explanations are measured.

    Notes
    -----
    Departures from PyOD, whose scores are these divided by ``n_random_cuts`` but for two faults: it
    looks a value up in the bin after its own, and puts values beyond the histogram in the outermost
    bins. Here values beyond it score as an empty bin.

    A projection's share of the score is divided over its columns by the sizes of their terms,
    measured from the mean of the training rows; the paper ranks columns by a test instead, which
    adds up to nothing.

    References
    ----------
    Pevný: "Loda: Lightweight on-line detector of anomalies", Machine Learning 2016. Birgé &
    Rozenholc: "How many bins should be put in a regular histogram", ESAIM: P&S 2006.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[9.0, 9.0, 0.0]]])
    >>> detector = LODA(random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    >>> sorted(name for name, _ in detector.explain(X[200:]).top(2)[0])
    ['x0', 'x1']
    """

    card = Card(
        name="loda",
        summary="Rows rare along random sparse projections.",
        family="projections",
        paper="Pevný, Loda, Machine Learning",
        year=2016,
        fit_cost="O(n n_random_cuts sqrt(d))",
        score_cost="O(n n_random_cuts sqrt(d))",
        finds="rare values and odd combinations of a few columns; very fast",
        misses="local anomalies between clusters; columns on small scales",
        pyod="loda.LODA",
        stochastic=True,
    )
    constraints = {
        "n_bins": any_of(integer(2), option("auto")),
        "n_random_cuts": integer(1),
        "random_state": random_state(),
    }

    def __init__(
        self,
        *,
        n_bins: int | str = 10,
        n_random_cuts: int = 100,
        random_state: Any = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_bins = n_bins
        self.n_random_cuts = n_random_cuts
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        n, d = X.shape
        rng, k = self._rng(), self.n_random_cuts
        picks = [rng.choice(d, size=int(np.sqrt(d)), replace=False) for _ in range(k)]
        self.features_ = np.array(picks, dtype=np.int64)
        self.weights_ = rng.standard_normal(self.features_.shape)
        self.center_ = X.mean(axis=0)
        low, high = np.full(k, np.inf), np.full(k, -np.inf)
        for _, block in self._projections(X):
            np.minimum(low, block.min(axis=1), out=low)
            np.maximum(high, block.max(axis=1), out=high)
        pad = np.where(low == high, 0.5, 0.0)
        self.low_, self.high_ = low - pad, high + pad
        if isinstance(self.n_bins, str):
            along = zip(self.features_, self.weights_, strict=True)
            self.n_bins_ = np.array([kernels.best_bins(np.sort(X[:, f] @ w)) for f, w in along])
        else:
            self.n_bins_ = np.full(k, self.n_bins)
        counts = np.zeros((k, self.n_bins_.max()), np.int64)
        for _, block in self._projections(X):
            kernels.add_counts(block, self.low_, self.high_, self.n_bins_, counts)
        self.probabilities_ = counts / n
        # What falls outside every bin is looked up at the ends of its row: as an empty bin.
        padded = np.pad(self.probabilities_, ((0, 0), (1, 1)))
        self._table = -np.log(np.maximum(padded, _EMPTY / n)) / k

    def _projections(self, X: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
        for rows, block in column_blocks(X):
            yield rows, project(block, self.features_, self.weights_)

    def _look_up(self, projections: FloatArray) -> FloatArray:
        """What each projection (k, m) adds to the score, shape (k, m)."""
        shape = self.low_, self.high_, self.n_bins_
        return kernels.look_up(projections, *shape, self._table, 0.0, False)

    def _score(self, X: FloatArray) -> FloatArray:
        scores = np.empty(len(X))
        for rows, block in self._projections(X):
            scores[rows] = total(self._look_up(block))
        return scores

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        values = np.zeros(X.shape)
        for rows, block in self._projections(X):
            parts = zip(self.features_, self.weights_, self._look_up(block), strict=True)
            for features, weights, added in parts:
                size = np.abs((X[rows, features] - self.center_[features]) * weights)
                whole = size.sum(axis=1, keepdims=True)
                even = np.full_like(size, 1 / len(features))
                share = np.divide(size, whole, out=even, where=whole > 0)
                values[rows, features] += share * added[:, None]
        return values, 0.0
