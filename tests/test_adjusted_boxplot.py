"""Adjusted box plot: fences by the paper's formula; clean skewed data stay unflagged."""

from __future__ import annotations

import numpy as np
import pytest

import oracles
from awry.core.threshold import Fixed
from awry.detectors.tabular.adjusted_boxplot import AdjustedBoxPlot
from awry.detectors.tabular.iqr import IQR

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("sign", [1, -1])
def test_fences_follow_the_paper(sign):
    x = sign * RNG.gamma(1.5, size=400)
    first, third = np.percentile(x, [25, 75])
    span, mc = third - first, oracles.medcouple(x)
    assert mc * sign > 0
    if mc >= 0:
        fences = first - 1.5 * np.exp(-4 * mc) * span, third + 1.5 * np.exp(3 * mc) * span
    else:
        fences = first - 1.5 * np.exp(-3 * mc) * span, third + 1.5 * np.exp(4 * mc) * span
    detector = AdjustedBoxPlot().fit(x[:, None])
    np.testing.assert_allclose(detector.decision_function(np.array(fences)[:, None]), 1.5)


def test_a_symmetric_column_has_tukeys_fences():
    x = np.concatenate([-(np.arange(1.0, 200) ** 2), [0.0], np.arange(1.0, 200) ** 2])[:, None]
    expected = IQR().fit(x).decision_scores_
    np.testing.assert_allclose(AdjustedBoxPlot().fit(x).decision_scores_, expected)


@pytest.mark.parametrize(
    "x", [RNG.exponential(size=20_000), RNG.lognormal(0, 0.4, 20_000), RNG.chisquare(5, 20_000)]
)
def test_flags_few_clean_values_of_skewed_columns(x):
    x = x[:, None]
    adjusted = AdjustedBoxPlot(contamination=Fixed(1.5)).fit(x).labels_.mean()
    assert adjusted < 0.015
    assert adjusted < IQR(contamination=Fixed(1.5)).fit(x).labels_.mean() / 2


def test_finds_outliers_on_the_short_side_which_plain_fences_miss():
    x = np.append(RNG.lognormal(0, 0.7, size=2000), -0.4)[:, None]
    assert AdjustedBoxPlot(contamination=Fixed(1.5)).fit(x).labels_[-1] == 1
    assert IQR(contamination=Fixed(1.5)).fit(x).labels_[-1] == 0
