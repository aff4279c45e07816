"""Novelty against a slow, obvious twin, and what it is for."""

from __future__ import annotations

import numpy as np

from awry.core.inputs import FloatArray
from awry.detectors.series.novelty import Novelty


def _distances(x: FloatArray, windows: tuple[int, ...]) -> FloatArray:
    """The definition, with all descriptions at hand."""
    longest = max(windows)
    padded = np.r_[np.full(longest - 1, x[0]), x]
    rows = []
    for t in range(len(x)):
        row: list[float] = []
        for w in windows:
            part = padded[t + longest - w : t + longest]
            row += [part.mean(), part.std(), part.max(), part.min(), np.ptp(part)]
        rows.append(row)
    found, described = np.full(len(x), np.nan), np.array(rows)
    for t in range(longest, len(x)):
        earlier = described[:t]
        variance = earlier.var(axis=0)
        level = described[0] ** 2 + 1e-6
        unit = np.where(variance > 1e-12 * level, variance, level)
        apart = described[: t - longest // 2 + 1]
        found[t] = np.sqrt(((described[t] - apart) ** 2 / unit).sum(axis=1).min())
    return found


def test_scores_are_the_geometric_mean_of_distances_to_the_past() -> None:
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(300) / 7) + rng.normal(scale=0.2, size=300)
    sets = ((2, 8, 20), (3, 6))
    parts = [_distances(x, windows) for windows in sets]
    scores = Novelty(windows=sets, quiet=0).fit(x).decision_scores_
    expected = np.expm1(sum(np.log1p(np.nan_to_num(p)) for p in parts) / 2)
    np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-9)


def test_what_has_occurred_is_not_new() -> None:
    x = np.sin(np.arange(1200) / 5)
    x[600:620] += 3.0
    # The same burst at the same phase, some 300 points later.
    again = 600 + round(5 * 2 * np.pi * 10)
    x[again : again + 20] += 3.0
    scores = Novelty(warmup=200, quiet=0).fit(x).decision_scores_
    assert scores[again : again + 20].max() < 0.3 * scores[600:620].max()


def test_quiet_keeps_one_score_of_a_run() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=800)
    x[500:530] += 12.0
    every = Novelty(warmup=200, quiet=0).fit(x).decision_scores_
    few = Novelty(warmup=200, quiet=50).fit(x).decision_scores_
    for t in range(200, 800):
        high = every[max(t - 50, 64) : t].max() if t > 250 else None
        if high is not None:
            assert few[t] == (every[t] if every[t] > high else 0.0)


def test_memory_is_bounded_and_forgets() -> None:
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(size=300), rng.normal(9.0, 1.0, size=300), rng.normal(size=300)]
    long = Novelty(warmup=100, quiet=0).fit(x)
    short = Novelty(warmup=100, quiet=0, capacity=256).fit(x)
    back = slice(605, 640)
    assert short.decision_scores_[back].max() > 1.5 * long.decision_scores_[back].max()
    size = sum(a.nbytes for past in short.state_.pasts for a in past)
    short.update(np.r_[x, x, x])
    assert sum(a.nbytes for past in short.state_.pasts for a in past) == size
