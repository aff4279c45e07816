"""INNE."""

import numpy as np
from sklearn.metrics import roc_auc_score

import oracles
from awry.checks import check_detector
from awry.detectors.tabular.inne import INNE


def test_it_keeps_the_promises_of_a_detector():
    check_detector(INNE(n_estimators=100))


def test_scores_are_those_of_the_paper():
    X = np.random.default_rng(0).integers(0, 30, size=(200, 3)) * 1.0
    detector = INNE(n_estimators=20, max_samples=6, random_state=0).fit(X)
    slow = oracles.inne(detector.centers_, X)
    np.testing.assert_allclose(detector.decision_scores_, slow, rtol=1e-12)
    assert detector.decision_scores_.min() >= 0
    assert detector.decision_scores_.max() <= 1


def test_a_local_anomaly_beside_a_dense_cluster_is_found():
    rng = np.random.default_rng(0)
    dense, sparse = (
        rng.normal(scale=0.1, size=(1000, 2)),
        rng.normal(scale=2.0, size=(1000, 2)) + 12,
    )
    local = np.array([[0.9, 0.0], [0.0, -0.9], [-0.8, 0.8], [0.9, 0.9]])
    X = np.vstack([dense, sparse, local])
    detector = INNE(max_samples=64, random_state=0).fit(X)
    assert roc_auc_score(np.arange(2004) >= 2000, detector.decision_scores_) > 0.95


def test_more_samples_than_rows_take_all_rows():
    X = np.random.default_rng(0).normal(size=(5, 2))
    assert INNE(n_estimators=3, random_state=0).fit(X).centers_.shape == (3, 5, 2)
