"""The nearest rows, chains, angles and the density tree against their oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

import oracles
from awry.kernels import density_tree, neighborhoods
from awry.kernels import neighbors as kernels

RNG = np.random.default_rng(0)


def in_groups(X, n_groups):
    """Rows in groups by the nearest of some of them, and the visits of each row to its own."""
    centres = np.unique(X, axis=0)[:: max(1, len(np.unique(X, axis=0)) // n_groups)]
    labels = cdist(X, centres).argmin(axis=1)
    used, labels = np.unique(labels, return_inverse=True)
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(len(used) + 1))
    return kernels.group(X[order], starts, centres[used]), order


def nearest_of_all(groups, Q, k, visit=0):
    visits = np.full((len(Q), 1), min(visit, len(groups.centres) - 1))
    return kernels.nearest(groups, Q, visits, k, True)


TABLES = {
    "normal": RNG.normal(size=(900, 5)),
    "wide": RNG.normal(size=(700, 60)),
    "one column": RNG.normal(size=(700, 1)),
    "grid": RNG.integers(0, 3, size=(800, 4)).astype(float),
    "one place": np.full((600, 3), 0.1),
    "tight and far apart": RNG.integers(0, 3, (900, 1)) * 1e6 + RNG.normal(0, 1e-4, (900, 3)),
    "heavy tails": np.exp(6 * RNG.normal(size=(900, 4))),
    "large offset": 1e9 + RNG.normal(size=(900, 4)),
    "small": 1e-12 * RNG.normal(size=(900, 4)),
}


@pytest.mark.parametrize("n_groups", [1, 12])
@pytest.mark.parametrize("name", TABLES)
def test_nearest_are_exact(name, n_groups):
    X = TABLES[name]
    groups, order = in_groups(X, n_groups)
    Q = np.vstack([X[:60], X[:20] + 0.1 * X.std(axis=0), X[:5] + 100 * X.std(axis=0)])
    squares, places = nearest_of_all(groups, Q, 7)
    truth = cdist(Q, X)
    np.testing.assert_allclose(np.sqrt(squares), np.sort(truth, axis=1)[:, :7], rtol=1e-12)
    np.testing.assert_allclose(
        np.sqrt(squares), np.take_along_axis(truth, order[places], axis=1), rtol=1e-12
    )
    assert all(len(set(row)) == 7 for row in places), "a row was found twice"
    assert (squares[:60, 0] == 0).all(), "a row is not at distance 0 from itself"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nearest_of_any_numbers(data):
    d = data.draw(st.integers(1, 4))
    values = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6), st.floats(-1e-6, 1e-6))
    rows = st.lists(st.lists(values, min_size=d, max_size=d), min_size=3, max_size=40)
    X, Q = np.array(data.draw(rows)), np.array(data.draw(rows))
    groups, _ = in_groups(X, 4)
    squares, _ = nearest_of_all(groups, Q, 3)
    truth = np.sort(((Q[:, None] - X[None]) ** 2).sum(axis=2), axis=1)[:, :3]
    np.testing.assert_allclose(squares, truth, rtol=1e-12, atol=1e-300)


def test_what_is_found_does_not_depend_on_the_other_queries():
    groups, _ = in_groups(TABLES["grid"], 12)
    Q = RNG.integers(0, 3, size=(700, 4)).astype(float)
    squares, places = nearest_of_all(groups, Q, 9)
    for rows in (slice(0, 1), slice(3, 40), slice(690, None)):
        alone = nearest_of_all(groups, Q[rows], 9)
        np.testing.assert_array_equal(alone[0], squares[rows])
        np.testing.assert_array_equal(alone[1], places[rows])


def test_a_few_groups_give_the_nearest_rows_they_hold():
    groups, _ = in_groups(TABLES["normal"], 12)
    visits = np.array([[1, 4], [6, 0]])
    squares, places = kernels.nearest(groups, groups.points[:2], visits, 10, False)
    for i, pair in enumerate(visits):
        held = np.concatenate([np.arange(*groups.starts[g : g + 2]) for g in pair])
        truth = ((groups.points[held] - groups.points[i]) ** 2).sum(axis=1)
        np.testing.assert_allclose(squares[i], np.sort(truth)[:10], rtol=1e-12)
        assert set(places[i]) <= set(held)


def test_too_few_rows_leave_gaps():
    groups, _ = in_groups(TABLES["normal"], 300)
    size = int(np.diff(groups.starts)[0])
    squares, places = kernels.nearest(groups, groups.points[:1], np.array([[0]]), size + 2, False)
    assert (places[0, size:] == -1).all()
    assert np.isinf(squares[0, size:]).all()


@pytest.mark.parametrize("k", [1, 2, 9])
def test_chaining_distance(k):
    X, places = RNG.normal(size=(60, 3)), RNG.integers(0, 60, size=(25, k))
    Q = RNG.normal(size=(25, 3))
    truth = [oracles.chaining_distance(q, X[near]) for q, near in zip(Q, places, strict=True)]
    np.testing.assert_allclose(neighborhoods.chaining_distance(Q, X, places), truth, rtol=1e-12)


def test_chaining_distance_of_the_paper():
    """On a line with unit gaps every link is 1, and the weights sum to 1."""
    line = np.arange(5.0)[:, None]
    out = neighborhoods.chaining_distance(line[:1], line, np.array([[1, 2, 3, 4]]))
    np.testing.assert_allclose(out, [1.0])


@pytest.mark.parametrize(("k", "d"), [(2, 2), (8, 1), (8, 5)])
def test_angle_variance(k, d):
    X, Q = RNG.normal(size=(60, d)), RNG.normal(size=(25, d))
    places = np.array([RNG.choice(60, k, replace=False) for _ in range(25)])
    truth = [oracles.angle_variance(q, X[near]) for q, near in zip(Q, places, strict=True)]
    np.testing.assert_allclose(
        neighborhoods.angle_variance(Q, X, places), truth, rtol=1e-9, atol=1e-14
    )


def test_angle_variance_of_a_far_row_does_not_cancel():
    """Seen from 1e6 away the terms agree to many digits; the variance is still right."""
    X = RNG.normal(size=(9, 2))
    q = np.array([[1e6, 0.0]])
    got = neighborhoods.angle_variance(q, X, np.arange(9)[None])[0]
    with np.errstate(all="ignore"):
        exact = oracles.angle_variance(q[0].astype(np.longdouble), X.astype(np.longdouble))
    np.testing.assert_allclose(got, float(exact), rtol=1e-4)


@pytest.mark.parametrize("table", ["normal", "grid", "one place"])
def test_spanning_tree_is_as_short_as_scipys(table):
    X = TABLES[table][:120]
    core = np.sort(cdist(X, X), axis=1)[:, 4]
    edges, lengths = density_tree.spanning_tree(X, core)
    reach = np.maximum(cdist(X, X), np.maximum(core[:, None], core[None]))
    np.testing.assert_allclose(reach[edges[:, 0], edges[:, 1]], lengths, rtol=1e-12)
    # scipy takes a zero for no edge.
    truth = minimum_spanning_tree(reach + 1e-3).sum() - 1e-3 * (len(X) - 1)
    np.testing.assert_allclose(lengths.sum(), truth, rtol=1e-9, atol=1e-9)
    assert set(edges[:, 1]) == set(range(1, len(X))), "a point is not linked"


def test_merges_count_points():
    edges = np.array([[0, 1], [3, 2], [1, 2]])
    children, sizes = density_tree.merges(edges, np.array([1, 0, 2]))
    np.testing.assert_array_equal(children, [[3, 2], [0, 1], [5, 4]])
    np.testing.assert_array_equal(sizes, [1, 1, 1, 1, 2, 2, 4])
