"""COPOD: copula-based outlier detection."""

from __future__ import annotations

from awry.core.card import Card
from awry.detectors.tabular._tails import EmpiricalTails


class COPOD(EmpiricalTails):
    """Rows in the joint tails of the columns' empirical copula.

    With l and r the negative logs of the shares of training values not above and not below a value,
    the score of a row is the sum over columns of the larger of the tail on the side the column is
    skewed to and the mean of l and r (algorithm 1 of the paper).

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
    Departures from the paper, both PyOD's, whose scores of the training data these are: the larger
    of the two is taken in each column rather than of the sums over the columns, and a column
    without skew adds both its tails.

    Departure from PyOD: new rows are judged by the training data alone, where PyOD ranks them
    among the training data and one another, so that its scores change with the batch. A value
    beyond the training range counts as one in n + 1.

    References
    ----------
    Li, Zhao, Botta, Ionescu, Hu: "COPOD: Copula-Based Outlier Detection", ICDM 2020.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).lognormal(size=(200, 3))
    >>> X[7, 2] = 60.0
    >>> detector = COPOD().fit(X)
    >>> int(detector.decision_scores_.argmax())
    7
    >>> detector.explain(X[[7]]).top(1)[0][0][0]
    'x2'
    """

    copula = True
    card = Card(
        name="copod",
        summary="Rows in the tails of their columns, on the side each column is skewed to.",
        family="statistical",
        paper="Li et al., COPOD, ICDM",
        year=2020,
        fit_cost="O(n d log n)",
        score_cost="O(n d log n)",
        finds="extreme values on the long side of skewed columns; no settings; explains itself",
        misses="odd combinations of ordinary values; anomalies in dense middles",
        pyod="copod.COPOD",
        univariate=True,
    )
