"""Isolation Forest: rows that few random splits set apart."""

from __future__ import annotations

from typing import Any

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._forest import FOREST_CONSTRAINTS, IsolationDetector, resolve
from awry.kernels.trees import grow_forest


class IsolationForest(IsolationDetector):
    """Rows that few random splits set apart from the rest.

    Each tree splits a sample of rows on a random column at a random place, again and again, until
    rows stand alone or the tree is as high as a balanced one. The score of a row is
    ``2 ** (-E(h) / c)`` with E(h) its mean depth over the trees and c the mean depth of a random
    search tree (equations 1 and 2 of the paper): near 1 for rows that come off at once, below 1/2
    for rows in the midst of others.

    Parameters
    ----------
    n_estimators : int, default=100
        Trees.
    max_samples : int, float or "auto", default="auto"
        Rows each tree is grown on, drawn without replacement: an integer, a share, or 256.
        No more than there are.
    max_features : int or float, default=1.0
        Columns each tree may split on, drawn anew for each: an integer, or a share.
    random_state : int, Generator or None, default=None
        Seed of the samples and the splits.
    n_jobs : int or None, default=None
        Threads that score; None is 1, -1 all cores. The scores do not depend on it.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    forest_ : Forest
        The trees, see :class:`awry.kernels.trees.Forest`.
    path_scale_ : float
        The sum of path lengths at which the score is 1/2.

    Notes
    -----
    Departures from the paper: split columns are drawn from those that vary among a node's rows (as
    in scikit-learn and isotree), and c uses exact harmonic numbers. Large batches are scored on
    codes instead of by walking the trees, which gives the same sums, see
    :mod:`awry.kernels.forest_score`.

    A column is credited with how much the splits on it shortened the row's paths, measured against
    the mean path of the training rows below each split.

    References
    ----------
    Liu, Ting, Zhou: "Isolation Forest", ICDM 2008; "Isolation-Based Anomaly Detection", ACM TKDD
    2012.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[0.0, 9.0, 0.0]]])
    >>> detector = IsolationForest(random_state=0).fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    >>> detector.explain(X[200:]).top(1)[0][0][0]
    'x1'
    """

    card = Card(
        name="isolation_forest",
        summary="Rows that few random splits set apart.",
        family="trees",
        paper="Liu, Ting & Zhou, Isolation Forest, ICDM",
        year=2008,
        fit_cost="O(n_estimators max_samples log max_samples)",
        score_cost="O(n n_estimators log max_samples)",
        finds="rows on the outskirts, in many columns or few; scales to millions of rows",
        misses="anomalies between clusters and along slanted dependencies",
        aliases=("iforest",),
        pyod="iforest.IForest",
        stochastic=True,
    )
    constraints = {**FOREST_CONSTRAINTS, "max_features": any_of(integer(1), real(0, 1, "(]"))}

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        max_samples: int | float | str = "auto",
        max_features: int | float = 1.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.max_features = max_features
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        n_rows = resolve(self.max_samples, len(X), auto=256, least=2)
        forest = grow_forest(
            X,
            self._leaf_depths(n_rows),
            self._rng(),
            n_trees=self.n_estimators,
            n_rows=n_rows,
            n_columns=resolve(self.max_features, X.shape[1], auto=0, least=1),
            max_depth=(n_rows - 1).bit_length(),
        )
        self._plant(forest)
