"""ECOD: empirical cumulative distribution outlier detection."""

from __future__ import annotations

from awry.core.card import Card
from awry.detectors.tabular._tails import EmpiricalTails


class ECOD(EmpiricalTails):
    """Rows in the tails of their columns' empirical distributions.

    With l and r the negative logs of the shares of training values not above and not below a value
    (equations 4 and 5 of the paper), the score of a row is the sum over columns of the largest of
    l, r and the one on the side of the column's longer tail.

    Parameters
    ----------
    n_jobs : int or None, default=1
        Threads, each at work on a column; -1 uses every core.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    sorted_ : ndarray of shape (d, n)
        The training columns in ascending order: their empirical distribution functions.
    skew_ : ndarray of shape (d,)
        Sign of each column's skewness.

    Notes
    -----
    Departures from the paper, both PyOD's, whose scores of the training data these are: the
    largest tail is taken in each column, where the paper sums each kind of tail over the columns
    before it takes the largest sum (equation 8); and a column without skew adds both its tails.

    Departure from PyOD: new rows are judged by the training data alone, where PyOD ranks them
    among the training data and one another, so that its scores change with the batch. A value
    beyond the training range counts as one in n + 1.

    References
    ----------
    Li, Zhao, Hu, Botta, Ionescu, Chen: "ECOD: Unsupervised Outlier Detection Using Empirical
    Cumulative Distribution Functions", IEEE TKDE 2022.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(200, 3)), [[9.0, 9.0, 0.0]]])
    >>> detector = ECOD().fit(X)
    >>> int(detector.decision_scores_.argmax())
    200
    >>> sorted(name for name, _ in detector.explain(X[200:]).top(2)[0])
    ['x0', 'x1']
    """

    copula = False
    card = Card(
        name="ecod",
        summary="Rows in the far tails of their columns, taken one by one.",
        family="statistical",
        paper="Li et al., ECOD, IEEE TKDE",
        year=2022,
        fit_cost="O(n d log n)",
        score_cost="O(n d log n)",
        finds="extreme values in single columns; no settings; explains itself",
        misses="odd combinations of ordinary values; anomalies in dense middles",
        pyod="ecod.ECOD",
        univariate=True,
    )
