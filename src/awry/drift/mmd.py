"""Maximum mean discrepancy: by all pairs with permutations, and in linear time."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing, real
from awry.drift.base import Finding
from awry.drift.multivariate import JointTest, at_most

#: Pairs whose distances give the median.
_PAIRS = 200_000
#: Rows of pairs whose kernel is worked out at once.
_BLOCK = 1 << 16


def median_bandwidth(X: FloatArray, seed: int = 0) -> float:
    """The median distance of two rows of ``X`` (n, d), over at most 200,000 random pairs."""
    rng = np.random.default_rng(seed)
    if len(X) * (len(X) - 1) // 2 <= _PAIRS:
        i, j = np.triu_indices(len(X), 1)
    else:
        i, j = rng.integers(0, len(X), (2, _PAIRS))
        i, j = i[i != j], j[i != j]
    distance = float(np.median(np.linalg.norm(X[i] - X[j], axis=1)))
    return distance if distance > 0 else 1.0


class MMD(JointTest):
    """Maximum mean discrepancy by all pairs of rows, under a Gaussian kernel.

    The statistic is the unbiased estimate (Gretton 2012, eq. 3), the p-value (1 + k) / (1 +
    n_permutations), k being the dealings of all rows to the two sides that reach it. All of them
    take one product K·A: A (N, p) says which rows go to the first side, K is the kernel without its
    diagonal, and the columns' sums of A ∘ KA are the sums over pairs inside that side, from which
    the other two sums follow. The effect is sqrt(MMD² / (mean k(x, x') + mean k(y, y'))): 0 for
    equal distributions, 1 for ones apart.

    Parameters
    ----------
    alpha, min_effect
        See :class:`~awry.drift.multivariate.JointTest`.
    bandwidth : float or None, default=None
        σ of exp(-‖x - y‖² / 2σ²); by default the median distance of two pooled rows, which a
        permutation does not change, so the p-value holds exactly.
    n_permutations : int, default=1000
    max_samples : int, default=2000
        Rows of a side at most, drawn at random. :class:`LinearMMD` takes a million.
    random_state : int, default=0

    References
    ----------
    A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf, A. Smola. A kernel two-sample test. JMLR 13
    (2012).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = MMD().fit(rng.normal(size=(200, 5))).test(rng.normal(0.5, 1, size=(200, 5)))
    >>> found.drifted, round(found.p_value, 4) <= 0.001
    (True, True)
    """

    measure = "root of the share of the kernel's mean, 0 to 1"
    constraints = {
        **JointTest.constraints,
        "bandwidth": any_of(nothing(), real(0, None, "()")),
        "n_permutations": integer(19),
        "max_samples": integer(10),
    }

    def __init__(
        self,
        alpha: float = 0.05,
        min_effect: float = 0.1,
        bandwidth: float | None = None,
        n_permutations: int = 1000,
        max_samples: int = 2000,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.min_effect = min_effect
        self.bandwidth = bandwidth
        self.n_permutations = n_permutations
        self.max_samples = max_samples
        self.random_state = random_state

    def _fit(self, reference: FloatArray) -> None:
        self.reference_ = at_most(reference, self.max_samples, self.random_state, 0)

    def _test(self, current: FloatArray) -> Finding:
        few = at_most(current, self.max_samples, self.random_state, 1)
        pooled, n = np.vstack([self.reference_, few]), len(self.reference_)
        kernel = self._kernel(pooled)
        rng = np.random.default_rng(self.random_state)
        first = np.zeros((len(pooled), 1 + self.n_permutations), dtype=np.float32)
        first[:n, 0] = 1
        for p in range(1, 1 + self.n_permutations):
            first[rng.permutation(len(pooled))[:n], p] = 1
        squares, within = _discrepancies(kernel, first, n)
        p_value = float(1 + np.count_nonzero(squares[1:] >= squares[0] - 1e-9))
        effect = math.sqrt(max(0.0, float(squares[0])) / within) if within > 0 else 0.0
        return Finding(float(squares[0]), p_value / (1 + self.n_permutations), effect)

    def _kernel(self, X: FloatArray) -> np.ndarray:
        """exp(-‖x - y‖² / 2σ²) for all pairs, 0 on the diagonal, in single precision."""
        centred = X - X.mean(axis=0)  # so that the squares below do not cancel
        norms = (centred**2).sum(axis=1)
        squares = np.maximum(norms[:, None] + norms - 2 * centred @ centred.T, 0)
        width = self.bandwidth or median_bandwidth(X, self.random_state)
        kernel = np.exp((squares / (-2 * width * width)).astype(np.float32))
        np.fill_diagonal(kernel, 0)
        return kernel


def _discrepancies(kernel: np.ndarray, first: np.ndarray, n: int) -> tuple[FloatArray, float]:
    """Unbiased MMD² of every dealing in ``first`` (N, p), and of the first the means within."""
    m = len(kernel) - n
    rows = kernel.sum(axis=1, dtype=np.float64)
    # Less the mean, which every dealing shares, single precision keeps what tells them apart.
    middle = np.float32(rows.sum() / (len(kernel) * (len(kernel) - 1)))
    kernel = kernel - middle
    np.fill_diagonal(kernel, 0)
    inside = np.einsum("ij,ij->j", first, kernel @ first, dtype=np.float64)
    rows -= float(middle) * (len(kernel) - 1)
    side = rows @ first
    across, other = side - inside, rows.sum() - 2 * side + inside
    xx, yy = inside / (n * (n - 1)), other / (m * (m - 1))
    return xx + yy - 2 * across / (n * m), float(xx[0] + yy[0] + 2 * middle)


class LinearMMD(JointTest):
    """Maximum mean discrepancy from disjoint pairs of rows, in time linear in their number.

    The statistic is the mean of h = k(x₁, x₂) + k(y₁, y₂) - k(x₁, y₂) - k(x₂, y₁) over pairs
    (Gretton 2012, section 6, lemma 14), normal under no drift with the variance of h; the p-value
    is one-sided. It needs more rows than :class:`MMD` for the same power, and takes a million of
    them in seconds.

    Parameters
    ----------
    alpha, min_effect
        See :class:`~awry.drift.multivariate.JointTest`.
    bandwidth : float or None, default=None
        As in :class:`MMD`; by default the median distance of two rows of the reference.
    random_state : int, default=0

    References
    ----------
    A. Gretton et al. A kernel two-sample test. JMLR 13 (2012), section 6.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> test = LinearMMD().fit(rng.normal(size=(20_000, 5)))
    >>> [bool(test.test(rng.normal(mean, size=(20_000, 5)))) for mean in (0, 0.5)]
    [False, True]
    """

    measure = MMD.measure
    constraints = {**JointTest.constraints, "bandwidth": MMD.constraints["bandwidth"]}

    def __init__(
        self,
        alpha: float = 0.05,
        min_effect: float = 0.1,
        bandwidth: float | None = None,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.min_effect = min_effect
        self.bandwidth = bandwidth
        self.random_state = random_state

    def _fit(self, reference: FloatArray) -> None:
        # Neighbours in time are alike; in random order pairs are independent.
        self.reference_ = np.random.default_rng([self.random_state, 0]).permutation(reference)
        self.bandwidth_ = self.bandwidth or median_bandwidth(reference, self.random_state)

    def _test(self, current: FloatArray) -> Finding:
        current = np.random.default_rng([self.random_state, 1]).permutation(current)
        pairs = min(len(self.reference_), len(current)) // 2
        h, within = np.empty(pairs), 0.0
        for start in range(0, pairs, _BLOCK):
            part = slice(2 * start, 2 * min(start + _BLOCK, pairs))
            x, y = self.reference_[part], current[part]
            x1, x2, y1, y2 = x[::2], x[1::2], y[::2], y[1::2]
            inside = self._k(x1, x2) + self._k(y1, y2)
            h[start : start + _BLOCK] = inside - self._k(x1, y2) - self._k(x2, y1)
            within += float(inside.sum())
        statistic, error = float(h.mean()), float(h.std(ddof=1)) / math.sqrt(pairs)
        p = float(stats.norm.sf(statistic / error)) if error > 0 else float(statistic <= 0)
        effect = math.sqrt(max(0.0, statistic) / (within / pairs)) if within > 0 else 0.0
        return Finding(statistic, p, min(1.0, effect))

    def _k(self, a: FloatArray, b: FloatArray) -> FloatArray:
        apart = a - b
        return np.exp(np.einsum("ij,ij->i", apart, apart) / (-2 * self.bandwidth_**2))
