"""MCD: scikit-learn's optimum or better, breakdown, consistency, singular tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.covariance import MinCovDet
from sklearn.metrics import roc_auc_score

from awry.detectors.tabular.mcd import MCD, Estimate, _concentrate, _estimate, fast_mcd

RNG = np.random.default_rng(0)


def clean(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normal rows (n, d) and their true covariance."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) + 2 * np.eye(d)
    return rng.normal(size=(n, d)) @ mix.T, mix @ mix.T


@pytest.mark.parametrize(("n", "d"), [(150, 3), (1500, 6)])
def test_finds_a_determinant_no_larger_than_scikit_learns(n, d):
    X, _ = clean(n, d)
    X[: n // 5] += 12
    peer = MinCovDet(random_state=0).fit(X)
    rows = X[peer.raw_support_]
    theirs = np.linalg.slogdet(np.cov(rows.T, bias=True))[1]
    ours = fast_mcd(X, len(rows) / n, 1e-12 * np.eye(d), np.random.default_rng(0))
    # Both end in one of many local optima; being within 1 % of the determinant is level.
    assert ours.log_det <= theirs + 0.01


def test_every_step_lowers_the_determinant_until_none_can():
    Z, _ = clean(300, 4)
    Z[:90] += 30
    ridge = 1e-4 * np.eye(4)
    estimate = _estimate(Z[RNG.choice(300, 5, replace=False)], ridge)
    estimate = _concentrate(Z, estimate, 200, ridge, 1)
    dets = []
    for _ in range(30):
        estimate = _concentrate(Z, estimate, 200, ridge, 1)
        dets.append(estimate.log_det)
    assert (np.diff(dets) <= 1e-12).all()
    assert dets[0] > dets[-1] == dets[-2]
    done = _concentrate(Z, Estimate(*estimate), 200, ridge, 100)
    assert done.log_det == dets[-1]


@pytest.mark.parametrize(("n", "d"), [(120, 2), (400, 8), (1500, 20)])
@pytest.mark.parametrize("distance", [40.0, 1e6])
def test_thirty_percent_far_off_do_not_break_it(n, d, distance):
    X, truth = clean(n, d)
    odd = np.arange(n) < 0.3 * n
    X[odd] += distance * np.linalg.cholesky(truth)[:, 0]
    detector = MCD(random_state=0).fit(X)
    assert roc_auc_score(odd, detector.decision_scores_) == 1
    distances = detector.location_ @ np.linalg.solve(truth, detector.location_)
    assert distances < 20 * d / n
    spectrum = np.linalg.eigvals(np.linalg.solve(truth, detector.covariance_)).real
    assert spectrum.min() > 0.4
    assert spectrum.max() < 2.5


def test_estimates_are_consistent_for_normal_data():
    X, truth = clean(20_000, 4)
    detector = MCD(random_state=0).fit(X)
    for covariance in (detector.covariance_, detector.raw_covariance_):
        np.testing.assert_allclose(np.linalg.solve(truth, covariance), np.eye(4), atol=0.06)
    quantiles = np.quantile(detector.decision_scores_, [0.1, 0.5, 0.9, 0.99])
    np.testing.assert_allclose(quantiles, chi2.ppf([0.1, 0.5, 0.9, 0.99], 4), rtol=0.05)


def test_ranks_clean_rows_as_scikit_learn_does():
    X, _ = clean(1000, 5)
    ours, peer = (
        MCD(support_fraction=0.6, random_state=0),
        MinCovDet(support_fraction=0.6, random_state=0),
    )
    scores = ours.fit(X).decision_scores_
    assert np.corrcoef(scores, peer.fit(X).dist_)[0, 1] > 0.999


def test_scores_do_not_depend_on_the_units_of_the_columns():
    X, _ = clean(500, 4)
    X[:100, 2] += 50
    expected = MCD(random_state=0).fit(X).decision_scores_
    units = np.array([1e-8, 1.0, 1e4, 1e8])
    other = MCD(random_state=0).fit(X * units + 3 * units).decision_scores_
    np.testing.assert_allclose(other, expected, rtol=1e-6)


def test_some_thousands_of_the_rows_are_enough_to_see_the_rest():
    X, _ = clean(20_000, 5)
    X[:3000] += 40
    whole, part = (MCD(max_samples=m, random_state=0).fit(X) for m in (None, 5000))
    np.testing.assert_allclose(part.location_, whole.location_, atol=0.2)
    assert np.corrcoef(part.decision_scores_, whole.decision_scores_)[0, 1] > 0.999


def test_contributions_name_the_planted_columns():
    X, _ = clean(500, 6)
    odd = X[:3].copy()
    odd[np.arange(3), [0, 3, 5]] += [90, -90, 90]
    why = MCD(random_state=0).fit(X).explain(odd)
    np.testing.assert_allclose(why.values.sum(axis=1), why.total, rtol=1e-9)
    assert why.values.argmax(axis=1).tolist() == [0, 3, 5]


def test_a_broken_collinear_relation_is_the_oddest_row():
    X, _ = clean(400, 3)
    Z = np.column_stack([X, X[:, 0] - X[:, 1], np.full(400, 5.0), X[:, 2]])
    Z[7, 3] += 2.0
    Z[8, 4] += 2.0
    scores = MCD(random_state=0).fit(Z).decision_scores_
    assert set(np.argsort(scores)[-2:]) == {7, 8}


def test_rare_values_of_discrete_columns_are_odd_but_bounded():
    rng = np.random.default_rng(1)
    Z = np.column_stack([rng.random(1000) < p for p in (0.5, 0.3, 0.01)]).astype(float)
    scores = MCD(random_state=0).fit(Z).decision_scores_
    rare = Z[:, 2] == 1
    assert scores[rare].min() > scores[~rare].max()
    assert scores.max() < 1e5


@pytest.mark.parametrize(("n", "d"), [(2, 3), (5, 40), (30, 20), (64, 64)])
def test_fewer_rows_than_twice_the_columns(n, d):
    X = np.random.default_rng(2).normal(size=(n, d))
    detector = MCD(random_state=0).fit(X)
    assert np.isfinite(detector.decision_scores_).all()
    assert detector.decision_function(X[:1] + 100)[0] > detector.decision_scores_.max()


def test_more_than_half_of_the_rows_equal():
    X, _ = clean(200, 3)
    X[:150] = X[0]
    scores = MCD(random_state=0).fit(X).decision_scores_
    assert scores[:150].max() < scores[150:].min()
