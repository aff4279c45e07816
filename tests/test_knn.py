"""KNN against PyOD, its explanations and its large form."""

from __future__ import annotations

import numpy as np
import pytest

from awry.checks import check_detector, planted
from awry.detectors.tabular.knn import KNN

X = planted()[0]


@pytest.mark.parametrize("k", [1, 4, 5])
@pytest.mark.parametrize("method", ["largest", "mean", "median"])
def test_scores_are_pyods(method, k):
    peer = pytest.importorskip("pyod.models.knn").KNN(n_neighbors=k, method=method).fit(X)
    ours = KNN(k, method=method).fit(X)
    np.testing.assert_allclose(ours.decision_scores_, peer.decision_scores_, rtol=1e-9)
    new = planted(seed=1)[0]
    np.testing.assert_allclose(ours.decision_function(new), peer.decision_function(new), rtol=1e-9)


def test_new_rows_equal_to_training_rows_leave_them_out():
    """PyOD counts the training row itself and so scores it lower the second time."""
    detector = KNN().fit(X)
    np.testing.assert_array_equal(detector.decision_function(X), detector.decision_scores_)


@pytest.mark.parametrize("method", ["largest", "mean", "median"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev"])
def test_contributions_are_the_parts_of_the_distances(method, metric):
    train = np.vstack([np.zeros((5, 3)), np.ones((1, 3))])
    detector = KNN(4, method=method, metric=metric).fit(train)
    why = detector.explain([[3.0, 0.0, -4.0]])
    score = {"euclidean": 5.0, "manhattan": 7.0, "chebyshev": 4.0}[metric]
    parts = {"euclidean": [9 / 25, 0, 16 / 25], "manhattan": [3 / 7, 0, 4 / 7],
             "chebyshev": [0, 0, 1]}[metric]  # fmt: skip
    np.testing.assert_allclose(why.values[0], score * np.array(parts))
    np.testing.assert_allclose(why.total, score)


@pytest.mark.parametrize(
    "params", [{"method": "mean"}, {"metric": "manhattan"}, {"algorithm": "approximate"}], ids=str
)
def test_conformance(params):
    check_detector(KNN(**params))


def test_the_approximate_form_ranks_as_the_exact_one():
    rng = np.random.default_rng(0)
    many = rng.normal(size=(20, 5))[rng.integers(0, 20, 6000)] * 4 + rng.normal(size=(6000, 5))
    many[:20] = 12 * rng.normal(size=(20, 5))
    exact = KNN().fit(many).decision_scores_
    detector = KNN(algorithm="approximate").fit(many)
    assert 0.95 <= detector.recall_ < 1
    ours = detector.decision_scores_
    # A neighbour missed can only be replaced by one further away.
    assert (ours >= exact * (1 - 1e-12)).all()
    assert set(np.argsort(ours)[-15:]) <= set(np.argsort(exact)[-20:])
    np.testing.assert_array_equal(detector.decision_function(many), ours)
