"""Contributions by sampled Shapley values, and what an explanation offers."""

from __future__ import annotations

import numpy as np

from awry.core.explain import Explanation, shapley


def test_a_sum_is_explained_exactly():
    rng = np.random.default_rng(0)
    background, X = rng.normal(size=(20, 3)), rng.normal(size=(4, 3))
    weights = np.array([1.0, -2.0, 0.5])
    values, base = shapley(lambda Z: Z @ weights, X, background, n_permutations=8)
    # The same background rows serve every permutation, so their mean is the reference.
    np.testing.assert_allclose(base + values.sum(axis=1), X @ weights)
    np.testing.assert_allclose(values[0] - values[1], (X[0] - X[1]) * weights)


def test_an_unused_feature_gets_nothing_and_equal_ones_share():
    background = np.zeros((5, 3))
    values, base = shapley(lambda Z: Z[:, 0] * Z[:, 1], np.array([[2.0, 3.0, 9.0]]), background)
    assert base == 0.0
    np.testing.assert_allclose(values, [[3.0, 3.0, 0.0]])


def test_grouping_sums_the_columns_of_a_source():
    why = Explanation(
        np.array([[1.0, 2.0, -4.0]]), np.array([0.5]), np.array([-0.5]), ["a=x", "a=y", "b"]
    )
    grouped = why.grouped(["a", "a", "b"])
    assert grouped.names == ["a", "b"]
    np.testing.assert_allclose(grouped.values, [[3.0, -4.0]])
    assert grouped.top(5) == [[("a", 3.0)]]
    assert why.to_frame().shape == (1, 5)
