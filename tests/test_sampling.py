"""Sampling: the distance to a sample that leaves the row itself out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from awry.checks import planted
from awry.detectors.tabular.sampling import Sampling

X = planted()[0]


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_scores_are_distances_to_the_nearest_sampled_row(metric):
    detector = Sampling(metric=metric, random_state=0).fit(X)
    sample = detector.search_.points_
    assert sample.shape == (20, 4)
    gaps = cdist(X, sample, {"euclidean": "euclidean", "manhattan": "cityblock"}[metric])
    assert (gaps == 0).any(axis=1).sum() == 20, "the sample is not of training rows"
    gaps[gaps == 0] = np.inf
    np.testing.assert_allclose(detector.decision_scores_, gaps.min(axis=1), rtol=1e-9)


def test_a_sampled_anomaly_still_stands_out():
    detector = Sampling(len(X), random_state=0).fit(X)
    assert set(np.argsort(detector.decision_scores_)[-8:]) == set(range(300, 308))


@pytest.mark.parametrize(("size", "rows"), [(2, 2), (0.5, 154), (0.001, 2), (10_000, 308)])
def test_subset_size(size, rows):
    assert len(Sampling(size, random_state=0).fit(X).search_.points_) == rows


def test_seeds_draw_different_samples():
    first, second = (Sampling(random_state=seed).fit(X).decision_scores_ for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_contributions_are_the_parts_of_the_distance():
    detector = Sampling(random_state=0).fit(X)
    sample = detector.search_.points_
    q = sample[3] + 1e-3 * np.array([3.0, 0.0, -4.0, 0.0])
    assert cdist(q[None], sample).argmin() == 3
    np.testing.assert_allclose(
        detector.explain(q[None]).values, 1e-3 * np.array([[9 / 5, 0, 16 / 5, 0]]), atol=1e-9
    )
