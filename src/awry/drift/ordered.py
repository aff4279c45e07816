"""Tests of numbers by their distribution functions, each from one pass over two sorted samples."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from awry.core.inputs import FloatArray
from awry.core.params import integer
from awry.drift.base import DriftTest, Finding
from awry.kernels import drift as kernels

#: Up to this product of the sample sizes the Kolmogorov-Smirnov p-value is exact.
_EXACT = 10_000


class KolmogorovSmirnov(DriftTest):
    """The largest distance between two distribution functions.

    The p-value is exact for small samples without ties and otherwise that of the one-sample law at
    n·m / (n + m) rows, as in scipy; with ties it errs on the side of no alarm. The effect is the
    statistic itself, from 0 to 1.

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.

    References
    ----------
    N. Smirnov. Table for estimating the goodness of fit of empirical distributions. Annals of
    Mathematical Statistics 19 (1948).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = KolmogorovSmirnov().fit(rng.normal(size=(500, 2))).test(
    ...     rng.normal(size=(500, 2)) + [0, 1]
    ... )
    >>> found.drifted
    array([False,  True])
    """

    measure = "largest gap between the distributions, 0 to 1"

    def __init__(
        self,
        alpha: float = 0.05,
        correction: str | None = "benjamini_hochberg",
        min_effect: float = 0.1,
    ) -> None:
        self.alpha = alpha
        self.correction = correction
        self.min_effect = min_effect

    def _sketch(self, values: FloatArray) -> FloatArray:
        return np.sort(values)

    def _compare(self, sketch: FloatArray, values: FloatArray) -> Finding:
        ordered = np.sort(values)
        gap = float(kernels.compare_sorted(sketch, ordered)[kernels.KS])
        n, m = len(sketch), len(ordered)
        if n * m <= _EXACT:
            p = float(stats.ks_2samp(sketch, ordered, method="exact").pvalue)
        else:
            p = float(stats.kstwo.sf(gap, round(n * m / (n + m))))
        return Finding(gap, p, gap)


class CramerVonMises(KolmogorovSmirnov):
    """The mean square distance between two distribution functions, at the pooled values.

    The p-value is that of the limit law, the statistic first brought to its mean and variance
    (Anderson 1962, as in scipy). The effect is sqrt(3 · mean (F - G)²), 1 for samples apart.

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.

    References
    ----------
    T. W. Anderson. On the distribution of the two-sample Cramér-von Mises criterion. Annals of
    Mathematical Statistics 33 (1962).
    S. Csörgő, J. J. Faraway. The exact and asymptotic distributions of Cramér-von Mises
    statistics. Journal of the Royal Statistical Society B 58 (1996), eq. 1.2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(CramerVonMises().fit(rng.normal(size=300)).test(rng.normal(0, 3, size=300)))
    True
    """

    measure = "mean gap between the distributions, 0 to 1"

    def _compare(self, sketch: FloatArray, values: FloatArray) -> Finding:
        n, m = len(sketch), len(values)
        total = n + m
        squares = float(kernels.compare_sorted(sketch, np.sort(values))[kernels.CVM])
        statistic = n * m / total**2 * squares
        mean = (1 + 1 / total) / 6
        variance = (total + 1) / (45 * total**2) * (4 * n * m * total - 3 * (n * n + m * m)
                                                     - 2 * n * m) / (4 * n * m)  # fmt: skip
        standard = 1 / 6 + (statistic - mean) / math.sqrt(45 * variance)
        return Finding(statistic, _cvm_sf(standard), math.sqrt(min(1.0, 3 * squares / total)))


def _cvm_sf(x: float) -> float:
    """The chance that the limit law of the Cramér-von Mises statistic exceeds ``x``."""
    if x <= 0.003:  # below it the law holds less than 1e-15
        return 1.0
    k = np.arange(20)
    y = 4 * k + 1
    q = y * y / (16 * x)
    # gamma(k + 1/2) / k! falls slowly, exp(-q) K(q) fast.
    ratio = np.exp(special.gammaln(k + 0.5) - special.gammaln(k + 1))
    terms = ratio * np.sqrt(y) * np.exp(-2 * q) * special.kve(0.25, q)
    return float(np.clip(1 - terms.sum() / (math.pi**1.5 * math.sqrt(x)), 0.0, 1.0))


class _Sorted(NamedTuple):
    """A reference in order, a sample of it for permutations, and its spread."""

    values: FloatArray
    sample: FloatArray
    scale: float


class _Permuted(DriftTest):
    """Base of the tests whose p-value comes from dealing the pooled values anew.

    It is (1 + k) / (1 + n_permutations), k being the permutations that reach the statistic. Where
    none does, a gamma law fitted to them says how much smaller it is, for else no correction for
    many features could ever be met.
    """

    #: Which of :func:`~awry.kernels.drift.compare_sorted`'s distances, and its permuted twin.
    _distance: int
    _twin: int
    constraints = {
        **DriftTest.constraints,
        "n_permutations": integer(19),
        "max_samples": integer(10),
        "random_state": integer(0),
    }

    def __init__(
        self,
        alpha: float = 0.05,
        correction: str | None = "benjamini_hochberg",
        min_effect: float = 0.1,
        n_permutations: int = 199,
        max_samples: int = 2000,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.correction = correction
        self.min_effect = min_effect
        self.n_permutations = n_permutations
        self.max_samples = max_samples
        self.random_state = random_state

    def _sketch(self, values: FloatArray) -> _Sorted:
        ordered = np.sort(values)
        return _Sorted(ordered, self._sample(ordered, 0), float(np.std(values)))

    def _compare(self, sketch: _Sorted, values: FloatArray) -> Finding:
        ordered = np.sort(values)
        distances = kernels.compare_sorted(sketch.values, ordered)
        few = self._sample(ordered, 1)
        observed = kernels.compare_sorted(sketch.sample, few)[self._distance]
        pooled = np.sort(np.concatenate([sketch.sample, few]))
        dealt = kernels.permuted_distances(
            pooled, len(sketch.sample), self.n_permutations, self.random_state
        )[self._twin]
        effect = self._effect(distances, sketch.scale)
        return Finding(
            float(distances[self._distance]), permutation_p(float(observed), dealt), effect
        )

    def _effect(self, distances: FloatArray, scale: float) -> float:
        raise NotImplementedError

    def _sample(self, ordered: FloatArray, side: int) -> FloatArray:
        if len(ordered) <= self.max_samples:
            return ordered
        rng = np.random.default_rng([self.random_state, side])
        return ordered[np.sort(rng.choice(len(ordered), self.max_samples, replace=False))]


def permutation_p(observed: float, dealt: FloatArray) -> float:
    """(1 + k) / (1 + p), or the tail of a gamma law fitted to the permutations where k is 0.

    Examples
    --------
    >>> permutation_p(2.5, np.array([1.0, 2.0, 3.0]))
    0.5
    """
    # What differs by rounding alone is a tie.
    reached = int(np.count_nonzero(dealt >= observed * (1 - 1e-12)))
    p = (1 + reached) / (1 + len(dealt))
    mean, variance = float(dealt.mean()), float(dealt.var())
    if reached or variance <= 0 or mean <= 0:
        return p
    return min(p, float(stats.gamma.sf(observed, mean**2 / variance, scale=variance / mean)))


class Wasserstein(_Permuted):
    """How far values must be carried to make one distribution of the other, ∫|F - G|.

    The effect is the distance in standard deviations of the reference.

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.
    n_permutations : int, default=199
    max_samples : int, default=2000
        Rows of a side, drawn at random, whose distance and permutations make the p-value; the
        statistic and the effect are those of all rows.
    random_state : int, default=0

    References
    ----------
    A. Ramdas, N. García Trillos, M. Cuturi. On Wasserstein two-sample testing and related families
    of nonparametric tests. Entropy 19 (2017).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=1000)
    >>> bool(round(Wasserstein().fit(x).test(x + 0.5).statistic[0], 6) == 0.5)
    True
    """

    measure = "distance in standard deviations"
    _distance, _twin = kernels.WASSERSTEIN, 0

    def _effect(self, distances: FloatArray, scale: float) -> float:
        distance = float(distances[kernels.WASSERSTEIN])
        # A reference that never varied has no unit; any move away from it is one.
        return distance / scale if scale > 0 else float(distance > 0)


class Energy(_Permuted):
    """The energy distance 2E|X - Y| - E|X - X'| - E|Y - Y'|, which is 2∫(F - G)².

    The effect is the square root of the energy coefficient, the distance over 2E|X - Y|: 0 for
    equal distributions, 1 for different constants.

    Parameters
    ----------
    alpha, correction, min_effect
        See :class:`~awry.drift.base.DriftTest`.
    n_permutations, max_samples, random_state
        See :class:`Wasserstein`.

    References
    ----------
    G. J. Székely, M. L. Rizzo. Energy statistics: a class of statistics based on distances.
    Journal of Statistical Planning and Inference 143 (2013).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(Energy().fit(rng.normal(size=300)).test(rng.normal(1, 1, size=300)))
    True
    """

    measure = "root of the energy coefficient, 0 to 1"
    _distance, _twin = kernels.ENERGY, 1

    def _effect(self, distances: FloatArray, scale: float) -> float:
        cross = float(distances[kernels.CROSS])
        return math.sqrt(float(distances[kernels.ENERGY]) / (2 * cross)) if cross > 0 else 0.0
