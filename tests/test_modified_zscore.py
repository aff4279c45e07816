"""Modified Z-score: the published formula, its fall-back, and masking that defeats the Z-score."""

from __future__ import annotations

import numpy as np

from awry.detectors.tabular.modified_zscore import ModifiedZScore
from awry.detectors.tabular.zscore import ZScore

RNG = np.random.default_rng(0)


def test_scores_are_the_formula():
    X = RNG.normal(size=(201, 3)) * [1, 10, 0.1]
    median = np.median(X, axis=0)
    mad = np.median(np.abs(X - median), axis=0)
    expected = (0.6745 * np.abs(X - median) / mad).max(axis=1)
    np.testing.assert_allclose(ModifiedZScore().fit(X).decision_scores_, expected)


def test_mean_absolute_deviation_where_the_mad_vanishes():
    x = np.array([5.0, 5, 5, 5, 5, 5, 5, 6, 3, 15])
    mean_ad = np.mean(np.abs(x - 5))
    scores = ModifiedZScore().fit(x[:, None]).decision_scores_
    np.testing.assert_allclose(scores, np.abs(x - 5) / (1.253314 * mean_ad))


def test_both_scales_estimate_the_standard_deviation():
    x = RNG.normal(3, 2, size=(200_000, 1))
    detector = ModifiedZScore().fit(x)
    np.testing.assert_allclose(detector.low_unit_, 2, rtol=0.01)
    # More than half the values equal: the fall-back of the rest is the deviation of the mixture.
    mixed = np.where(RNG.uniform(size=x.shape) < 0.6, 3.0, x)
    deviation = 1.253314 * np.mean(np.abs(mixed - 3))
    np.testing.assert_allclose(ModifiedZScore().fit(mixed).low_unit_, deviation)


def test_many_outliers_do_not_mask_one_another():
    x = np.concatenate([RNG.normal(size=70), np.full(30, 50.0)])[:, None]
    assert ModifiedZScore().fit(x).decision_scores_[70:].min() > 3.5
    assert ZScore().fit(x).decision_scores_[70:].max() < 3
