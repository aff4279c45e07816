"""Scoring on codes: equal to walking, bit for bit, on whatever data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from awry.kernels import forest_score
from awry.kernels.trees import grow_forest, walk


def forest_on(X, n_trees=30, n_rows=256, max_depth=8, seed=0):
    rng = np.random.default_rng(seed)
    n, d = X.shape
    return grow_forest(
        X,
        lambda depth, count: depth + rng.random(len(depth)),  # tells every leaf from every other
        rng,
        n_trees=n_trees,
        n_rows=min(n, n_rows),
        n_columns=d,
        max_depth=max_depth,
    )


def assert_equal_to_walking(X, forest, rows=128):
    plan = forest_score.plan(forest, X.shape[1])
    # Thresholds themselves, and their neighbours, are where a code could go wrong.
    edges = forest.threshold[np.isfinite(forest.threshold)][:500, None] * np.ones(X.shape[1])
    near = [edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]
    with np.errstate(over="ignore"):
        rest = [X * 3 + 1, np.full((2, X.shape[1]), [[-1.7e308], [1.7e308]])]
        new = np.nan_to_num(np.vstack([X, *near, *rest]))
    assert np.array_equal(forest_score.score(new, rows, *plan), walk(new, *forest))


TABLES = {
    "normal": lambda rng: rng.normal(size=(1000, 6)),
    "one column, so that runs of trees are many": lambda rng: rng.normal(size=(1000, 1)),
    "heavy tails, so that edges crowd one cell": lambda rng: rng.standard_cauchy((1000, 3)) ** 5,
    "few values": lambda rng: rng.integers(0, 3, size=(1000, 4)).astype(float),
    "one feature of many varies": lambda rng: np.outer(rng.normal(size=500), np.eye(40)[7]),
    "huge": lambda rng: rng.uniform(-1, 1, size=(600, 2)) * 1.7e308,
    "tiny": lambda rng: rng.uniform(size=(600, 2)) * 1e-310,
    "far off": lambda rng: 1e15 + rng.normal(size=(600, 2)),
    "constant": lambda rng: np.full((50, 3), 2.5),
    "two rows": lambda rng: rng.normal(size=(2, 2)),
}


@pytest.mark.parametrize("table", TABLES)
def test_scores_equal_walking(table):
    X = TABLES[table](np.random.default_rng(0))
    assert_equal_to_walking(X, forest_on(X))


@settings(max_examples=40, deadline=None)
@given(
    arrays(float, st.tuples(st.integers(2, 40), st.integers(1, 4)), elements=st.floats(-1e6, 1e6)),
    st.integers(0, 100),
)
def test_scores_equal_walking_on_any_table(X, seed):
    assert_equal_to_walking(X, forest_on(X, n_trees=5, seed=seed), rows=16)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_cuts_into_blocks_do_not_matter(n):
    X = np.random.default_rng(0).normal(size=(500, 3))
    forest = forest_on(X)
    plan = forest_score.plan(forest, 3)
    assert np.array_equal(forest_score.score(X[:n], 64, *plan), walk(X[:n], *forest))


def test_full_trees_of_256_leaves_fit_and_larger_ones_are_left_to_walking():
    X = np.random.default_rng(0).normal(size=(2000, 2))
    deep = forest_on(X, max_depth=40)
    assert (np.diff(deep.roots) == 511).all()
    assert_equal_to_walking(X, deep)
    assert forest_score.plan(forest_on(X, n_trees=1, n_rows=257, max_depth=40), 2) is None


def test_too_many_thresholds_for_a_code_are_left_to_walking():
    X = np.random.default_rng(0).normal(size=(300, 1))
    assert forest_score.plan(forest_on(X, n_trees=270, max_depth=40), 1) is None
    assert forest_score.plan(forest_on(X, n_trees=250, max_depth=40), 1) is not None
