"""NystroemOCSVM: the exact machine's ranking, and the optimum of its quadratic programme."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from awry.detectors.tabular.nystroem_ocsvm import (
    NystroemOCSVM,
    _gap,
    _project,
    one_class_dual,
)
from awry.detectors.tabular.ocsvm import OCSVM

RNG = np.random.default_rng(0)


def moons(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles (n, 2) with a tenth of the rows scattered over the plane, and which."""
    rng = np.random.default_rng(seed)
    angle, upper = rng.uniform(0, np.pi, n), rng.random(n) < 0.5
    X = np.column_stack([np.cos(angle) + ~upper, np.where(upper, 1, -1) * np.sin(angle)])
    X += rng.normal(0, 0.1, X.shape)
    odd = rng.random(n) < 0.1
    X[odd] = rng.uniform(-3, 4, (odd.sum(), 2))
    return X, odd


@pytest.mark.parametrize("nu", [0.1, 0.5])
def test_with_all_rows_as_landmarks_it_is_the_exact_machine(nu):
    X, _ = moons(400)
    exact = OCSVM(nu=nu, tol=1e-8).fit(X)
    other = NystroemOCSVM(nu=nu, tol=1e-8, random_state=0).fit(X)
    # The exact machine's dual weights sum to ν n, those here to 1.
    np.testing.assert_allclose(
        other.decision_scores_,
        exact.decision_scores_ / (nu * 400),
        atol=2e-3 * exact.offset_ / (nu * 400),
    )


# A small nu draws only the border: how rows rank well inside it hangs on few weights.
@pytest.mark.parametrize(("nu", "agreement"), [(0.1, 0.95), (0.5, 0.99)])
def test_a_few_landmarks_rank_rows_as_the_exact_machine(nu, agreement):
    X, odd = moons(3000)
    exact = OCSVM(nu=nu).fit(X).decision_scores_
    other = NystroemOCSVM(nu=nu, n_components=100, random_state=0).fit(X).decision_scores_
    assert abs(roc_auc_score(odd, exact) - roc_auc_score(odd, other)) < 0.01
    assert spearmanr(exact, other).statistic > 0.99


def test_dual_weights_are_optimal():
    features, nu = RNG.normal(1, 1, size=(30, 4)), 0.4
    cap = 1 / (nu * 30)
    weights = one_class_dual(features, nu, 1e-9, 3000)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    assert weights.max() <= cap + 1e-15
    best = minimize(
        lambda a: ((features.T @ a) ** 2).sum(),
        np.full(30, 1 / 30),
        jac=lambda a: 2 * features @ (features.T @ a),
        bounds=[(0, cap)] * 30,
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    reached = ((features.T @ weights) ** 2).sum()
    assert reached == pytest.approx(best.fun, rel=1e-6)
    # What the solver says is left to gain is at least what is.
    for steps in (1, 10, 50):
        rough = one_class_dual(features, nu, 1e-9, steps)
        value = ((features.T @ rough) ** 2).sum()
        assert _gap(features @ (features.T @ rough), rough, nu, cap) >= 1 - best.fun / value - 1e-9


def test_projection_is_the_nearest_point_of_the_set():
    values, cap = RNG.normal(size=50), 0.05
    nearest = _project(values, cap)
    assert nearest.sum() == pytest.approx(1)
    assert nearest.min() >= 0
    assert nearest.max() <= cap
    for _ in range(200):
        other = _project(RNG.normal(size=50), cap)
        # The set lies behind the plane through the nearest point.
        assert (values - nearest) @ (other - nearest) <= 1e-12


def test_all_weights_are_equal_when_no_row_may_stay_inside():
    assert _project(RNG.normal(size=10), 0.1) == pytest.approx(np.full(10, 0.1))
    X, _ = moons(100)
    detector = NystroemOCSVM(nu=1.0, random_state=0).fit(X)
    assert (detector.decision_scores_ > 1e-12).mean() > 0.98


@pytest.mark.parametrize("nu", [0.05, 0.3])
def test_nu_is_the_share_of_rows_outside(nu):
    X, _ = moons(2000)
    scores = NystroemOCSVM(nu=nu, random_state=0).fit(X).decision_scores_
    assert (scores > 0).mean() == pytest.approx(nu, abs=0.002)


def test_learns_from_some_of_many_rows():
    X, odd = moons(10_000)
    whole, part = (
        NystroemOCSVM(n_components=100, max_samples=m, random_state=0) for m in (None, 2000)
    )
    aurocs = [roc_auc_score(odd, d.fit(X).decision_scores_) for d in (whole, part)]
    assert aurocs[0] == pytest.approx(aurocs[1], abs=0.01)
    assert len(part.support_vectors_) == 100
    np.testing.assert_allclose(part.support_vectors_ * part.scale_ + part.center_, X[part.support_])


def test_repeated_landmarks_do_no_harm():
    X = np.repeat(moons(40)[0], 20, axis=0)
    exact, other = OCSVM().fit(X), NystroemOCSVM(random_state=0).fit(X)
    assert spearmanr(exact.decision_scores_, other.decision_scores_).statistic > 0.99
