"""Two sorted samples side by side: every distance of their distribution functions in one pass."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Places in what :func:`compare_sorted` returns.
KS, CVM, WASSERSTEIN, ENERGY, CROSS = range(5)


@njit(cache=True)
def compare_sorted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances between the distribution functions F of ``a`` and G of ``b``, both ascending.

    Returns sup |F - G|, the sum of (F - G)² over the pooled values, ∫|F - G|, 2∫(F - G)² and
    E|A - B|. Ties are stepped over together, so F and G are right at every one of them.
    """
    n, m = len(a), len(b)
    out = np.zeros(5)
    i = j = 0
    while i < n or j < m:
        x = a[i] if j == m or (i < n and a[i] <= b[j]) else b[j]
        before = i + j
        while i < n and a[i] == x:
            i += 1
        while j < m and b[j] == x:
            j += 1
        f, g = i / n, j / m
        gap = abs(f - g)
        out[KS] = max(out[KS], gap)
        out[CVM] += gap * gap * (i + j - before)
        if i < n or j < m:
            step = (a[i] if j == m or (i < n and a[i] <= b[j]) else b[j]) - x
            out[WASSERSTEIN] += gap * step
            out[ENERGY] += 2 * gap * gap * step
            out[CROSS] += (f * (1 - g) + g * (1 - f)) * step
    return out


@njit(cache=True)
def permuted_distances(pooled: np.ndarray, n: int, n_permutations: int, seed: int) -> np.ndarray:
    """∫|F - G| and 2∫(F - G)², (2, p), where ``n`` of the ascending ``pooled`` are dealt anew."""
    np.random.seed(seed)  # noqa: NPY002 - numba's own generator
    total = len(pooled)
    m = total - n
    first = np.arange(total) < n
    out = np.zeros((2, n_permutations))
    for p in range(n_permutations):
        for k in range(total - 1, 0, -1):
            other = np.random.randint(0, k + 1)  # noqa: NPY002
            first[k], first[other] = first[other], first[k]
        gap = 0.0
        for k in range(total - 1):
            gap += 1.0 / n if first[k] else -1.0 / m
            step = pooled[k + 1] - pooled[k]
            out[0, p] += abs(gap) * step
            out[1, p] += 2 * gap * gap * step
    return out
