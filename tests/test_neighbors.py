"""The search for neighbours: exact, approximate, other metrics; and the nearest centre."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

import oracles
from awry.core.state import from_state, to_state
from awry.detectors.tabular import _groups, _neighbors
from awry.detectors.tabular._neighbors import NeighborSearch, shares

RNG = np.random.default_rng(0)
CLUSTERS = RNG.normal(size=(30, 6))[RNG.integers(0, 30, 6000)] * 4 + RNG.normal(size=(6000, 6))


@pytest.mark.parametrize(
    ("params", "power"),
    [
        ({}, 2),
        ({"metric": "minkowski", "p": 2}, 2),
        ({"metric": "manhattan"}, 1),
        ({"metric": "chebyshev"}, np.inf),
        ({"metric": "minkowski", "p": 3}, 3),
    ],
)
def test_query_leaves_out_the_row_itself(params, power):
    X = np.vstack([CLUSTERS[:400], CLUSTERS[:3]])
    search = NeighborSearch(5, **params).fit(X)
    Q = np.vstack([X[:30], CLUSTERS[1000:1030]])
    distances, places = search.query(Q)
    for q, distance, place in zip(Q, distances, places, strict=True):
        np.testing.assert_allclose(distance, oracles.neighbors(X, q, 5, power)[0], rtol=1e-9)
        there = search.points_[place] / search.scale_
        np.testing.assert_allclose(
            np.linalg.norm(there - q, ord=power, axis=1), distance, rtol=1e-9
        )
    # Three rows occur twice: only one of the two is the row itself.
    assert (distances[:3, 0] == 0).all()
    assert (distances[3:, 0] > 0).all()


def test_training_rows_have_scikit_learns_neighbours():
    search = NeighborSearch(8).fit(CLUSTERS)
    distances, places = search.query_points()
    truth, numbers = NearestNeighbors(n_neighbors=8).fit(CLUSTERS).kneighbors()
    np.testing.assert_allclose(distances, truth[search.order_], rtol=1e-12)
    np.testing.assert_array_equal(search.order_[places], numbers[search.order_])


def test_as_fitted_brings_back_the_order_of_fit():
    search = NeighborSearch(3).fit(CLUSTERS)
    np.testing.assert_array_equal(search.as_fitted(search.points_[:, 0]), CLUSTERS[:, 0])


def test_fewer_rows_than_neighbours():
    search = NeighborSearch(10).fit(CLUSTERS[:4])
    assert search.query(CLUSTERS[:9])[0].shape == (9, 3)


def test_new_rows_equal_to_training_rows_are_judged_alike():
    search = NeighborSearch(5).fit(CLUSTERS)
    distances, places = search.query_points()
    again = search.query(CLUSTERS[search.order_])
    np.testing.assert_array_equal(again[0], distances)
    np.testing.assert_array_equal(again[1], places)


@pytest.mark.parametrize("algorithm", ["exact", "approximate"])
def test_cuts_threads_and_saving_change_nothing(algorithm):
    search = NeighborSearch(5, algorithm=algorithm).fit(CLUSTERS)
    Q = np.vstack([CLUSTERS[:500] + 0.01, CLUSTERS[:500].round()])
    whole = search.query(Q)
    arrays: list[np.ndarray] = []
    loaded = from_state(to_state(search, arrays), arrays)
    threads = NeighborSearch(5, algorithm=algorithm, n_jobs=2).fit(CLUSTERS)
    parts = [search.query(part) for part in np.split(Q, [1, 7, 300])]
    cut = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    for other in (loaded.query(Q), threads.query(Q), cut):
        np.testing.assert_array_equal(other[0], whole[0])
        np.testing.assert_array_equal(other[1], whole[1])


def test_approximate_search_states_its_recall():
    exact = NeighborSearch(10, algorithm="exact").fit(CLUSTERS)
    search = NeighborSearch(10, algorithm="approximate").fit(CLUSTERS)
    assert exact.recall_ == 1.0
    assert 0 < search.n_probes_ < len(search.centres_) / 2
    limit = exact.query(CLUSTERS)[0][:, -1:]
    distances, places = search.query(CLUSTERS)
    recall = np.mean(distances <= limit)
    assert recall >= 0.95
    assert abs(search.recall_ - recall) < 0.02
    # What it finds are true distances to different rows.
    there = search.points_[places]
    np.testing.assert_allclose(
        np.linalg.norm(there - CLUSTERS[:, None], axis=2), distances, rtol=1e-9
    )
    assert all(len(set(row)) == 10 for row in places[:200])


def test_search_is_approximate_only_where_that_pays(monkeypatch):
    monkeypatch.setattr(_neighbors, "EXACT_ROWS", 5000)
    assert NeighborSearch(10).fit(CLUSTERS).n_probes_ > 0
    assert NeighborSearch(10).fit(CLUSTERS[:5000]).n_probes_ == 0
    assert NeighborSearch(10, algorithm="kd_tree").fit(CLUSTERS).n_probes_ == 0
    assert NeighborSearch(10, metric="manhattan").fit(CLUSTERS).n_probes_ == 0
    # In 60 dimensions without structure the nearest rows are anywhere.
    noise = NeighborSearch(10).fit(RNG.normal(size=(6000, 60)))
    assert (noise.n_probes_, noise.recall_) == (0, 1.0)


def test_probes_that_hold_too_few_rows_are_made_up_for():
    search = NeighborSearch(10, algorithm="approximate").fit(CLUSTERS)
    many = search._query(CLUSTERS[:20], 1, 700)
    assert (many[1] >= 0).all()
    assert np.isfinite(many[0]).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_units_do_not_matter(scale):
    X = CLUSTERS[:900]
    plain, other = NeighborSearch(5).fit(X), NeighborSearch(5).fit(X * scale)
    np.testing.assert_allclose(
        other.as_fitted(other.query_points()[0]),
        plain.as_fitted(plain.query_points()[0]) * scale,
        rtol=1e-9,
    )


def test_extreme_numbers_have_finite_distances():
    X = np.vstack([CLUSTERS[:100], [[1e308] * 6, [-1e308] * 6]])
    assert np.isfinite(NeighborSearch(5).fit(X).query_points()[0]).all()
    far = NeighborSearch(5).fit(CLUSTERS).query(np.array([[1e308] * 6, [1e200] + [0] * 5]))
    assert np.isfinite(far[0]).all()
    assert (far[1] >= 0).all()


def test_partition_divides_what_outliers_would_leave_in_one_group():
    X = np.vstack([CLUSTERS, 1e7 * RNG.normal(size=(60, 6))])
    labels, centres = _groups.partition(X, 256)
    assert len(centres) == labels.max() + 1
    assert np.bincount(labels).max() < 3000
    np.testing.assert_array_equal(labels, _groups.nearest_centre(X, centres)[1])


def test_partition_of_equal_rows_is_one_group():
    labels, centres = _groups.partition(np.full((2000, 3), 7.0), 256)
    assert not labels.any()
    np.testing.assert_array_equal(centres, [[7.0, 7.0, 7.0]])


@pytest.mark.parametrize("power", [1, 2, 3.5, np.inf])
def test_shares_are_those_of_the_distance(power):
    differences = RNG.normal(size=(5, 3, 4)) * 1e200
    part = shares(differences, power)
    np.testing.assert_allclose(part.sum(axis=-1), 1.0)
    np.testing.assert_array_equal(part.argmax(-1), np.abs(differences).argmax(-1))
    assert not shares(np.zeros((1, 4)), power).any()


def test_shares_of_a_worked_example():
    np.testing.assert_allclose(shares(np.array([3.0, -4.0]), 2), [9 / 25, 16 / 25])
    np.testing.assert_allclose(shares(np.array([3.0, -4.0]), 1), [3 / 7, 4 / 7])
    np.testing.assert_allclose(shares(np.array([3.0, -4.0]), np.inf), [0, 1])
