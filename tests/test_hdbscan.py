"""HDBSCAN against GLOSH computed level by level."""

from __future__ import annotations

import numpy as np
import pytest

import oracles
from awry.detectors.tabular.hdbscan import HDBSCAN

RNG = np.random.default_rng(0)
BLOBS = np.vstack(
    [RNG.normal(0, 1, (18, 2)), RNG.normal(8, 0.4, (18, 2)), RNG.uniform(-4, 12, (6, 2))]
)
TABLES = {
    "blobs": BLOBS,
    "ties": np.unique(RNG.integers(0, 9, size=(45, 2)), axis=0).astype(float),
    "line": np.sort(RNG.exponential(size=40))[:, None],
    "noise": RNG.normal(size=(40, 6)),
}


@pytest.mark.parametrize(("min_size", "min_samples"), [(2, 2), (4, 3), (5, 5), (8, 2)])
@pytest.mark.parametrize("name", TABLES)
def test_scores_are_the_papers(name, min_size, min_samples):
    detector = HDBSCAN(min_size, min_samples=min_samples).fit(TABLES[name])
    truth = oracles.glosh(TABLES[name], min_size, min_samples)
    np.testing.assert_allclose(detector.decision_scores_, truth, atol=1e-9)


def test_min_samples_is_min_cluster_size_by_default():
    np.testing.assert_array_equal(
        HDBSCAN(7).fit(BLOBS).decision_scores_,
        HDBSCAN(7, min_samples=7).fit(BLOBS).decision_scores_,
    )


def test_new_rows_score_higher_the_further_they_are_from_a_cluster():
    detector = HDBSCAN(8).fit(BLOBS)
    away = np.array([[8.0, 8.0], [8.0, 10.0], [8.0, 13.0], [8.0, 30.0]])
    scores = detector.decision_function(away)
    assert (np.diff(scores) > 0).all()
    assert scores[0] < 0.5
    assert scores[-1] > 0.9


def test_rows_that_coincide():
    rows = np.vstack([np.ones((30, 2)), RNG.normal(5, 1, (30, 2)), [[50.0, 0.0]]])
    scores = HDBSCAN().fit(rows).decision_scores_
    assert not scores[:30].any()
    assert scores.argmax() == 60
    assert not HDBSCAN().fit(np.ones((30, 2))).decision_scores_.any()
