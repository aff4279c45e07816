"""Gaussian: scikit-learn's Mahalanobis distances, singular covariances, terms of the columns."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance

from awry.detectors.tabular.gaussian import Gaussian, moments, whitening

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 5)) @ RNG.normal(size=(5, 5)) + [0.0, 10.0, -1e6, 0.0, 3.0]


def test_scores_are_scikit_learns_mahalanobis_distances():
    detector = Gaussian(reg_covar=1e-12).fit(X)
    peer = EmpiricalCovariance().fit(X)
    new = X * 1.1 + 0.3
    np.testing.assert_allclose(detector.decision_scores_, peer.mahalanobis(X), rtol=1e-6)
    np.testing.assert_allclose(detector.decision_function(new), peer.mahalanobis(new), rtol=1e-6)
    np.testing.assert_allclose(detector.covariance_, peer.covariance_, rtol=1e-9)


def test_moments_over_many_blocks():
    Z = RNG.normal(size=(40_000, 3)) @ RNG.normal(size=(3, 3)) + 100
    mean, covariance = moments(Z)
    np.testing.assert_allclose(mean, Z.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(Z.T, bias=True))


def test_whitening_of_columns_of_very_different_scales():
    scale = np.array([1e-9, 1.0, 1e9])
    covariance = np.cov(RNG.normal(size=(3, 50))) * np.outer(scale, scale)
    W = whitening(covariance)
    np.testing.assert_allclose(W.T @ covariance @ W, np.eye(3), atol=1e-12)


def test_contributions_name_the_planted_columns():
    odd = X[:2].copy()
    odd[0, 1] += 60
    odd[1, 4] -= 60
    why = Gaussian().fit(X).explain(odd)
    np.testing.assert_allclose(why.values.sum(axis=1), why.total, rtol=1e-9)
    assert why.values.argmax(axis=1).tolist() == [1, 4]
    assert (why.base == 0).all()


@pytest.mark.parametrize("column", ["constant", "copy", "sum"])
def test_singular_covariance_makes_no_row_odd_that_keeps_the_relation(column):
    extra = {"constant": np.full(400, 1e7), "copy": X[:, 0], "sum": X[:, 0] + X[:, 1]}[column]
    Z = np.column_stack([X, extra])
    detector = Gaussian().fit(Z)
    assert detector.decision_scores_.max() < 40
    broken = Z[:1].copy()
    broken[0, 5] += 1e3
    assert detector.decision_function(broken)[0] > 1e4
    if column == "constant":
        assert detector.explain(broken).top(1)[0][0][0] == "x5"


def test_more_columns_than_rows():
    Z = RNG.normal(size=(10, 30))
    detector = Gaussian().fit(Z)
    assert detector.decision_scores_.max() < 10
    assert detector.decision_function(Z + 3).min() > 1e5
