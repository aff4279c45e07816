"""Z-score: scipy's numbers, both ways of combining columns, exact shares of a maximum."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import zscore

from awry.checks import check_detector
from awry.core.params import ParameterError
from awry.detectors.tabular._univariate import shares_of_maximum
from awry.detectors.tabular.zscore import ZScore

X = np.random.default_rng(0).normal(size=(300, 4)) * [1, 10, 0.01, 1e6] + [0, 5, 1, -1e6]


def test_conformance_of_other_settings():
    check_detector(ZScore(aggregation="sum"))


def test_scores_are_scipys():
    z = np.abs(zscore(X))
    np.testing.assert_allclose(ZScore().fit(X).decision_scores_, z.max(axis=1))
    np.testing.assert_allclose(ZScore(aggregation="sum").fit(X).decision_scores_, z.sum(axis=1))


def test_units_of_the_columns_do_not_matter():
    scores = ZScore().fit(X).decision_scores_
    np.testing.assert_allclose(ZScore().fit(X * 7 - 3).decision_scores_, scores, rtol=1e-9)


def test_a_constant_column_is_measured_in_its_own_units():
    # 0.1 has no exact double, so the deviation of a constant column is rounding, not zero.
    flat = np.column_stack([np.full(1000, 0.1), np.zeros(1000)])
    detector = ZScore().fit(flat)
    assert detector.decision_scores_.max() < 1e-12
    np.testing.assert_allclose(detector.decision_function([[2.1, 0.0], [0.1, -3.0]]), [2, 3])


def test_shares_of_a_maximum_are_shapley_values():
    values = np.random.default_rng(1).normal(size=(6, 4))
    values[0, 1] = values[0, 2]  # ties share alike
    expected = np.zeros_like(values)
    for order in permutations(range(4)):
        reached = np.zeros(6)
        for step, j in enumerate(order):
            now = values[:, j] if step == 0 else np.maximum(reached, values[:, j])
            expected[:, j] += (now - reached) / 24
            reached = now
    got = shares_of_maximum(values)
    np.testing.assert_allclose(got.sum(axis=1), values.max(axis=1))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_two_planted_columns_come_first():
    row = X.mean(axis=0) + X.std(axis=0) * [0.1, 9.0, 0.2, 12.0]
    assert [name for name, _ in ZScore().fit(X).explain(row[None]).top(2)[0]] == ["x3", "x1"]


def test_unknown_aggregation():
    with pytest.raises(ParameterError, match="aggregation must be one of 'max', 'sum', got 'mean'"):
        ZScore(aggregation="mean").fit(X)
