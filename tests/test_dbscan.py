"""DBSCAN: the score is the factor on the radius that ends a row's being noise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import cluster

from awry.checks import check_detector
from awry.detectors.tabular.dbscan import DBSCAN

RNG = np.random.default_rng(0)
X = np.vstack(
    [RNG.normal(size=(150, 2)), RNG.normal(7, 0.3, (80, 2)), RNG.uniform(-4, 10, (40, 2))]
)


@pytest.mark.parametrize("min_samples", [2, 5, 12])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("eps", [0.2, 0.6, 1.5])
def test_scores_above_one_are_noise_to_scikit_learn(eps, metric, min_samples):
    detector = DBSCAN(eps, min_samples=min_samples, metric=metric).fit(X)
    noise = cluster.DBSCAN(eps=eps, min_samples=min_samples, metric=metric).fit(X).labels_ == -1
    assert 0 < noise.sum() < len(X)
    np.testing.assert_array_equal(detector.labels_, noise)
    np.testing.assert_array_equal(detector.decision_scores_ > 1, noise)


def test_a_row_stops_being_noise_at_its_score():
    scores = DBSCAN(1.0).fit(X).decision_scores_
    for row in np.argsort(scores)[-3:]:
        for factor, is_noise in ((0.999, True), (1.001, False)):
            labels = cluster.DBSCAN(eps=scores[row] * factor, min_samples=5).fit(X).labels_
            assert (labels[row] == -1) == is_noise


def test_eps_is_only_the_unit():
    some, none = DBSCAN(0.5).fit(X), DBSCAN().fit(X)
    np.testing.assert_allclose(some.decision_scores_ * 0.5, none.decision_scores_ * none.eps_)
    assert np.median(none.decision_scores_) == 1.0
    assert none.threshold_ > 1


def test_rows_that_coincide():
    heap = np.vstack([np.ones((60, 2)), [[3.0, 1.0]]])
    scores = DBSCAN().fit(heap).decision_scores_
    assert not scores[:60].any()
    assert scores[60] > 0


def test_conformance_with_eps():
    check_detector(DBSCAN(3.0))
