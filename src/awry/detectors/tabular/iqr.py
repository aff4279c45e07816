"""IQR fences: Tukey's box plot."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.detectors.tabular._scale import mean_deviation_scale
from awry.detectors.tabular._univariate import Range, Univariate

#: Interquartile range of a normal column, in standard deviations.
_NORMAL_IQR = 1.3489795


class IQR(Univariate):
    """Rows with a value far beyond the quartiles of its column.

    A value's score is its distance beyond the nearer quartile in interquartile ranges, negative
    between the quartiles. Tukey's inner fences are at 1.5, ``contamination="fixed:1.5"``, the outer
    ones at 3.

    Parameters
    ----------
    aggregation : {"max", "sum"}, default="max"
        How the columns' scores make the row's: the largest, or their sum.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    low_, high_ : ndarray of shape (d,)
        First and third quartile of each column.
    low_unit_, high_unit_ : ndarray of shape (d,)
        Interquartile range of each column, in both.

    Notes
    -----
    Where the quartiles coincide the range is replaced by what a normal column of the same mean
    absolute deviation from the median has; a constant column has the range 1.

    References
    ----------
    Tukey: "Exploratory Data Analysis", 1977, chapter 2.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.append(np.arange(101.0), 225.0)[:, None]
    >>> detector = IQR(contamination="fixed:1.5").fit(x)
    >>> np.flatnonzero(detector.labels_).tolist()
    [101]
    """

    card = Card(
        name="iqr",
        summary="Rows with a value beyond the whiskers of a box plot.",
        family="statistical",
        paper="Tukey, Exploratory Data Analysis",
        year=1977,
        fit_cost="O(n d)",
        score_cost="O(n d)",
        finds="extreme values in symmetric columns, up to a quarter of them odd",
        misses="odd combinations of ordinary values; the short side of skewed columns",
        aliases=("boxplot",),
        univariate=True,
    )

    def _fit_column(self, x: FloatArray, columns: int) -> Range:
        first, median, third = np.percentile(x, [25, 50, 75])
        span = float(third - first) or _NORMAL_IQR * mean_deviation_scale(np.abs(x - median))
        return Range(first, third, *self._units(x, span))

    def _units(self, x: FloatArray, span: float) -> tuple[float, float]:
        """Units below and above the box, given the column and its interquartile range."""
        return span, span
