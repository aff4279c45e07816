"""AAD forest: an isolation forest that learns from marks which of its leaves hold anomalies."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from awry.core.card import Card
from awry.core.inputs import UNLABELLED, FloatArray, IntArray
from awry.core.params import integer, real
from awry.core.threshold import Threshold
from awry.detectors.discovery import Teachable, reweigh
from awry.detectors.tabular._forest import FOREST_CONSTRAINTS, IsolationDetector, resolve
from awry.kernels.trees import Forest, fill_means, find_leaves, grow_forest

#: Training rows whose leaves are kept, to know the quantile of scores by.
MAX_REFERENCE = 10_000


class AADForest(Teachable, IsolationDetector):
    """An isolation forest whose leaves are re-weighted by what a person says of rows.

    The score of a row rises with the sum of the weights of the leaves it ends in. At first these
    are the leaves' negative path lengths, so that scores are those of
    :class:`~awry.detectors.tabular.isolation_forest.IsolationForest`, number for number. Marks move
    the weights, no farther than needed, until marked anomalies lie above and marked normal rows
    below the ``tau`` quantile of scores, by ``margin``; rows in the same leaves move along.

    Parameters
    ----------
    n_estimators : int, default=100
        Trees.
    max_samples : int, float or "auto", default="auto"
        Rows each tree is grown on, drawn without replacement: an integer, a share, or 256.
    tau : float in (0, 0.5), default=0.03
        Share of the rows above the quantile that parts the marked.
    margin : float >= 0, default=12.0
        How far beyond it the marked rows are wanted, in standard deviations of the scores before
        any marks.
    prior : float > 0, default=0.05
        Pull towards the weights before any marks, divided by the number of marks.
    random_state : int, Generator or None, default=None
        Seed of the samples and the splits.
    n_jobs : int or None, default=None
        Threads that score; None is 1, -1 all cores. The scores do not depend on it.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    forest_ : Forest
        The trees as re-weighted; a leaf's value is its path length less what marks added to it.
    lengths_ : ndarray of shape (nodes,)
        The values before any marks.
    marks_ : ndarray of shape (k,)
        1 for rows marked as anomalies, 0 for those marked normal.
    path_scale_ : float
        The sum of path lengths at which the score is 1/2. Marks may take scores above 1.

    Notes
    -----
    y is 1 for anomalies, 0 for rows known to be normal and -1 for the others; ``fit`` may be given
    it, or :meth:`feedback` later, as often as there are new marks. The problem is convex and solved
    in milliseconds among the marked rows, see :func:`awry.detectors.discovery.reweigh`.

    The same marks give the same weights, in whatever order they came. Departures from the paper:
    the quantile is of the scores before any marks, not of those before the last; a margin, without
    which rows like marked anomalies are not drawn up, as the marked ones lie above the quantile
    already; a tenth of its prior, so that few marks of the rarer kind can reach it; no second pair
    of hinges at the row that has the quantile, which with a margin found no more; leaves carry 1
    and their weight starts at the path length, instead of the other way round, so that leaves
    differ in what they say and not in how easily they learn.

    References
    ----------
    Das, Wong, Fern, Dietterich, Siddiqui: "Incorporating Feedback into Tree-based Anomaly
    Detection", KDD IDEA 2017; Das et al.: "Incorporating Expert Feedback into Active Anomaly
    Discovery", ICDM 2016.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.normal(size=(300, 2)), rng.normal([4, 0], 0.1, size=(9, 2))])
    >>> X = np.vstack([X, rng.normal([0, 4], 0.1, size=(9, 2))])
    >>> detector = AADForest(random_state=0).fit(X)
    >>> detector = detector.feedback(X[[300, 301, 310, 311]], [1, 1, 0, 0])
    >>> scores = detector.decision_function(X)
    >>> bool(scores[300:309].min() > scores[309:].max())
    True
    """

    card = Card(
        name="aad_forest",
        summary="Rows that few random splits set apart, as marks have taught.",
        family="supervised",
        paper="Das et al., Incorporating Feedback into Tree-based Anomaly Detection, KDD IDEA",
        year=2017,
        fit_cost="O(n_estimators max_samples log max_samples + n n_estimators)",
        score_cost="O(n n_estimators log max_samples)",
        finds="anomalies like those marked; rows on the outskirts where nothing is marked",
        misses="what differs from marked rows in ways that axis-parallel splits do not see",
        aliases=("aad",),
        supervision="optional",
        stochastic=True,
    )
    constraints = {
        **FOREST_CONSTRAINTS,
        "n_estimators": integer(1),
        "tau": real(0.0, 0.5, "()"),
        "margin": real(0.0),
        "prior": real(0.0, None, "(]"),
    }

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        max_samples: int | float | str = "auto",
        tau: float = 0.03,
        margin: float = 12.0,
        prior: float = 0.05,
        random_state: Any = None,
        n_jobs: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.tau = tau
        self.margin = margin
        self.prior = prior
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        n_rows = resolve(self.max_samples, len(X), auto=256, least=2)
        lengths, counts = self._leaf_depths(n_rows), list[IntArray]()

        def counted(depth: IntArray, count: IntArray) -> FloatArray:
            counts.append(count)
            return lengths(depth, count)

        rng = self._rng()
        forest = grow_forest(
            X,
            counted,
            rng,
            n_trees=self.n_estimators,
            n_rows=n_rows,
            n_columns=X.shape[1],
            max_depth=(n_rows - 1).bit_length(),
        )
        self._plant(forest)
        self.lengths_ = forest.value
        self.counts_ = np.concatenate(counts)
        kept = X
        if len(X) > MAX_REFERENCE:
            kept = X[np.sort(rng.choice(len(X), MAX_REFERENCE, replace=False))]
        self.reference_ = self._leaves(kept)
        sums = self._reference_sums()
        self.spread_ = float(sums.std()) or 1.0
        self.cut_ = float(np.quantile(-sums, 1.0 - self.tau)) / self.spread_
        self.marks_ = np.zeros(0, np.int64)
        self.marked_leaves_ = self.reference_[:0]
        if y is not None and (y != UNLABELLED).any():
            self._learn(X[y != UNLABELLED], y[y != UNLABELLED])

    def _learn(self, X: FloatArray, y: IntArray) -> None:
        self.marked_leaves_ = np.vstack([self.marked_leaves_, self._leaves(X)])
        self.marks_ = np.concatenate([self.marks_, y])
        # In standard deviations of scores, of leaves whose rows have norm 1.
        k, n_trees = self.marked_leaves_.shape
        share = 1.0 / np.sqrt(n_trees)
        leaves = self.marked_leaves_.ravel().astype(np.int64)
        marked = csr_array(
            (np.full(k * n_trees, share), leaves, np.arange(k + 1) * n_trees),
            shape=(k, len(self.lengths_)),
        )
        unit = self.spread_ * share
        before = -self.lengths_ / unit
        weights = reweigh(
            marked, self.marks_, before, self.cut_, margin=self.margin, prior=self.prior
        )
        value = -unit * weights
        fill_means(self.forest_.left, self.counts_, value)
        self._plant(self.forest_._replace(value=value))

    def _leaves(self, X: FloatArray) -> np.ndarray:
        forest = self.forest_
        assert isinstance(forest, Forest)
        X = np.require(X, np.float64, ["C", "W"])
        found = find_leaves(X, forest.feature, forest.threshold, forest.left, forest.roots)
        return found.astype(np.min_scalar_type(len(forest.left)))

    def _trained(self) -> FloatArray:
        return np.asarray(np.exp2(-self._reference_sums() / self.path_scale_))

    def _reference_sums(self) -> FloatArray:
        """Sums of the leaves' values of the training rows kept."""
        return np.asarray(self.forest_.value[self.reference_].sum(axis=1))
