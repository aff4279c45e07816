"""LOF against scikit-learn, and where many rows coincide."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor

from awry.checks import check_detector, planted
from awry.detectors.tabular.lof import LOF

X = planted()[0]


@pytest.mark.parametrize(
    "params",
    [{}, {"n_neighbors": 3}, {"metric": "manhattan"}, {"metric": "minkowski", "p": 3}],
    ids=str,
)
def test_scores_are_scikit_learns(params):
    ours = LOF(**params).fit(X)
    peer = LocalOutlierFactor(**{"n_neighbors": 20, **params}).fit(X)
    np.testing.assert_allclose(ours.decision_scores_, -peer.negative_outlier_factor_, rtol=1e-9)
    peer.set_params(novelty=True).fit(X)
    new = planted(seed=1)[0]
    np.testing.assert_allclose(ours.decision_function(new), -peer.score_samples(new), rtol=1e-9)


def test_a_uniform_line_scores_one():
    """Away from the ends every row has neighbours of its own density."""
    scores = LOF(4).fit(np.arange(60.0)[:, None]).decision_scores_
    np.testing.assert_allclose(scores[8:-8], 1.0, rtol=1e-8)


def test_rows_that_coincide():
    rng = np.random.default_rng(0)
    heap = np.tile([[1.0, 2.0]], (30, 1))
    rows = np.vstack([heap, rng.normal(size=(100, 2)), [[1.001, 2.0]]])
    detector = LOF(10).fit(rows)
    assert np.isfinite(detector.decision_scores_).all()
    np.testing.assert_allclose(detector.decision_scores_[:30], 1.0)
    assert detector.decision_scores_[-1] > 1e3
    np.testing.assert_array_equal(detector.decision_function(rows), detector.decision_scores_)
    # The floor is in proportion to the data, so units do not matter even here.
    other = LOF(10).fit(rows * 2.0**-40).decision_scores_
    np.testing.assert_allclose(other, detector.decision_scores_, rtol=1e-9)


def test_only_rows_that_coincide():
    np.testing.assert_allclose(LOF().fit(np.ones((50, 2))).decision_scores_, 1.0)


def test_conformance_of_the_approximate_form():
    check_detector(LOF(algorithm="approximate"))
