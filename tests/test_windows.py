"""Windows of a series, and window scores spread back over its points, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awry.core.windows import blind, spread, starts, windows

CUTS = st.tuples(st.integers(1, 30), st.integers(1, 12), st.integers(1, 9)).filter(
    lambda c: c[1] <= c[0]
)


def _twin(scores, n, length, first, how):
    points = np.full(n, np.nan)
    for t in range(n):
        cover = scores[(first <= t) & (t < first + length)]
        cover = cover[~np.isnan(cover)]
        if how == "last":
            ended = np.flatnonzero(first + length - 1 <= t)
            points[t] = scores[ended[-1]] if len(ended) else np.nan
        elif len(cover):
            points[t] = cover.mean() if how == "mean" else cover.max()
    return points


@given(CUTS, st.sampled_from(["mean", "max", "last"]), st.integers(0, 2**32 - 1))
def test_spread_is_its_twin(cut, how, seed):
    n, length, stride = cut
    rng = np.random.default_rng(seed)
    first = starts(n, length, stride)
    scores = rng.exponential(size=len(first)) * 10.0 ** rng.integers(-5, 6)
    scores[rng.random(len(first)) < 0.3] = np.nan
    found = spread(scores, n, length, stride, how)
    expected = _twin(scores, n, length, first, how)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@given(CUTS)
def test_windows_leave_no_point_out(cut):
    n, length, stride = cut
    values = np.arange(2.0 * n).reshape(n, 2)
    found, first = windows(values, length, stride), starts(n, length, stride)
    assert found.shape == (len(first), length, 2)
    for window, start in zip(found, first, strict=True):
        assert np.array_equal(window, values[start : start + length])
    gaps = stride > length
    assert gaps or np.array_equal(np.unique(found[:, :, 0]), values[:, 0])


def test_the_centre_is_the_nearest_window_s():
    scores = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    found = spread(scores, 9, 5, how="centre")
    np.testing.assert_array_equal(found, [1, 1, 1, 2, np.nan, 4, 5, 5, 5])


def test_a_mean_of_unequal_scores_keeps_to_their_range():
    """Sums of large scores must not leave rounding below 0 where small ones lie."""
    scores = np.zeros(500)
    scores[100] = 1e17
    scores[300:] = 1e-9
    found = spread(scores, 549, 50)
    assert found.min() >= 0.0


@pytest.mark.parametrize("stride", [1, 3])
def test_windows_are_blind_where_most_channels_have_a_hole(stride):
    holes = np.zeros((20, 3), dtype=bool)
    holes[4] = [True, True, False]
    holes[12] = [True, False, False]
    first = starts(20, 5, stride)
    np.testing.assert_array_equal(blind(holes, 5, stride), (first <= 4) & (first + 5 > 4))
