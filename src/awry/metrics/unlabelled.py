"""How good a decision looks without labels: how apart the flagged rows lie, how stable the scores.

None of these says that the flagged rows are anomalies. They compare decisions on one table with one
another, and warn of scores that hang on which rows happened to be drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import rankdata

from awry.core.errors import DataError
from awry.core.inputs import FloatArray


@dataclass(frozen=True)
class Separation:
    """How far the flagged rows lie from the rest, in the units of the columns given."""

    silhouette: float  # -1 to 1, higher is more apart
    calinski_harabasz: float  # >= 0, higher is more apart
    davies_bouldin: float  # >= 0, lower is more apart


@dataclass(frozen=True)
class Stability:
    """How far refits on resampled rows agree: 1 is wholly, 0 is as chance would have it."""

    rank_correlation: float  # Spearman's, mean over pairs of refits
    top_overlap: float  # Jaccard index of the k highest scores, mean over pairs
    k: int


def separation(X: Any, flagged: Any, *, max_rows: int = 5000, random_state: int = 0) -> Separation:
    """Silhouette, Calinski-Harabasz and Davies-Bouldin index of flagged rows against the rest.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Numbers on comparable scales.
    flagged : array-like of shape (n,)
        1 flagged, 0 not; both must occur.
    max_rows : int, default=5000
        The silhouette, whose cost is n squared, is taken over a sample of about this many rows
        with the same share flagged, at least two of each kind.
    random_state : int, default=0

    References
    ----------
    Rousseeuw: "Silhouettes", 1987; Calinski & Harabasz: "A dendrite method for cluster analysis",
    1974; Davies & Bouldin: "A Cluster Separation Measure", 1979. All as in scikit-learn.

    Examples
    --------
    >>> round(separation([[0.0], [1.0], [9.0], [10.0]], [0, 0, 1, 1]).davies_bouldin, 3)
    0.111
    """
    from sklearn import metrics

    X, flags = np.asarray(X, dtype=np.float64), np.asarray(flagged).astype(np.int64)
    if X.ndim != 2 or flags.shape != (len(X),):
        raise DataError(f"X must be (n, d) and flagged (n,), got {X.shape} and {flags.shape}")
    count = int(flags.sum())
    if not 0 < count < len(X):
        which = "none" if count == 0 else "every one"
        raise DataError(
            f"{which} of the {len(X)} rows is flagged", remedy="both kinds are needed to compare"
        )
    if len(X) < 3:
        raise DataError(f"separation needs at least 3 rows, got {len(X)}")
    rng = np.random.default_rng(random_state)
    picks = []
    for value in (0, 1):
        rows = np.flatnonzero(flags == value)
        size = min(len(rows), max(2, round(max_rows * len(rows) / len(X))))
        picks.append(rng.choice(rows, size, replace=False))
    some = np.concatenate(picks)
    return Separation(
        float(metrics.silhouette_score(X[some], flags[some])),
        float(metrics.calinski_harabasz_score(X, flags)),
        float(metrics.davies_bouldin_score(X, flags)),
    )


def stability(
    make: Callable[[int], Any],
    X: Any,
    *,
    k: int | None = None,
    n_refits: int = 10,
    random_state: int = 0,
) -> Stability:
    """Refit on resampled rows and compare the scores of all rows between the refits.

    Each refit sees the distinct rows of a bootstrap sample (about 63 %), since repeated rows would
    be each other's nearest neighbours.

    Parameters
    ----------
    make : callable
        Takes a seed, returns an unfitted detector with ``fit`` and ``decision_function``.
    X : array-like of shape (n, d)
    k : int, optional
        Size of the top compared; a hundredth of the rows by default.
    n_refits : int, default=10
        At least 2.
    random_state : int, default=0

    Examples
    --------
    >>> from sklearn.neighbors import LocalOutlierFactor
    >>> class Lof(LocalOutlierFactor):
    ...     def decision_function(self, X):
    ...         return -super().decision_function(X)
    >>> X = np.r_[np.random.default_rng(0).normal(size=(200, 2)), [[9.0, 9.0]]]
    >>> stability(lambda seed: Lof(novelty=True), X, k=1, n_refits=3).top_overlap > 0.3
    True
    """
    X = np.asarray(X)
    n = len(X)
    k = max(1, round(n / 100)) if k is None else k
    if not 1 <= k < n:
        raise ValueError(f"stability: k must be an integer from 1 to {n - 1}, got {k!r}")
    if n_refits < 2:
        raise ValueError(f"stability: n_refits must be an integer >= 2, got {n_refits!r}")
    rng = np.random.default_rng(random_state)
    ranks, tops = [], []
    for seed in range(n_refits):
        rows = np.unique(rng.integers(0, n, n))
        scores: FloatArray = make(seed).fit(X[rows]).decision_function(X)
        ranks.append(rankdata(scores))
        tops.append(set(np.argsort(-scores, kind="stable")[:k].tolist()))
    pairs = list(combinations(range(n_refits), 2))
    correlations = [_correlation(ranks[i], ranks[j]) for i, j in pairs]
    overlaps = [len(tops[i] & tops[j]) / len(tops[i] | tops[j]) for i, j in pairs]
    return Stability(float(np.mean(correlations)), float(np.mean(overlaps)), k)


def _correlation(a: FloatArray, b: FloatArray) -> float:
    """Pearson's correlation, 0 where either is constant: constant scores rank nothing."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0
