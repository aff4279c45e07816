"""GESD: the generalised extreme studentised deviate test for several outliers."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._scale import mean_and_scale
from awry.detectors.tabular._univariate import Range, Univariate
from awry.kernels.columns import extreme_deviates
from awry.kernels.deviates import critical_deviates


class GESD(Univariate):
    """Rows with a value that Rosner's test for up to so many outliers rejects.

    Column by column the value farthest from the mean of what is left is removed, so many times;
    the outliers are those up to the last whose distance R exceeds its critical value λ. A value's
    score is its distance from the mean of the rest, in the rest's standard deviations, over the
    critical value of the next removal, so ``contamination="fixed:1"`` flags the outliers. The level
    is shared among the columns (Bonferroni).

    Parameters
    ----------
    max_outliers : int or float, default=0.1
        The most outliers a column may have, as a number or as a share of the rows.
    alpha : float, default=0.05
        Level of the test: how often a table of independent normal columns without outliers has a
        value above 1.
    aggregation : {"max", "sum"}, default="max"
        How the columns' scores make the row's: the largest, or their sum.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    n_outliers_ : ndarray of shape (d,)
        Outliers found in each column.
    critical_ : ndarray of shape (max_outliers + 1,)
        Critical values λ of the first removal, the second and so on.
    low_, high_ : ndarray of shape (d,)
        Mean of each column without its outliers, in both.
    low_unit_, high_unit_ : ndarray of shape (d,)
        Standard deviation of each column without its outliers, times the critical value, in both.

    Notes
    -----
    Rosner found the level accurate from 25 rows on.

    References
    ----------
    Rosner: "Percentage Points for a Generalized ESD Many-Outlier Procedure", Technometrics 1983,
    equations 2.1 to 2.5.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.append(np.random.default_rng(0).normal(size=60), [6.0, 6.1, 6.2])[:, None]
    >>> detector = GESD(contamination="fixed:1").fit(x)
    >>> np.flatnonzero(detector.labels_).tolist()
    [60, 61, 62]
    """

    card = Card(
        name="gesd",
        summary="Rows with a value that the generalised ESD test for several outliers rejects.",
        family="statistical",
        paper="Rosner, Generalized ESD Many-Outlier Procedure, Technometrics",
        year=1983,
        fit_cost="O(n d log n)",
        score_cost="O(n d)",
        finds="several extreme values in normal columns, without masking, at a stated error rate",
        misses="odd combinations of ordinary values; outliers of skewed columns",
        univariate=True,
        min_rows=4,
    )
    constraints = {
        **Univariate.constraints,
        "max_outliers": any_of(integer(1), real(0, 0.5, "()")),
        "alpha": real(0, 1, "()"),
    }

    def __init__(
        self,
        *,
        max_outliers: int | float = 0.1,
        alpha: float = 0.05,
        aggregation: str = "max",
        contamination: float | str | Threshold | None = None,
    ) -> None:
        super().__init__(aggregation=aggregation, contamination=contamination)
        self.max_outliers = max_outliers
        self.alpha = alpha

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        n, d = X.shape
        share = isinstance(self.max_outliers, float)
        steps = int(self.max_outliers * n) if share else int(self.max_outliers)
        # At least three values must be left for the last critical value, that of the next removal.
        self.critical_ = critical_deviates(n, min(max(steps, 1), n - 3) + 1, self.alpha, d)
        self.n_outliers_ = np.zeros(0, np.int64)
        super()._fit(X, y)

    def _fit_column(self, x: FloatArray, columns: int) -> Range:
        x = np.sort(x)
        deviates, lows = extreme_deviates(x, len(self.critical_) - 1)
        above = np.flatnonzero(deviates > self.critical_[:-1])
        found = int(above[-1]) + 1 if len(above) else 0
        self.n_outliers_ = np.append(self.n_outliers_, found)
        low = lows[found]
        rest = x[low : len(x) - (found - low)]
        mean, scale = mean_and_scale(rest)
        return Range.around(
            mean, self.critical_[found] * scale * np.sqrt(len(rest) / (len(rest) - 1))
        )
