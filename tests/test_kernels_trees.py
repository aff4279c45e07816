"""Isolation trees with axis-parallel splits: growth, walks and attribution."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import oracles
from awry.kernels.trees import attribute, average_path_length, grow, grow_forest, walk


def path_length(depth, count):
    return depth + average_path_length(int(count.max()))[count]


def forest_on(X, seed=0, **changes):
    n, d = X.shape
    settings = {"n_trees": 10, "n_rows": min(64, n), "n_columns": d, "max_depth": 6}
    return grow_forest(X, path_length, np.random.default_rng(seed), **(settings | changes))


def tree_on(X, seed=0, max_depth=50, by_kurtosis=False):
    return grow(X, np.arange(X.shape[1]), max_depth, by_kurtosis, seed)


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return np.column_stack(
        [rng.normal(size=300), rng.integers(0, 3, 300), rng.exponential(size=300)]
    )


def test_average_path_length_is_the_mean_depth_under_random_splits():
    np.testing.assert_allclose(average_path_length(60), oracles.average_path_length(60), rtol=1e-12)


@pytest.mark.parametrize("by_kurtosis", [False, True])
def test_nodes_hold_the_rows_that_walk_to_them_and_leaves_cannot_be_split(X, by_kurtosis):
    forest = forest_on(X, n_rows=300, n_trees=3, max_depth=7, by_kurtosis=by_kurtosis)
    paths = [oracles.tree_paths(forest, x) for x in X]
    for t in range(3):
        for k in range(forest.roots[t], forest.roots[t + 1]):
            rows = [i for i in range(300) if k in paths[i][t]]
            depth = paths[rows[0]][t].index(k)
            if forest.left[k] == k:
                assert depth == 7 or np.ptp(X[rows], axis=0).max() == 0
                assert forest.threshold[k] == np.inf
                assert forest.value[k] == path_length(np.array(depth), np.array(len(rows)))
            else:
                column = X[rows, forest.feature[k]]
                assert column.min() <= forest.threshold[k] < column.max()
                mean = np.mean([forest.value[paths[i][t][-1]] for i in rows])
                assert forest.value[k] == pytest.approx(mean, rel=1e-12)
        assert forest.height[t] == max(len(p[t]) for p in paths) - 1


def test_a_tree_without_depth_limit_isolates_every_distinct_row(X):
    *_, left, depth, count = tree_on(X)
    leaves = left == np.arange(len(left))
    assert leaves.sum() == len(np.unique(X, axis=0))
    assert count[leaves].sum() == len(X)
    assert depth.max() < 50


def test_split_features_are_drawn_evenly_from_those_that_vary():
    X = np.random.default_rng(0).normal(size=(20, 5))
    X[:, 2] = 7.0
    picks = [tree_on(X, seed, max_depth=1)[0][0] for seed in range(2000)]
    counts = np.bincount(picks, minlength=5)
    assert counts[2] == 0
    assert stats.chisquare(counts[[0, 1, 3, 4]]).pvalue > 0.01


def test_split_features_are_drawn_by_the_logarithm_of_kurtosis():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(size=500), rng.standard_t(3, size=500), np.ones(500)])
    kurtosis = stats.kurtosis(X[:, :2], fisher=False)
    weights = np.log(kurtosis + 1)
    picks = [tree_on(X, seed, max_depth=1, by_kurtosis=True)[0][0] for seed in range(3000)]
    expected = 3000 * weights / weights.sum()
    assert stats.chisquare(np.bincount(picks, minlength=2), expected).pvalue > 0.01


def test_thresholds_are_uniform_over_the_range():
    X = np.array([[-3.0], [1.0], [5.0]])
    thresholds = [tree_on(X, seed, max_depth=1)[1][0] for seed in range(2000)]
    assert stats.kstest(thresholds, "uniform", args=(-3, 8)).pvalue > 0.01


@pytest.mark.parametrize(
    "values",
    [
        [1.0, np.nextafter(1.0, 2.0)],
        [-1.7e308, 1.7e308],
        [0.0, 5e-324],
        [1e300, 1e300 * (1 + 1e-15)],
    ],
)
def test_neighbouring_and_extreme_numbers_are_separated(values):
    for seed in range(20):
        *_, count = tree_on(np.array(values)[:, None], seed)
        assert count.tolist() == [2, 1, 1]


def test_each_tree_uses_its_own_columns_and_rows(X):
    forest = forest_on(X, n_columns=1, n_trees=40, n_rows=20)
    used = []
    for a, b in zip(forest.roots[:-1], forest.roots[1:], strict=True):
        inner = forest.left[a:b] != np.arange(a, b)
        used.append(set(forest.feature[a:b][inner].tolist()))
    assert all(len(u) == 1 for u in used)
    assert set.union(*used) == {0, 1, 2}


def test_walks_sum_the_leaves_of_the_slow_twin(X):
    forest = forest_on(X, n_trees=20)
    new = np.vstack([X[:270] * 1.5 - 0.2, np.full((1, 3), 1e308), np.full((1, 3), -1e308)])
    slow = [sum(forest.value[p[-1]] for p in oracles.tree_paths(forest, x)) for x in new]
    assert walk(new, *forest).tolist() == slow  # in the same order, hence bit-equal
    assert walk(new[5:6], *forest)[0] == slow[5]


def test_attribution_credits_each_step_and_adds_up(X):
    forest = forest_on(X, n_trees=20)
    parts = attribute(X, *forest)
    slow = np.zeros_like(X)
    for i, x in enumerate(X):
        for path in oracles.tree_paths(forest, x):
            for k, child in pairwise(path):
                slow[i, forest.feature[k]] += forest.value[child] - forest.value[k]
    np.testing.assert_allclose(parts, slow, atol=1e-12)
    np.testing.assert_allclose(forest.base + parts.sum(axis=1), walk(X, *forest), rtol=1e-12)


def test_a_seed_settles_the_forest_and_layouts_do_not_matter(X):
    first = forest_on(X)
    read_only = np.asfortranarray(X)
    read_only.setflags(write=False)
    assert all(np.array_equal(a, b) for a, b in zip(first, forest_on(read_only), strict=True))
    assert not np.array_equal(first.threshold, forest_on(X, seed=1).threshold)
