"""PCA: PyOD's formula, Mahalanobis distance, robust against planted anomalies, null components."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn import decomposition
from sklearn.preprocessing import StandardScaler

from awry.checks import check_detector
from awry.core.params import ParameterError
from awry.detectors.tabular.pca import PCA

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(6, 6))
X = RNG.normal(size=(400, 6)) @ MIX * [1, 10, 100, 1, 0.1, 1] + 5


def _pyod(X, n_components=None, n_selected_components=None, weighted=True):
    """PyOD's scores, after its source."""
    Z = StandardScaler().fit_transform(X)
    pca = decomposition.PCA(n_components).fit(Z)
    count = n_selected_components or pca.n_components_
    weights = pca.explained_variance_ratio_ if weighted else np.ones(pca.n_components_)
    return (cdist(Z, pca.components_[-count:]) / weights[-count:]).sum(axis=1)


def test_conformance_of_other_settings():
    check_detector(PCA(metric="mahalanobis"))
    check_detector(PCA(metric="mahalanobis", robust=True))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"weighted": False},
        {"n_components": 3},
        {"n_components": 0.8},
        {"n_components": 5, "n_selected_components": 2},
    ],
)
def test_scores_are_pyods(params):
    expected = _pyod(X, **params)
    np.testing.assert_allclose(PCA(**params).fit(X).decision_scores_, expected, rtol=1e-9)


def test_components_are_scikit_learns():
    detector = PCA(n_components=0.9).fit(X)
    expected = decomposition.PCA(0.9, svd_solver="full").fit(StandardScaler().fit_transform(X))
    np.testing.assert_allclose(detector.components_, expected.components_, atol=1e-9)
    ratio = detector.explained_variance_ratio_
    np.testing.assert_allclose(ratio, expected.explained_variance_ratio_, rtol=1e-9)


@pytest.mark.parametrize("standardization", [True, False])
def test_all_components_by_variance_make_the_mahalanobis_distance(standardization):
    centred = X - X.mean(axis=0)
    inverse = np.linalg.inv(np.cov(X.T, ddof=0))
    expected = np.einsum("ij,jk,ik->i", centred, inverse, centred)
    detector = PCA(metric="mahalanobis", standardization=standardization).fit(X)
    np.testing.assert_allclose(detector.decision_scores_, expected, rtol=1e-9)


def test_components_without_variance_do_not_drown_the_rest():
    Z = np.column_stack([X, X[:, 0] * 2, np.full(len(X), 3.0)])
    detector = PCA(metric="mahalanobis").fit(Z)
    assert len(detector.components_) == 6
    np.testing.assert_allclose(
        detector.decision_scores_, PCA(metric="mahalanobis").fit(X).decision_scores_, rtol=1e-6
    )


def test_robust_components_are_not_turned_by_anomalies():
    # One strong direction and a tenth of far anomalies across it.
    t = RNG.normal(size=(450, 1))
    Z = np.hstack([t, t]) + RNG.normal(0, 0.1, (450, 2))
    Z = np.vstack([Z, np.tile([6.0, -6.0], (50, 1)) + RNG.normal(0, 0.1, (50, 2))])
    plain = PCA(metric="mahalanobis").fit(Z)
    robust = PCA(metric="mahalanobis", robust=True).fit(Z)
    main = np.abs(robust.components_[0])
    np.testing.assert_allclose(main, np.sqrt([0.5, 0.5]), atol=0.05)
    plain_gap, robust_gap = (
        s[450:].min() / np.quantile(s[:450], 0.95)
        for s in (plain.decision_scores_, robust.decision_scores_)
    )
    assert plain_gap < 10
    assert robust_gap > 100


def test_robust_and_plain_agree_on_clean_normal_data():
    Z = RNG.normal(size=(20_000, 3)) @ np.array([[2, 0.4, 0], [0, 1, 0.3], [0, 0, 0.5]])
    plain = PCA(metric="mahalanobis").fit(Z).decision_scores_
    robust = PCA(metric="mahalanobis", robust=True).fit(Z).decision_scores_
    assert np.median(np.abs(robust / plain - 1)) < 0.05


def test_contributions_of_a_broken_relation_name_its_columns():
    t = RNG.normal(size=(500, 1))
    Z = np.hstack([t, t, RNG.normal(size=(500, 3))]) + RNG.normal(0, 0.05, (500, 5))
    why = PCA(metric="mahalanobis").fit(Z).explain([[1.0, -1.0, 0.1, 0.2, -0.1]])
    assert {name for name, _ in why.top(2)[0]} == {"x0", "x1"}


def test_too_many_components():
    with pytest.raises(ParameterError, match="n_selected_components must be at most the 6 columns"):
        PCA(n_selected_components=7).fit(X)
