"""What tests of all features at once share, and the tests that rest on a fitted model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from awry.core.errors import DataError
from awry.core.inputs import FloatArray
from awry.core.params import Configurable, any_of, instance, integer, nothing, real
from awry.drift.base import Drift, Finding, as_columns
from awry.drift.ordered import KolmogorovSmirnov

if TYPE_CHECKING:
    from typing import Self


class JointDrift(NamedTuple):
    """What a test of all features at once found.

    Attributes
    ----------
    test, measure : str
        The test and what its effect is measured in.
    statistic, p_value, effect : float
    significant, material, drifted : bool
        Whether chance is a poor explanation, whether the move is large enough to matter, and both.
    by_feature : Drift
        Each feature by itself, by Kolmogorov-Smirnov: which moved and by how much.
    """

    test: str
    measure: str
    statistic: float
    p_value: float
    effect: float
    significant: bool
    material: bool
    drifted: bool
    by_feature: Drift

    def __bool__(self) -> bool:
        return self.drifted


class JointTest(Configurable):
    """Base of tests of whether rows (n, d) of finite numbers come from one distribution.

    A subclass writes ``_fit(reference)`` and ``_test(current)``.

    Parameters
    ----------
    alpha : float, default=0.05
        Level below which the p-value is significant.
    min_effect : float, default=0.1
        Effect below which a move does not matter.
    """

    measure = ""
    constraints = {"alpha": real(0, 1, "()"), "min_effect": real(0), "random_state": integer(0)}

    alpha: float
    min_effect: float

    def _fit(self, reference: FloatArray) -> None:
        raise NotImplementedError

    def _test(self, current: FloatArray) -> Finding:
        raise NotImplementedError

    def fit(self, reference: Any, y: object = None) -> Self:
        """Learn the ``reference`` (n, d)."""
        self.check_params()
        values = self._rows(reference)
        self.n_features_in_ = values.shape[1]
        self._fit(values)
        self.by_feature_ = KolmogorovSmirnov(alpha=self.alpha).fit(reference)
        return self

    def test(self, current: Any) -> JointDrift:
        """Compare ``current`` (m, d) with the reference."""
        check_is_fitted(self, "by_feature_")
        values = self._rows(current)
        if values.shape[1] != self.n_features_in_:
            raise DataError(
                f"{type(self).__name__}: the data must have {self.n_features_in_} features, "
                f"got {values.shape[1]}"
            )
        found = self._test(values)
        significant, material = found.p_value < self.alpha, found.effect >= self.min_effect
        return JointDrift(
            type(self).__name__, self.measure, *found, significant, material,
            significant and material, self.by_feature_.test(current),
        )  # fmt: skip

    def _rows(self, X: Any) -> FloatArray:
        owner = type(self).__name__
        _, values = as_columns(X, owner)
        if not np.isfinite(values).all():
            raise DataError(f"{owner}: the data must hold finite numbers alone",
                            remedy="fill or drop what is missing")  # fmt: skip
        if len(values) < 4:
            raise DataError(f"{owner}: the data must have at least 4 rows, got {len(values)}")
        return values


def at_most(values: FloatArray, most: int, seed: int, side: int) -> FloatArray:
    """``values``, or ``most`` of its rows drawn at random."""
    if len(values) <= most:
        return values
    return values[np.random.default_rng([seed, side]).choice(len(values), most, replace=False)]


class ClassifierTwoSample(JointTest):
    """Whether a classifier can tell new rows from the reference's, on rows it has not seen.

    Both sides give the same number of rows, half of which teach; under no drift the number of
    held-out rows it gets right is binomial with chance 1/2, which gives the p-value. The effect is
    2 · accuracy - 1, 0 for guessing and 1 for certainty. The paper's classifiers are a small
    network and nearest neighbours; boosted trees serve here, which need no scaling.

    Parameters
    ----------
    alpha, min_effect
        See :class:`JointTest`.
    classifier : object, optional
        Any scikit-learn classifier; by default a ``HistGradientBoostingClassifier``.
    max_samples : int, default=5000
        Rows of a side at most, drawn at random.
    random_state : int, default=0

    References
    ----------
    D. Lopez-Paz, M. Oquab. Revisiting classifier two-sample tests. ICLR (2017), section 3.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(1000, 2))
    >>> turned = np.column_stack([x[:, 0], x[:, 0] + 0.1 * x[:, 1]])  # columns as before, not rows
    >>> bool(ClassifierTwoSample().fit(rng.normal(size=(1000, 2))).test(turned))
    True
    """

    measure = "2 · accuracy - 1, 0 to 1"
    constraints = {
        **JointTest.constraints,
        "classifier": any_of(nothing(), instance(object)),
        "max_samples": integer(8),
    }

    def __init__(
        self,
        alpha: float = 0.05,
        min_effect: float = 0.1,
        classifier: Any = None,
        max_samples: int = 5000,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.min_effect = min_effect
        self.classifier = classifier
        self.max_samples = max_samples
        self.random_state = random_state

    def _fit(self, reference: FloatArray) -> None:
        self.reference_ = at_most(reference, self.max_samples, self.random_state, 0)

    def _test(self, current: FloatArray) -> Finding:
        size = min(len(self.reference_), len(current), self.max_samples)
        sides = [self.reference_, current]
        X = np.vstack([at_most(s, size, self.random_state, i) for i, s in enumerate(sides)])
        y = np.repeat([0, 1], size)
        seen, held_out, told, truth = train_test_split(
            X, y, test_size=0.5, stratify=y, random_state=self.random_state
        )
        model = HistGradientBoostingClassifier(
            max_iter=50, early_stopping=False, random_state=self.random_state
        )
        judge = clone(self.classifier) if self.classifier is not None else model
        right = int((judge.fit(seen, told).predict(held_out) == truth).sum())
        accuracy = right / len(truth)
        p = float(stats.binom.sf(right - 1, len(truth), 0.5))
        return Finding(accuracy, p, max(0.0, 2 * accuracy - 1))


class PCAReconstruction(JointTest):
    """Whether new rows fit the reference's principal components as its own rows do.

    Half of the reference, in units of its own standard deviations, gives the components that hold
    ``variance`` of its variance; the errors of rebuilding the other half are what the new rows'
    errors are compared with, by Kolmogorov-Smirnov. It sees features that no longer move together
    though each by itself is as before; it is blind to moves within the components. Comparing with
    held-out rows, in place of a band of chunk averages, is what gives a p-value.

    Parameters
    ----------
    alpha, min_effect
        See :class:`JointTest`.
    variance : float, default=0.65
        Share of the variance that the components hold.
    random_state : int, default=0

    References
    ----------
    A. Qahtan, B. Alharbi, S. Wang, X. Zhang. A PCA-based change detection framework for
    multidimensional data streams. KDD (2015). NannyML: data reconstruction with PCA, for the
    defaults.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(1000, 1)) + 0.1 * rng.normal(size=(1000, 3))
    >>> shuffled = rng.permuted(x, axis=0)
    >>> bool(PCAReconstruction().fit(x[:500]).test(x[500:]))
    False
    >>> bool(PCAReconstruction().fit(x[:500]).test(shuffled[500:]))
    True
    """

    measure = "largest gap between the distributions of the errors, 0 to 1"
    constraints = {**JointTest.constraints, "variance": real(0, 1, "()")}

    def __init__(
        self,
        alpha: float = 0.05,
        min_effect: float = 0.1,
        variance: float = 0.65,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.min_effect = min_effect
        self.variance = variance
        self.random_state = random_state

    def _fit(self, reference: FloatArray) -> None:
        order = np.random.default_rng(self.random_state).permutation(len(reference))
        learnt, kept = np.array_split(reference[order], 2)
        self.mean_, spread = learnt.mean(axis=0), learnt.std(axis=0)
        self.scale_ = np.where(spread > 0, spread, 1.0)
        self.pca_ = PCA(self.variance, svd_solver="full").fit((learnt - self.mean_) / self.scale_)
        self.errors_ = self._errors(kept)

    def _test(self, current: FloatArray) -> Finding:
        found = stats.ks_2samp(self.errors_, self._errors(current), method="asymp")
        return Finding(float(found.statistic), float(found.pvalue), float(found.statistic))

    def _errors(self, X: FloatArray) -> FloatArray:
        scaled = (X - self.mean_) / self.scale_
        return np.linalg.norm(
            scaled - self.pca_.inverse_transform(self.pca_.transform(scaled)), axis=1
        )
