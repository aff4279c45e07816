"""OCSVM: scikit-learn's decision function with every kernel, from plain arrays."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from awry.checks import check_detector
from awry.detectors.tabular.ocsvm import OCSVM

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)) @ RNG.normal(size=(4, 4)) + 1.0
NEW = RNG.normal(size=(80, 4)) * 3


def test_conformance_of_other_settings():
    check_detector(OCSVM(nu=0.1, gamma="auto"))


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly", "sigmoid"])
@pytest.mark.parametrize("standardize", [False, True])
def test_scores_are_scikit_learns_decision_function(kernel, standardize):
    settings = {"kernel": kernel, "nu": 0.3, "coef0": 0.5, "degree": 2}
    detector = OCSVM(standardize=standardize, **settings).fit(X)
    scaler = StandardScaler(with_mean=standardize, with_std=standardize).fit(X)
    peer = OneClassSVM(**settings).fit(scaler.transform(X))
    for rows in (X, NEW):
        expected = -peer.decision_function(scaler.transform(rows))
        np.testing.assert_allclose(detector.decision_function(rows), expected, atol=1e-3)


@pytest.mark.parametrize("gamma", ["scale", "auto", 0.7])
@pytest.mark.parametrize("standardize", [False, True])
def test_gamma_follows_scikit_learns_rules(gamma, standardize):
    Z = X * [1, 10, 0.1, 1]
    detector = OCSVM(gamma=gamma, standardize=standardize).fit(Z)
    scaled = StandardScaler().fit_transform(Z) if standardize else Z
    expected = {"scale": 1 / (4 * scaled.var()), "auto": 1 / 4}.get(gamma, gamma)
    assert detector.gamma_ == pytest.approx(expected)


def test_nu_bounds_the_rows_outside_and_the_support_vectors():
    for nu in (0.05, 0.5):
        detector = OCSVM(nu=nu, tol=1e-6).fit(X)
        assert (detector.decision_scores_ > 1e-4).mean() <= nu
        assert len(detector.support_) >= nu * len(X)
        np.testing.assert_allclose(
            detector.support_vectors_ * detector.scale_ + detector.center_, X[detector.support_]
        )


def test_one_wild_column_does_not_drown_the_others():
    Z = np.column_stack([X[:, 0] * 1e6, X[:, 1:]])
    np.testing.assert_allclose(
        OCSVM().fit(Z).decision_scores_, OCSVM().fit(X).decision_scores_, atol=1e-6
    )
