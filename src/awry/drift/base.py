"""What all tests of drift share: a reference sketched once, and a finding for each feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from scipy import stats
from sklearn.utils.validation import check_is_fitted

from awry.core.errors import DataError
from awry.core.inputs import FloatArray
from awry.core.params import Configurable, option, real

if TYPE_CHECKING:
    from typing import Self

#: Corrections for asking about many features at once, by the name that tests take.
CORRECTIONS = ("benjamini_hochberg", "bonferroni", None)
#: A feature with fewer values on a side is not judged.
FEWEST = 5


class Finding(NamedTuple):
    """What a test says of one feature: its statistic, p-value and size of effect."""

    statistic: float
    p_value: float
    effect: float


#: Of a feature that cannot be judged.
UNKNOWN = Finding(float("nan"), 1.0, 0.0)


class Drift(NamedTuple):
    """What a test found, one entry per feature in every array.

    Attributes
    ----------
    test, measure : str
        The test and what its effect is measured in.
    features : tuple of str
    statistic, p_value : ndarray of shape (d,)
    adjusted : ndarray of shape (d,)
        P-values corrected for the number of features.
    effect : ndarray of shape (d,)
        How far the feature moved, which does not grow with the number of rows.
    significant, material, drifted : ndarray of shape (d,)
        Whether chance is a poor explanation, whether the move is large enough to matter, and both.
    """

    test: str
    measure: str
    features: tuple[str, ...]
    statistic: FloatArray
    p_value: FloatArray
    adjusted: FloatArray
    effect: FloatArray
    significant: np.ndarray
    material: np.ndarray
    drifted: np.ndarray

    def moved(self) -> list[tuple[str, float]]:
        """Features that drifted and by how much, the farthest first."""
        order = np.argsort(-self.effect, kind="stable")
        return [(self.features[j], float(self.effect[j])) for j in order if self.drifted[j]]

    def __bool__(self) -> bool:
        return bool(self.drifted.any())


def adjust(p_values: FloatArray, correction: str | None) -> FloatArray:
    """P-values corrected for their number.

    Bonferroni bounds the chance of a single false alarm; Benjamini-Hochberg (1995) the share of
    false ones among the alarms.

    Examples
    --------
    >>> adjust(np.array([0.01, 0.04, 0.5]), "bonferroni").round(3)
    array([0.03, 0.12, 1.  ])
    >>> adjust(np.array([0.01, 0.04, 0.5]), "benjamini_hochberg").round(3)
    array([0.03, 0.06, 0.5 ])
    """
    if correction == "bonferroni":
        return np.minimum(p_values * len(p_values), 1.0)
    if correction == "benjamini_hochberg" and len(p_values):
        return np.asarray(stats.false_discovery_control(p_values, method="bh"))
    return p_values


def judge(
    test: str,
    measure: str,
    features: Sequence[str],
    findings: Sequence[Finding],
    *,
    alpha: float,
    correction: str | None,
    min_effect: float,
) -> Drift:
    """Findings with their p-values corrected, and what follows from them."""
    statistic, p_value, effect = np.array(findings, dtype=float).reshape(-1, 3).T
    adjusted = adjust(p_value, correction)
    significant, material = adjusted < alpha, effect >= min_effect
    return Drift(
        test, measure, tuple(features), statistic, p_value, adjusted, effect,
        significant, material, significant & material,
    )  # fmt: skip


def as_columns(X: Any, owner: str) -> tuple[list[str], FloatArray]:
    """Names and float columns (n, d) of an array (n,) or (n, d) or a DataFrame."""
    names = [str(c) for c in X.columns] if hasattr(X, "columns") else None
    values = np.asarray(X, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.size:
        raise DataError(f"{owner}: the data must be (n,) or (n, d) and hold values, "
                        f"got the shape {np.shape(X)}")  # fmt: skip
    return names or [f"x{j}" for j in range(values.shape[1])], values


class DriftTest(Configurable):
    """Base of tests that compare each feature of new data with what it was.

    A subclass writes ``_sketch``, which keeps of a feature's reference what comparing needs, and
    ``_compare``. Values that are not finite count as missing and are left out.

    Parameters
    ----------
    alpha : float, default=0.05
        Level below which a corrected p-value is significant.
    correction : {"benjamini_hochberg", "bonferroni", None}, default="benjamini_hochberg"
    min_effect : float, default=0.1
        Effect below which a move does not matter, however significant: a million rows make
        everything significant. In units of ``measure``.

    Attributes
    ----------
    features_ : tuple of str
    sketches_ : list
        What is kept of each feature; ``test`` reads nothing else of the reference.
    """

    #: What the effect is, in words.
    measure: ClassVar[str] = ""
    constraints = {
        "alpha": real(0, 1, "()"),
        "correction": option(*CORRECTIONS),
        "min_effect": real(0),
    }

    alpha: float
    correction: str | None
    min_effect: float

    def _sketch(self, values: FloatArray) -> Any:
        """What is kept of the finite reference values (n,) of a feature."""
        raise NotImplementedError

    def _compare(self, sketch: Any, values: FloatArray) -> Finding:
        """The finding on finite new values (m,)."""
        raise NotImplementedError

    def fit(self, reference: Any, y: object = None) -> Self:
        """Sketch the ``reference`` (n,) or (n, d)."""
        self.check_params()
        names, values = as_columns(reference, type(self).__name__)
        self.features_ = tuple(names)
        kept = [column[np.isfinite(column)] for column in values.T]
        self.sketches_ = [self._sketch(k) if len(k) >= FEWEST else None for k in kept]
        return self

    def test(self, current: Any) -> Drift:
        """Compare ``current`` (m,) or (m, d) with the reference, feature by feature."""
        check_is_fitted(self, "sketches_")
        _, values = as_columns(current, type(self).__name__)
        if values.shape[1] != len(self.features_):
            raise DataError(
                f"{type(self).__name__}: the data must have {len(self.features_)} features, "
                f"got {values.shape[1]}"
            )
        findings = []
        for sketch, column in zip(self.sketches_, values.T, strict=True):
            known = column[np.isfinite(column)]
            judged = sketch is not None and len(known) >= FEWEST
            findings.append(self._compare(sketch, known) if judged else UNKNOWN)
        return judge(
            type(self).__name__, self.measure, self.features_, findings,
            alpha=self.alpha, correction=self.correction, min_effect=self.min_effect,
        )  # fmt: skip
