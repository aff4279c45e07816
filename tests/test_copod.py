"""COPOD: PyOD's formula with ties and without skew; the long side of a skewed column counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import skew

import oracles
from awry.detectors.tabular.copod import COPOD
from test_ecod import TABLES


@pytest.mark.parametrize("name", TABLES)
def test_scores_match_counting(name):
    X = TABLES[name]
    signs = np.sign(np.nan_to_num([skew(c) if np.ptp(c) else 0.0 for c in X.T]))
    columns = zip(X.T, signs, strict=True)
    expected = sum(oracles.tails(x, x, sign, copula=True) for x, sign in columns)
    detector = COPOD().fit(X)
    np.testing.assert_allclose(detector.decision_scores_, expected, rtol=1e-9)
    np.testing.assert_array_equal(detector.decision_function(X), detector.decision_scores_)


def test_the_short_side_of_a_skewed_column_counts_half():
    x = np.random.default_rng(0).exponential(size=(999, 1))
    detector = COPOD().fit(x)
    short, long = detector.decision_function([[x.min()], [x.max()]])
    assert long == pytest.approx(np.log(999))
    assert short == pytest.approx(np.log(999) / 2)
