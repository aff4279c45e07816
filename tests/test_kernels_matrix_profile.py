"""The matrix profile's kernels against slow, obvious twins."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.series import _profile
from awry.kernels import matrix_profile as kernels
from oracles_shapes import distances, nearest


def _series(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).cumsum() + 1e3
    x[n // 3 : n // 3 + 40] = 7.0
    x[n // 2 : n // 2 + 30] = -3.0
    return x


def _apart(n, m):
    flags = np.zeros(n - m + 1, dtype=bool)
    flags[5:20] = True
    return flags


def _far(n, m):
    at = np.arange(n - m + 1)
    return np.abs(at[:, None] - at) > np.ceil(m / 4)


@pytest.mark.parametrize("m", [3, 16, 25])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_self_join_is_its_twin(m, noise):
    x, apart = _series(300), _apart(300, m)
    allowed = _far(300, m) & ~apart & ~apart[:, None]
    table = distances(x, x, m, noise)
    expected, _ = nearest(table, allowed)
    found = _profile.self_join(x, m, apart, noise)
    np.testing.assert_allclose(found.distance, expected, atol=1e-6)
    known = found.near >= 0
    at = np.arange(len(table))[known]
    np.testing.assert_allclose(table[at, found.near[known]], expected[known], atol=1e-6)
    assert allowed[at, found.near[known]].all()
    before = np.tril(np.ones_like(allowed))
    left = _profile.self_join(x, m, apart, noise, left=True)
    np.testing.assert_allclose(left.distance, nearest(table, allowed & before)[0], atol=1e-6)


@pytest.mark.parametrize(("n", "k"), [(300, 200), (120, 280), (16, 300), (300, 16)])
def test_ab_join_is_its_twin(n, k):
    m, x, y = 16, _series(n), _series(k, seed=1)
    hole = np.zeros(k - m + 1, dtype=bool)
    hole[40:60] = True
    found = _profile.ab_join(x, y, m, None, hole)
    expected, _ = nearest(distances(x, y, m), np.broadcast_to(~hole, (n - m + 1, k - m + 1)))
    np.testing.assert_allclose(found.distance, expected, atol=1e-6)


def test_blocks_and_restarts_change_nothing():
    """More windows than a block of diagonals and than rows between restarts."""
    rng = np.random.default_rng(0)
    n, m = kernels.RESTART + 2 * kernels.BLOCK + 100, 8
    x = rng.normal(size=n)
    found = _profile.self_join(x, m)
    view = np.lib.stride_tricks.sliding_window_view(x, m)
    z = (view - view.mean(axis=1, keepdims=True)) / view.std(axis=1, keepdims=True)
    for i in [*rng.integers(0, len(z), size=50).tolist(), 0, 4095, 4096, 4097, len(z) - 1]:
        row = np.sqrt(((z[i] - z) ** 2).sum(axis=1))
        row[max(i - 2, 0) : i + 3] = np.inf
        assert found.distance[i] == pytest.approx(row.min(), abs=1e-6)
        assert found.near[i] == row.argmin()


def test_a_huge_spike_spoils_only_its_surroundings():
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(6000) / 5) + rng.normal(scale=0.1, size=6000)
    spiked = x.copy()
    spiked[1000] = 1e7
    clean, found = _profile.self_join(x, 30).distance, _profile.self_join(spiked, 30).distance
    np.testing.assert_allclose(found[5200:5900], clean[5200:5900], atol=0.05)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_joint_profiles_are_their_twin(most):
    m, rng = 12, np.random.default_rng(0)
    X = rng.normal(size=(150, 3)).cumsum(axis=0)
    Y = rng.normal(size=(100, 3)).cumsum(axis=0)
    X[30:50, 1] = 2.0
    apart = _apart(150, m)
    noise = np.array([0.0, 0.3, 0.1])

    def tables(a, b):
        pairs = [distances(a[:, c], b[:, c], m, noise[c]) for c in range(3)]
        return np.sort(pairs, axis=0)[-most:].mean(axis=0)

    allowed = _far(150, m) & ~apart & ~apart[:, None]
    for left in (False, True):
        found = _profile.joint_profile(X, m, most, apart, noise, left=left)
        seen = allowed & np.tril(np.ones_like(allowed)) if left else allowed
        np.testing.assert_allclose(found, nearest(tables(X, X), seen)[0], atol=1e-6)
    none = np.zeros(len(Y) - m + 1, dtype=bool)
    found = _profile.joint_profile(X, m, most, apart, noise, (Y, none))
    seen = np.broadcast_to(~apart[:, None], (len(X) - m + 1, len(Y) - m + 1))
    np.testing.assert_allclose(found, nearest(tables(X, Y), seen)[0], atol=1e-6)


def _followed(x, m, size, cuts=(), least=1, fill=8):
    state = kernels.trail(1, size, m)
    row = kernels.Trail(*(part[0] for part in state))
    out = np.empty(len(x))
    for part, found in zip(np.split(x, cuts), np.split(out, cuts), strict=True):
        kernels.follow(part, m, _profile.exclusion(m) + 1, least, fill, row, found)
    return out


@pytest.mark.parametrize("size", [60, 97, 500])
def test_following_gives_the_left_profile_of_the_buffer(size):
    m, x = 10, _series(400)
    table = distances(x, x, m)
    at = np.arange(len(table))
    lag = at[:, None] - at
    expected, _ = nearest(table, (lag > np.ceil(m / 4)) & (lag <= size - m))
    found = _followed(x, m, size)
    np.testing.assert_allclose(found[m - 1 :], expected, atol=1e-6)
    assert np.isnan(found[: m - 1]).all()
    assert np.array_equal(_followed(x, m, size, cuts=[1, 7, 8, 150, 333]), found, equal_nan=True)


def test_following_takes_long_without_drift():
    m, size = 10, 50
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    x[5000] = 1e8
    whole = _followed(x, m, size)
    np.testing.assert_allclose(whole[-200:], _followed(x[-500:], m, size)[-200:], atol=1e-6)


def test_following_sets_windows_with_holes_apart():
    m, x = 10, np.random.default_rng(0).normal(size=300)
    x[100:103] = np.nan
    x[150:170] = np.nan
    found = _followed(x, m, 400)
    assert np.isnan(found[100:103]).all()
    assert np.isfinite(found[103:150]).all()
    assert np.isnan(found[150 : 170 + m - 1]).all()
    filled = x.copy()
    filled[100:103] = x[99]
    filled[150:170] = x[149]
    holed = np.zeros(300, dtype=bool)
    holed[158:170] = True
    apart = np.lib.stride_tricks.sliding_window_view(holed, m).any(axis=1)
    expected = _profile.self_join(filled, m, apart, left=True).distance
    known = np.isfinite(found[m - 1 :])
    np.testing.assert_allclose(found[m - 1 :][known], expected[known], atol=1e-6)
