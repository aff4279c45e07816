"""S-H-ESD: as many outliers as the test finds, few where there are none."""

from __future__ import annotations

import numpy as np

from awry.detectors.series.seasonal_hybrid_esd import SeasonalHybridESD


def day(seed: int, n: int = 480) -> np.ndarray:
    return 3 * np.sin(2 * np.pi * np.arange(n) / 24) + np.random.default_rng(seed).normal(size=n)


def test_flags_the_planted_outliers_however_many():
    x = day(0)
    at = np.random.default_rng(1).choice(480, 40, replace=False)
    x[at] += 9.0
    model = SeasonalHybridESD(period=24, contamination="fixed:1").fit(x)
    assert set(at) <= set(np.flatnonzero(model.labels_))
    assert model.labels_.sum() <= 44


def test_calm_series_have_few_outliers():
    flags = [
        SeasonalHybridESD(period=24, alpha=0.01, contamination="fixed:1").fit(day(seed)).labels_
        for seed in range(10)
    ]
    # The deviation's scale is that of the residuals less a season fitted to them.
    assert np.mean(flags) < 0.005
