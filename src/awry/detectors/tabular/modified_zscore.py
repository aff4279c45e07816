"""Modified Z-score: distance from the median in median absolute deviations."""

from __future__ import annotations

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.detectors.tabular._scale import median_and_scale
from awry.detectors.tabular._univariate import Range, Univariate


class ModifiedZScore(Univariate):
    """Rows with a value many median absolute deviations from its column's median.

    A value's score is ``0.6745 |x - median| / MAD`` or, where more than half of the column is one
    value and the MAD is 0, ``|x - median| / (1.253314 MeanAD)`` with the mean absolute deviation
    from the median. The authors' cut is 3.5, ``contamination="fixed:3.5"``.

    Parameters
    ----------
    aggregation : {"max", "sum"}, default="max"
        How the columns' scores make the row's: the largest, or their sum.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    low_, high_ : ndarray of shape (d,)
        Median of each column, in both.
    low_unit_, high_unit_ : ndarray of shape (d,)
        MAD / 0.6745 of each column or its fall-back, in both; 1 where it is constant.

    Notes
    -----
    For one column with a MAD the scores are those of PyOD's ``MAD``, which takes one column only
    and has no fall-back.

    References
    ----------
    Iglewicz & Hoaglin: "How to Detect and Handle Outliers", ASQC 1993, section 3.3 (the fall-back
    as in IBM SPSS's anomaly detection).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[2.1], [2.6], [2.4], [2.5], [2.3], [2.1], [2.3], [2.6], [8.2], [8.3]])
    >>> ModifiedZScore().fit(x).decision_scores_[-2:].round(2)
    array([25.86, 26.31])
    """

    card = Card(
        name="modified_zscore",
        summary="Rows with a value many median absolute deviations from the median.",
        family="statistical",
        paper="Iglewicz & Hoaglin, How to Detect and Handle Outliers, ASQC",
        year=1993,
        fit_cost="O(n d)",
        score_cost="O(n d)",
        finds="extreme values in symmetric columns, up to half of them odd",
        misses="odd combinations of ordinary values; the short side of skewed columns",
        aliases=("mad",),
        pyod="mad.MAD",
        univariate=True,
    )

    def _fit_column(self, x: FloatArray, columns: int) -> Range:
        return Range.around(*median_and_scale(x))
