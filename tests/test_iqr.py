"""IQR fences: Tukey's fences, the fall-back for coinciding quartiles, signs inside the box."""

from __future__ import annotations

import numpy as np

from awry.checks import check_detector
from awry.core.threshold import Fixed
from awry.detectors.tabular.iqr import IQR

RNG = np.random.default_rng(0)


def test_conformance_of_other_settings():
    check_detector(IQR(aggregation="sum"))


def test_flags_what_lies_beyond_tukeys_fences():
    x = RNG.standard_t(3, size=500)
    first, third = np.percentile(x, [25, 75])
    fence = 1.5 * (third - first)
    beyond = (x < first - fence) | (x > third + fence)
    assert beyond.any()
    for cut, shape in ((1.5, beyond), (3.0, (x < first - 2 * fence) | (x > third + 2 * fence))):
        labels = IQR(contamination=Fixed(cut)).fit(x[:, None]).labels_
        np.testing.assert_array_equal(labels == 1, shape)


def test_scores_are_negative_within_the_box_and_zero_at_the_quartiles():
    x = np.arange(5.0)[:, None]
    np.testing.assert_allclose(IQR().fit(x).decision_scores_, [0.5, 0, -0.5, 0, 0.5])


def test_coinciding_quartiles_take_the_mean_deviation_of_a_normal_column():
    x = np.where(RNG.uniform(size=20_000) < 0.7, 4.0, RNG.normal(4, 2, 20_000))
    unit = IQR().fit(x[:, None]).low_unit_
    sigma = np.sqrt(np.pi / 2) * np.mean(np.abs(x - 4))
    np.testing.assert_allclose(unit, 1.349 * sigma, rtol=1e-3)


def test_flags_about_seven_in_a_thousand_normal_values():
    x = RNG.normal(size=(100_000, 1))
    assert abs(IQR(contamination=Fixed(1.5)).fit(x).labels_.mean() - 0.00698) < 0.001
