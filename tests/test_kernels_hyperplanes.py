"""Isolation trees of hyperplane splits: growth, walks and attribution."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import oracles
from awry.kernels.hyperplanes import (
    attribute_planes,
    fairest_cut,
    grow_plane_forest,
    grow_planes,
    walk_planes,
)


def forest_on(X, seed=0, fair=True, **changes):
    settings = {"n_trees": 10, "n_rows": len(X), "n_features": 2, "max_depth": 6, "fair": fair}
    rng = np.random.default_rng(seed)
    return grow_plane_forest(
        X, lambda depth, count: depth + 1.0 / (count + 1), rng, **(settings | changes)
    )


def tree_on(X, seed=0, q=2, max_depth=1, fair=False):
    d = X.shape[1]
    return grow_planes(X, np.arange(d), q, max_depth, fair, seed)


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3))
    return np.column_stack([mixed, rng.integers(0, 2, 200), np.full(200, 4.0)])


@pytest.mark.parametrize("fair", [True, False])
def test_nodes_hold_the_rows_that_walk_to_them(X, fair):
    forest = forest_on(X, fair=fair, n_trees=4)
    paths = [oracles.tree_paths(forest, x) for x in X]
    for t in range(4):
        for k in range(forest.roots[t], forest.roots[t + 1]):
            rows = [i for i in range(200) if k in paths[i][t]]
            if forest.left[k] != k:
                mean = np.mean([forest.value[paths[i][t][-1]] for i in rows])
                assert forest.value[k] == pytest.approx(mean, rel=1e-12)
                weighted = forest.feature[k][forest.weight[k] != 0]
                assert len(weighted) == len(set(weighted.tolist())) == 2
                assert (np.ptp(X[rows][:, weighted], axis=0) > 0).all()
            elif rows:
                assert forest.value[k] % 1 == pytest.approx(1.0 / (len(rows) + 1))
        assert forest.height[t] <= 6


@pytest.mark.parametrize("q", [1, 2, 5])
@pytest.mark.parametrize("fair", [True, False])
def test_walks_and_attributions_agree_with_the_slow_twin(X, q, fair):
    forest = forest_on(X, n_features=q, fair=fair)
    new = X * 1.3 + 0.1
    paths = [oracles.tree_paths(forest, x) for x in new]
    sums = walk_planes(new, *forest)
    np.testing.assert_allclose(sums, [sum(forest.value[p[-1]] for p in ps) for ps in paths])
    parts = attribute_planes(new, *forest)
    slow = np.zeros_like(new)
    for i, trees in enumerate(paths):
        for path in trees:
            for k, child in pairwise(path):
                f = forest.feature[k]
                moved = np.abs(forest.weight[k] * (new[i, f] - forest.origin[f] - forest.centre[k]))
                np.add.at(slow[i], f, (forest.value[child] - forest.value[k]) * moved / moved.sum())
    np.testing.assert_allclose(parts, slow, atol=1e-9)
    np.testing.assert_allclose(forest.base + parts.sum(axis=1), sums, rtol=1e-12)


def test_the_cut_leaves_the_least_pooled_variance():
    rng = np.random.default_rng(0)
    for n in (2, 3, 10, 57):
        x = rng.normal(size=n).round(1) + 100.0
        assert fairest_cut(x) == pytest.approx(oracles.fairest_cut(x), rel=1e-12)
    assert np.isnan(fairest_cut(np.full(5, 2.0)))
    low, high = 1.0, np.nextafter(1.0, 2.0)
    assert fairest_cut(np.array([high, low, low])) == low


def test_two_clusters_are_parted_at_the_root():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(150, 2)), rng.normal(size=(50, 2)) + 30.0])
    for seed in range(30):
        count = tree_on(X, seed, q=1, fair=True)[-1]
        assert sorted(count[1:].tolist()) == [50, 150]


@pytest.mark.parametrize("fair", [True, False])
def test_units_and_origins_of_columns_do_not_matter(fair):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(256, 4))
    other = X * [1e-6, 1.0, 1e3, 1e9] + [5.0, -3.0, 1e4, 0.0]
    a, b = forest_on(X, fair=fair), forest_on(other, fair=fair)
    assert np.array_equal(a.left, b.left)
    np.testing.assert_allclose(walk_planes(X, *a), walk_planes(other, *b), rtol=1e-9)


def test_random_planes_have_even_directions_and_pass_through_the_box():
    X = np.array([[0.0, 10.0], [2.0, 14.0], [1.0, 12.0]])
    trees = [tree_on(X, seed) for seed in range(2000)]
    order = np.array([tree[0][0, :2] for tree in trees]).argsort(axis=1)
    weight, centre = (
        np.take_along_axis(np.array([tree[part][0, :2] for tree in trees]), order, 1)
        for part in (1, 2)
    )
    weight *= X.std(axis=0)
    angle = np.arctan2(weight[:, 1], weight[:, 0])
    assert stats.kstest(angle, "uniform", args=(-np.pi, 2 * np.pi)).pvalue > 0.01
    assert stats.kstest(centre[:, 0], "uniform", args=(0, 2)).pvalue > 0.01
    assert stats.kstest(centre[:, 1], "uniform", args=(10, 4)).pvalue > 0.01


@pytest.mark.parametrize("fair", [True, False])
def test_rows_that_do_not_differ_stay_together(fair):
    X = np.ones((30, 3))
    forest = forest_on(X, fair=fair)
    assert len(forest.left) == 10
    assert walk_planes(X, *forest) == pytest.approx(10 / 31)
    two = np.repeat(np.eye(3)[:2], 20, axis=0)
    deep = forest_on(two, fair=True, max_depth=60)
    assert (np.diff(deep.roots) == 3).all()
