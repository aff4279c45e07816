"""Adjusted box plot: fences that follow the skew of a column."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.detectors.tabular.iqr import IQR
from awry.kernels.columns import medcouple


class AdjustedBoxPlot(IQR):
    """Rows with a value far beyond the quartiles of its column, given the column's skew.

    As :class:`~awry.detectors.tabular.iqr.IQR`, with interquartile ranges stretched by exp(3 MC)
    on the long side and exp(-4 MC) on the short one, MC being the medcouple (section 3.2 of the
    paper). The fences are at 1.5, ``contamination="fixed:1.5"``; of clean values, skewed or not,
    they flag between 0.2 % and 2 %.

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
        Stretched interquartile ranges below and above the box of each column.

    References
    ----------
    Hubert & Vandervieren: "An adjusted boxplot for skewed distributions", Computational Statistics
    & Data Analysis 2008. Brys, Hubert & Struyf: "A Robust Measure of Skewness", JCGS 2004.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).lognormal(size=(2000, 1))
    >>> for kind in IQR, AdjustedBoxPlot:
    ...     print(round(float(kind(contamination="fixed:1.5").fit(x).labels_.mean()), 2))
    0.07
    0.02
    """

    card = Card(
        name="adjusted_boxplot",
        summary="Rows with a value beyond the whiskers of a box plot adjusted for skew.",
        family="statistical",
        paper="Hubert & Vandervieren, An adjusted boxplot for skewed distributions, CSDA",
        year=2008,
        fit_cost="O(n d log n)",
        score_cost="O(n d)",
        finds="extreme values in skewed columns, up to a quarter of them odd",
        misses="odd combinations of ordinary values; modest outliers on the long side",
        univariate=True,
    )

    def _units(self, x: FloatArray, span: float) -> tuple[float, float]:
        skew = medcouple(np.sort(x))
        low, high = (-4.0, 3.0) if skew >= 0 else (-3.0, 4.0)
        return span * float(np.exp(low * skew)), span * float(np.exp(high * skew))
