"""Extreme deviates from the median against deletion one by one; Rosner's critical values."""

from __future__ import annotations

import numpy as np
import pytest

import oracles_loess as oracle
from awry.kernels.deviates import critical_deviates, median_deviates


@pytest.mark.parametrize("n", [9, 10, 101, 250])
def test_median_deviates(n):
    rng = np.random.default_rng(n)
    for x in (rng.normal(size=n), rng.exponential(size=n), rng.integers(0, 5, n).astype(float)):
        steps = n // 3
        found, lows, centres, _ = median_deviates(np.sort(x), steps)
        expected, removed = oracle.median_deviates(np.sort(x), steps)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        rest = np.sort(x)[lows[-1] : n - (steps - lows[-1])]
        np.testing.assert_allclose(centres[-1], np.median(rest))
        np.testing.assert_allclose(
            np.abs(np.sort(removed)).sum(), np.abs(x).sum() - np.abs(rest).sum()
        )


def test_critical_values_are_those_rosner_prints():
    # Rosner 1983, the example's table: n = 54, level 0.05.
    np.testing.assert_allclose(critical_deviates(54, 3, 0.05), [3.158, 3.151, 3.143], atol=1.1e-3)
