"""KMeansDistance: centres that anomalies do not draw to themselves."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.tabular.kmeans import KMeansDistance, _step

RNG = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
X = np.vstack([np.repeat(CENTRES, 100, axis=0) + RNG.normal(size=(300, 2)), [[200.0, 200.0]] * 5])


def test_scores_are_distances_to_the_nearest_centre():
    detector = KMeansDistance(3, random_state=0).fit(X)
    gaps = np.linalg.norm(X[:, None] - detector.cluster_centers_[None], axis=2)
    np.testing.assert_allclose(detector.decision_scores_, gaps.min(axis=1), rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_anomalies_are_no_centres(seed):
    found = KMeansDistance(3, random_state=seed).fit(X).cluster_centers_
    gaps = np.linalg.norm(found[:, None] - CENTRES[None], axis=2)
    assert (gaps.min(axis=0) < 0.5).all()


def test_without_trimming_the_centres_are_means():
    detector = KMeansDistance(3, trim=0, random_state=0).fit(X[:300])
    labels = np.linalg.norm(X[:300, None] - detector.cluster_centers_[None], axis=2).argmin(1)
    means = [X[:300][labels == c].mean(axis=0) for c in range(3)]
    np.testing.assert_allclose(detector.cluster_centers_, means, rtol=1e-9)


def test_one_step_by_hand():
    rows = np.array([[0.0], [1.0], [2.0], [3.0], [100.0]])
    distortion, moved = _step(rows, np.array([[0.0], [10.0]]), trim=0.2)
    # 100 is left out; the others are nearest to 0, so the centre at 10 stays.
    np.testing.assert_allclose(moved, [[1.5], [10.0]])
    assert distortion == (0 + 1 + 4 + 9) / 4


def test_contributions_are_the_parts_of_the_distance():
    detector = KMeansDistance(1, random_state=0).fit(X[:100])
    away = detector.cluster_centers_ + np.array([3.0, -4.0])
    np.testing.assert_allclose(detector.explain(away).values, [[9 / 5, 16 / 5]])


def test_fewer_different_rows_than_clusters():
    rows = np.repeat([[0.0, 0.0], [1.0, 5.0]], 50, axis=0)
    assert not KMeansDistance(random_state=0).fit(rows).decision_scores_.any()
