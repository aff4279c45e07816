"""GMM: scikit-learn's densities and fit, the number of components, responsibilities."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from awry.checks import check_detector
from awry.detectors.tabular.gmm import GMM

RNG = np.random.default_rng(0)
TYPES = ["full", "tied", "diag", "spherical"]
X = np.vstack([RNG.normal(c, 1, (200, 2)) for c in (0, 8, -8)]) * [1.0, 50.0]
X[:200, 1] += 30 * X[:200, 0]


@pytest.mark.parametrize("covariance_type", ["diag", "tied"])
def test_conformance_of_other_settings(covariance_type):
    check_detector(GMM(n_components=2, covariance_type=covariance_type))


@pytest.mark.parametrize("covariance_type", TYPES)
def test_scores_are_scikit_learns_log_density(covariance_type):
    detector = GMM(n_components=3, covariance_type=covariance_type, random_state=0).fit(X)
    peer = GaussianMixture(3)
    peer.weights_, peer.means_ = detector.weights_, detector.means_
    peer.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(detector.covariances_))
    new = X * 1.2 + 1
    np.testing.assert_allclose(-detector.decision_function(new), peer.score_samples(new), rtol=1e-9)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_fit_is_as_likely_as_scikit_learns(covariance_type):
    settings = {
        "covariance_type": covariance_type,
        "n_init": 3,
        "random_state": 0,
        "reg_covar": 1e-6,
    }
    detector = GMM(n_components=3, **settings).fit(X)
    scale = X.std(axis=0)
    peer = GaussianMixture(3, **settings).fit((X - X.mean(axis=0)) / scale)
    theirs = peer.score((X - X.mean(axis=0)) / scale) - np.log(scale).sum()
    assert -detector.decision_scores_.mean() == pytest.approx(theirs, abs=0.01)
    assert detector.converged_


def test_number_of_components_is_that_of_the_clusters():
    assert GMM(random_state=0).fit(X).n_components_ == 3
    assert GMM(random_state=0).fit(X[:200]).n_components_ == 1
    assert GMM(n_components=5, random_state=0).fit(X).n_components_ == 5
    assert GMM(n_components=5, random_state=0).fit(X[:3]).n_components_ == 3


def test_density_integrates_to_one():
    x = np.concatenate([RNG.normal(0, 1, 100), RNG.normal(20, 3, 100)])[:, None]
    grid = np.linspace(-100, 150, 50_001)[:, None]
    density = np.exp(-GMM(random_state=0).fit(x).decision_function(grid))
    assert density.sum() * (grid[1, 0] - grid[0, 0]) == pytest.approx(1, abs=1e-6)


def test_row_between_clusters_is_odd_though_ordinary_in_each_column():
    Z = np.vstack([RNG.normal(c, 1, (300, 2)) for c in ([0, 0], [12, 12])])
    Z[5] = [0.0, 12.0]
    assert GMM(random_state=0).fit(Z).decision_scores_.argmax() == 5


def test_contributions_are_relative_to_the_responsible_cluster():
    odd = np.array([[8.0, 8 * 50.0 + 900], [-16.0, -8 * 50.0]])
    why = GMM(random_state=0).fit(X).explain(odd)
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total)
    assert why.values.argmax(axis=1).tolist() == [1, 0]
    # What is left for the base is a density at a mean: no row at a mean scores lower.
    assert np.ptp(why.base) < 5


def test_learns_from_some_of_many_rows():
    Z = np.repeat(X, 20, axis=0) + RNG.normal(size=(12_000, 2))
    whole, part = (GMM(max_samples=m, n_components=3, random_state=0).fit(Z) for m in (None, 2000))
    assert np.corrcoef(whole.decision_scores_, part.decision_scores_)[0, 1] > 0.99
