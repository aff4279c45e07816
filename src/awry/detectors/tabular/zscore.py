"""Z-score: distance from the mean in standard deviations."""

from __future__ import annotations

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.detectors.tabular._scale import mean_and_scale
from awry.detectors.tabular._univariate import Range, Univariate


class ZScore(Univariate):
    """Rows with a value many standard deviations from its column's mean.

    A value's score is ``|x - mean| / s``; the usual cut is 3, ``contamination="fixed:3"``.

    Parameters
    ----------
    aggregation : {"max", "sum"}, default="max"
        How the columns' scores make the row's: the largest, or their sum.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    low_, high_ : ndarray of shape (d,)
        Mean of each column, in both.
    low_unit_, high_unit_ : ndarray of shape (d,)
        Standard deviation (over n) of each column, in both; 1 where it is constant.

    References
    ----------
    Shewhart: "Economic Control of Quality of Manufactured Product", 1931 (limits at 3 s).

    Examples
    --------
    >>> import numpy as np
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 2)), [[0.0, 9.0]]])
    >>> detector = ZScore().fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    """

    card = Card(
        name="zscore",
        summary="Rows with a value many standard deviations from the mean.",
        family="statistical",
        paper="Shewhart, Economic Control of Quality of Manufactured Product",
        year=1931,
        fit_cost="O(n d)",
        score_cost="O(n d)",
        finds="extreme values in roughly normal columns",
        misses="odd combinations of ordinary values; anomalies that inflate the standard deviation",
        univariate=True,
    )

    def _fit_column(self, x: FloatArray, columns: int) -> Range:
        return Range.around(*mean_and_scale(x))
