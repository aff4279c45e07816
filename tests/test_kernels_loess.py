"""Loess, STL and MSTL: against least squares point by point and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

import oracles_loess as oracle
from awry.kernels import loess as kernel

seasonal = pytest.importorskip("statsmodels.tsa.seasonal")


def waves(n: int, *periods: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    at = np.arange(n)
    x = sum(np.sin(2 * np.pi * at / p) for p in periods) + 0.01 * at + rng.normal(0, 0.3, n)
    x[rng.integers(0, n, max(n // 30, 1))] += 8.0
    return x


@pytest.mark.parametrize("degree", [0, 1])
@pytest.mark.parametrize(("n", "length"), [(60, 7), (61, 21), (20, 35), (700, 201)])
def test_loess_is_local_least_squares(n, length, degree):
    x = waves(n, 12) + 1e4
    weights = np.random.default_rng(1).random(n) ** 3
    weights[: n // 4] = 0.0
    for rho in (None, weights):
        found = kernel.loess(x, length, degree=degree, weights=rho)
        np.testing.assert_allclose(found, oracle.loess(x, length, degree, rho), atol=1e-7)


def test_long_windows_that_weigh_nothing_keep_their_values():
    x, weights = waves(900, 50), np.ones(900)
    weights[300:600] = 0.0
    found = kernel.loess(x, 201, weights=weights)
    np.testing.assert_allclose(found, oracle.loess(x, 201, weights=weights), atol=1e-7)
    np.testing.assert_allclose(found[405:495], x[405:495], atol=1e-12)


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize(
    ("n", "period", "spans", "degrees", "jumps"),
    [
        (203, 7, {}, (1, 1, 1), (1, 1, 1)),
        (203, 7, {"seasonal": 9, "trend": 21, "low_pass": 9}, (0, 1, 0), (2, 3, 2)),
        (60, 24, {}, (1, 0, 1), (1, 1, 1)),
        (100, 12, {"seasonal": 35}, (1, 1, 1), (1, 5, 1)),
        (1000, 170, {}, (1, 1, 1), (1, 1, 1)),
    ],
)
def test_stl_equals_statsmodels(n, period, spans, degrees, jumps, robust):
    x = waves(n, period)
    names = ("seasonal", "trend", "low_pass")
    peer = seasonal.STL(
        x, period=period, robust=robust, **spans,
        **{f"{name}_deg": d for name, d in zip(names, degrees, strict=True)},
        **{f"{name}_jump": j for name, j in zip(names, jumps, strict=True)},
    ).fit()  # fmt: skip
    found = kernel.stl(x, period, robust=robust, degrees=degrees, jumps=jumps, **spans)
    np.testing.assert_allclose(found.season, peer.seasonal, atol=1e-9)
    np.testing.assert_allclose(found.trend, peer.trend, atol=1e-9)
    np.testing.assert_allclose(found.weights, peer.weights, atol=1e-9)


@pytest.mark.parametrize("robust", [False, True])
def test_mstl_equals_statsmodels(robust):
    x = waves(500, 7, 30)
    peer = seasonal.MSTL(x, periods=(7, 30), stl_kwargs={"robust": robust}).fit()
    found = kernel.mstl(x, [7, 30], robust=robust)
    np.testing.assert_allclose(found.season, peer.seasonal.T, atol=1e-9)
    np.testing.assert_allclose(found.trend, peer.trend, atol=1e-9)


def test_a_periodic_season_is_the_same_in_every_cycle():
    x = waves(240, 24)
    season = kernel.stl(x, 24, seasonal=None, robust=True).season.reshape(-1, 24)
    np.testing.assert_array_equal(season, np.tile(season[0], (10, 1)))
    np.testing.assert_allclose(season[0], np.sin(2 * np.pi * np.arange(24) / 24), atol=0.35)
