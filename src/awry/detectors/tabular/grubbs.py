"""Grubbs' test for a single outlier."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import real
from awry.core.threshold import Threshold
from awry.detectors.tabular._scale import mean_and_scale
from awry.detectors.tabular._univariate import Range, Univariate


class Grubbs(Univariate):
    """Rows with a value that Grubbs' test rejects.

    A value's score is its distance from the mean in standard deviations, over the two-sided
    critical value of the test, so ``contamination="fixed:1"`` flags what the test rejects. The
    level is shared among the columns (Bonferroni).

    Parameters
    ----------
    alpha : float, default=0.05
        Level of the test: how often a table of independent normal columns without outliers has a
        value above 1.
    aggregation : {"max", "sum"}, default="max"
        How the columns' scores make the row's: the largest, or their sum.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    statistic_ : ndarray of shape (d,)
        G of each column, its largest distance from the mean in standard deviations.
    pvalue_ : ndarray of shape (d,)
        Two-sided p-value of each column's farthest value, before the sharing among columns.
    critical_ : float
        Critical value of G.
    low_, high_ : ndarray of shape (d,)
        Mean of each column, in both.
    low_unit_, high_unit_ : ndarray of shape (d,)
        ``critical_`` standard deviations (over n - 1) of each column, in both.

    Notes
    -----
    The test is for one outlier: two that lie together inflate the deviation and hide each other;
    :class:`~awry.detectors.tabular.gesd.GESD` is for several.

    References
    ----------
    Grubbs: "Sample Criteria for Testing Outlying Observations", Annals of Mathematical Statistics
    1950; critical values as in the NIST/SEMATECH handbook, section 1.3.5.17.1.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([199.31, 199.53, 200.19, 200.82, 201.92, 201.95, 202.18, 245.57])
    >>> detector = Grubbs().fit(x[:, None])
    >>> print(f"{detector.statistic_[0]:.3f} against {detector.critical_:.3f}")
    2.469 against 2.127
    """

    card = Card(
        name="grubbs",
        summary="Rows with a value that Grubbs' test for one outlier rejects.",
        family="statistical",
        paper="Grubbs, Sample Criteria for Testing Outlying Observations, AMS",
        year=1950,
        fit_cost="O(n d)",
        score_cost="O(n d)",
        finds="a single extreme value in normal columns, at a stated error rate",
        misses="several outliers, which mask each other; odd combinations of ordinary values",
        univariate=True,
        min_rows=3,
    )
    constraints = {**Univariate.constraints, "alpha": real(0, 1, "()")}

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        aggregation: str = "max",
        contamination: float | str | Threshold | None = None,
    ) -> None:
        super().__init__(aggregation=aggregation, contamination=contamination)
        self.alpha = alpha

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        n, d = X.shape
        square = float(student.isf(self.alpha / (2 * n * d), n - 2)) ** 2
        self.critical_ = float((n - 1) * np.sqrt(square / (n - 2 + square) / n))
        super()._fit(X, y)
        self.statistic_ = self.critical_ * self._distances(X).max(axis=0)
        # The other way round: the t value whose critical value is G.
        rest = np.maximum((n - 1) ** 2 - n * self.statistic_**2, 0.0)
        with np.errstate(divide="ignore"):
            t = self.statistic_ * np.sqrt(n * (n - 2) / rest)
        self.pvalue_ = np.minimum(2 * n * student.sf(t, n - 2), 1.0)

    def _fit_column(self, x: FloatArray, columns: int) -> Range:
        mean, scale = mean_and_scale(x)
        return Range.around(mean, self.critical_ * scale * np.sqrt(len(x) / (len(x) - 1)))
