"""Nearest neighbours of window statistics against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.series.window_statistics import WindowStatistics


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("causal", [False, True])
def test_scores_equal_plain_loops(k: int, causal: bool) -> None:
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=120), rng.normal(size=60)
    windows = (5, 9)

    def describe(values: np.ndarray) -> np.ndarray:
        padded = np.pad(values, 20, mode="edge")
        rows = []
        for t in range(len(values)):
            row: list[float] = []
            for w in windows:
                inside = np.clip(t - w // 2, 0, len(values) - w)
                first = 20 + (t - w + 1 if causal else inside)
                part = padded[first : first + w]
                row += [part.mean(), part.std(), part.max(), part.min(), np.ptp(part)]
            rows.append(row)
        return np.array(rows)

    known = describe(x)
    unit = known.std(axis=0)
    model = WindowStatistics(windows, n_neighbors=k, causal=causal).fit(x)
    gaps = np.linalg.norm((describe(new)[:, None] - known[None]) / unit, axis=2)
    np.testing.assert_allclose(
        model.decision_function(new), np.sort(gaps, axis=1)[:, k - 1], rtol=1e-3, atol=1e-3
    )
    own = np.linalg.norm((known[:, None] - known[None]) / unit, axis=2)
    at = np.arange(len(x))
    steps = at[:, None] - at[None]
    own[(steps if causal else np.abs(steps)) < max(windows)] = np.inf
    found = np.sort(own, axis=1)[:, k - 1]
    judged = np.isfinite(found)
    np.testing.assert_allclose(model.decision_scores_[judged], found[judged], rtol=1e-3, atol=1e-3)
    assert (model.decision_scores_[~judged] == model.neutral_).all()


def test_two_of_a_kind_are_found_with_two_neighbours() -> None:
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(1500) / 8) + rng.normal(scale=0.05, size=1500)
    for first in (500, 1000):
        x[first : first + 20] = 4.0
    once, often = (WindowStatistics((16,), n_neighbors=k).fit(x).decision_scores_ for k in (1, 30))
    inside, outside = np.r_[508:512, 1008:1012], np.r_[30:470, 550:970, 1050:1470]
    # In the middle of the twins each is the other's neighbour, but for thirty there are not enough.
    assert once[inside].max() < np.median(once[outside])
    assert often[inside].min() > often[outside].max()


def test_a_long_reference_is_thinned_evenly() -> None:
    x = np.random.default_rng(0).normal(size=1000)
    model = WindowStatistics(max_reference=300).fit(x)
    assert len(model.reference_) == 250
