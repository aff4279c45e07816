"""Tests of counts: of categories, or of numbers in bins that hold equal shares of the reference."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import numpy as np
from scipy import special, stats

from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing
from awry.drift.base import UNKNOWN, DriftTest, Finding

#: Cells expected to hold fewer rows are pooled, for the chi-square law does not hold there.
_FEWEST_EXPECTED = 5.0


class Counts(NamedTuple):
    """How a reference's values fall into cells.

    Attributes
    ----------
    edges : ndarray
        Inner edges of bins, or the levels themselves.
    counts : ndarray
        Of the bins; of the levels and, at the end, of all others.
    """

    edges: FloatArray
    counts: FloatArray


class BinnedTest(DriftTest):
    """Base of the tests on a table of counts, reference in the first row, new data in the second.

    A subclass writes ``_judge(table)``. Cells in which fewer than five rows are expected are
    pooled.

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.
    bins : int or None
        Cells of numbers, which hold equal shares of the reference; None takes each distinct value
        for a level of its own.
    """

    bins: int | None
    constraints = {**DriftTest.constraints, "bins": any_of(nothing(), integer(2))}

    def _judge(self, table: FloatArray) -> Finding:
        """The finding on a table of counts (2, k), k at least 2."""
        raise NotImplementedError

    def _sketch(self, values: FloatArray) -> Counts:
        if self.bins is None:
            levels, counts = np.unique(values, return_counts=True)
            return Counts(levels, np.append(counts, 0).astype(float))
        edges = np.unique(np.quantile(values, np.arange(1, self.bins) / self.bins))
        return Counts(edges, self._count(edges, values))

    def _count(self, edges: FloatArray, values: FloatArray) -> FloatArray:
        cell = np.searchsorted(edges, values)
        if self.bins is None:
            known = edges[np.minimum(cell, len(edges) - 1)] == values
            cell = np.where(known, cell, len(edges))
        return np.bincount(cell, minlength=len(edges) + 1).astype(float)

    def _compare(self, sketch: Counts, values: FloatArray) -> Finding:
        table = _pooled(np.stack([sketch.counts, self._count(sketch.edges, values)]))
        return self._judge(table) if table.shape[1] > 1 else UNKNOWN._replace(statistic=0.0)


def _pooled(table: FloatArray) -> FloatArray:
    """``table`` (2, k) with its rare cells in one.

    The last cell, of levels the reference does not know, goes with the rare ones: were it counted
    by itself, many rare levels would look like drift, for some are always met for the first time.
    """
    rows = table.sum(axis=1)
    share = rows.min() / rows.sum()
    rare = table.sum(axis=0) * share < _FEWEST_EXPECTED
    if not rare.any():
        return table
    rare[-1] = True
    kept, rest = table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)
    if rest.sum() * share >= _FEWEST_EXPECTED or not kept.size:
        return np.hstack([kept, rest])
    # Too few for a cell of their own: they go with the smallest of the others.
    kept[:, np.argmin(kept.sum(axis=0))] += rest[:, 0]
    return kept


class ChiSquare(BinnedTest):
    """Pearson's test that categories come in the same shares.

    The effect is Cramér's V without its bias, from 0 to 1; 0.1 is small, 0.3 medium, 0.5 large
    (Cohen 1988).

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.
    bins : int or None, default=None
        See :class:`BinnedTest`.

    References
    ----------
    K. Pearson. On the criterion that a given system of deviations ... Philosophical Magazine 50
    (1900). W. Bergsma. A bias-correction for Cramér's V and Tschuprow's T. Journal of the Korean
    Statistical Society 42 (2013).

    Examples
    --------
    >>> old, new = np.repeat([0, 1, 2], [50, 30, 20]), np.repeat([0, 1, 2], [20, 30, 50])
    >>> ChiSquare().fit(old).test(new).statistic.round(3)
    array([25.714])
    """

    measure = "Cramér's V, 0 to 1"

    def __init__(
        self,
        alpha: float = 0.05,
        correction: str | None = "benjamini_hochberg",
        min_effect: float = 0.1,
        bins: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.correction = correction
        self.min_effect = min_effect
        self.bins = bins

    def _judge(self, table: FloatArray) -> Finding:
        total = table.sum()
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / total
        statistic = self._distance(table, expected)
        p = float(stats.chi2.sf(statistic, table.shape[1] - 1))
        # As in Bergsma (2013), so that neither few rows nor many levels pass for an effect.
        square = max(0.0, statistic / total - (table.shape[1] - 1) / (total - 1))
        return Finding(statistic, p, math.sqrt(min(1.0, square / (1 - 1 / (total - 1)))))

    def _distance(self, table: FloatArray, expected: FloatArray) -> float:
        return float(((table - expected) ** 2 / expected).sum())


class GTest(ChiSquare):
    """The likelihood-ratio test that categories come in the same shares.

    The effect is Cramér's V with G in place of Pearson's statistic.

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.
    bins : int or None, default=None
        See :class:`BinnedTest`.

    References
    ----------
    R. R. Sokal, F. J. Rohlf. Biometry. Freeman (1981), chapter 17.

    Examples
    --------
    >>> old, new = np.repeat([0, 1, 2], [50, 30, 20]), np.repeat([0, 1, 2], [20, 30, 50])
    >>> GTest().fit(old).test(new).statistic.round(3)
    array([26.566])
    """

    measure = "Cramér's V by G, 0 to 1"

    def _distance(self, table: FloatArray, expected: FloatArray) -> float:
        return float(2 * special.xlogy(table, table / expected).sum())


class _Divergence(BinnedTest):
    """Base of the measures of two rows of shares.

    Every one of them is, to second order, a multiple of Pearson's: as the samples grow under no
    drift, ``_weight · n·m / (n + m)`` times the measure tends to a chi-square law with one degree
    of freedom less than there are cells (Pardo 2006).
    """

    _weight: ClassVar[float] = 1.0

    def __init__(
        self,
        alpha: float = 0.05,
        correction: str | None = "benjamini_hochberg",
        min_effect: float = 0.1,
        bins: int | None = 10,
    ) -> None:
        self.alpha = alpha
        self.correction = correction
        self.min_effect = min_effect
        self.bins = bins

    def _measure(self, p: FloatArray, q: FloatArray) -> float:
        raise NotImplementedError

    def _effect(self, statistic: float) -> float:
        return statistic

    def _judge(self, table: FloatArray) -> Finding:
        n, m = table.sum(axis=1)
        shares = table + 0.5  # half a row in every cell, so that none is empty
        statistic = self._measure(*(shares / shares.sum(axis=1, keepdims=True)))
        law = self._weight * n * m / (n + m) * statistic
        p = float(stats.chi2.sf(law, table.shape[1] - 1))
        return Finding(statistic, p, self._effect(statistic))


class PSI(_Divergence):
    """Population stability index, Σ (q - p) ln(q / p).

    By convention below 0.1 is stable and above 0.25 a large change; the convention knows nothing
    of sample sizes, the p-value does.

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.
    bins : int or None, default=10
        See :class:`BinnedTest`.

    References
    ----------
    B. Yurdakul. Statistical properties of population stability index. Western Michigan University
    (2018).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = PSI().fit(rng.normal(size=5000)).test(rng.normal(1, 1, size=5000))
    >>> bool(0.8 < found.effect[0] < 1.1)
    True
    """

    measure = "population stability index"

    def _measure(self, p: FloatArray, q: FloatArray) -> float:
        return float(((q - p) * np.log(q / p)).sum())


class KullbackLeibler(_Divergence):
    """Relative entropy of the new data from the reference, Σ q ln(q / p), in nats.

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.
    bins : int or None, default=10
        See :class:`BinnedTest`.

    References
    ----------
    S. Kullback, R. A. Leibler. On information and sufficiency. Annals of Mathematical Statistics
    22 (1951). L. Pardo. Statistical inference based on divergence measures. CRC (2006), for the
    law under no drift.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = KullbackLeibler().fit(rng.normal(size=5000)).test(rng.normal(1, 1, size=5000))
    >>> bool(0.4 < found.effect[0] < 0.55)
    True
    """

    measure = "relative entropy in nats"
    _weight = 2.0

    def _measure(self, p: FloatArray, q: FloatArray) -> float:
        return float((q * np.log(q / p)).sum())


class JensenShannon(_Divergence):
    """Jensen-Shannon divergence, the mean relative entropy from the halfway distribution, in nats.

    The effect is the Jensen-Shannon distance in base 2, from 0 to 1.

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.
    bins : int or None, default=10
        See :class:`BinnedTest`.

    References
    ----------
    J. Lin. Divergence measures based on the Shannon entropy. IEEE Transactions on Information
    Theory 37 (1991).

    Examples
    --------
    >>> found = JensenShannon(bins=None).fit(np.zeros(5000)).test(np.ones(5000))
    >>> bool(found.effect[0] > 0.99)
    True
    """

    measure = "Jensen-Shannon distance, 0 to 1"
    _weight = 8.0

    def _measure(self, p: FloatArray, q: FloatArray) -> float:
        middle = (p + q) / 2
        return float(((p * np.log(p / middle)).sum() + (q * np.log(q / middle)).sum()) / 2)

    def _effect(self, statistic: float) -> float:
        return math.sqrt(max(0.0, statistic) / math.log(2))
