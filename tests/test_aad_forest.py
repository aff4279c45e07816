"""Active anomaly discovery: the solver, the weights, and what marks do to a forest and a fusion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

import oracles
from awry import io
from awry.detectors import AADForest, Ensemble, IsolationForest
from awry.detectors.discovery import reweigh
from awry.kernels.box import solve_box
from awry.kernels.trees import average_path_length, find_leaves, grow_forest


@pytest.fixture
def clumps():
    """A cloud, and two small clumps beside it: rows 400 to 414 are odd, 415 to 429 are not."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(430, 3))
    X[400:415] = rng.normal([4.5, 0, 0], 0.2, size=(15, 3))
    X[415:] = rng.normal([0, 4.5, 0], 0.2, size=(15, 3))
    return X


def test_leaves_are_where_the_paths_end():
    X = np.random.default_rng(0).normal(size=(60, 3))
    forest = grow_forest(
        X,
        lambda depth, count: depth + average_path_length(60)[count],
        np.random.default_rng(1),
        n_trees=5, n_rows=60, n_columns=3, max_depth=5,
    )  # fmt: skip
    found = find_leaves(X, forest.feature, forest.threshold, forest.left, forest.roots)
    for x, leaves in zip(X, found, strict=True):
        assert [path[-1] for path in oracles.tree_paths(forest, x)] == leaves.tolist()


def test_the_box_solver_finds_what_a_general_one_finds():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(8, 6))
    K, b, upper = A @ A.T, rng.normal(size=8), rng.uniform(0.1, 1.0, size=8)
    a = solve_box(K, b, upper, 1e-10, 100_000)
    other = minimize(
        lambda a: a @ K @ a / 2 - b @ a, np.zeros(8), jac=lambda a: K @ a - b,
        bounds=[(0, u) for u in upper], method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    assert (a >= 0).all()
    assert (a <= upper).all()
    assert a @ K @ a / 2 - b @ a <= other.fun + 1e-9


def loss(w, rows, y, prior_weights, cut, margin, prior):
    """Das et al. 2017, equation 1, written out, with a margin."""
    s = rows @ w
    odd = [max(0.0, cut + margin - one) for one, label in zip(s, y, strict=True) if label == 1]
    calm = [max(0.0, one - cut + margin) for one, label in zip(s, y, strict=True) if label == 0]
    means = sum(np.mean(part) for part in (odd, calm) if part)
    return means + prior / len(y) * np.sum((w - prior_weights) ** 2)


def test_weights_minimise_the_papers_loss():
    rng = np.random.default_rng(0)
    rows, y, before = rng.normal(size=(7, 4)), np.array([1, 0, 0, 1, 0, 1, 0]), np.full(4, 0.5)
    settings = {"cut": 0.3, "margin": 0.5, "prior": 0.5}
    w = reweigh(rows, y, before, settings["cut"], margin=0.5, prior=0.5)
    best = loss(w, rows, y, before, **settings)
    for _ in range(300):
        near = w + rng.normal(size=4) * 10 ** rng.uniform(-4, 0)
        assert best <= loss(near, rows, y, before, **settings) + 1e-9
    assert best < loss(before, rows, y, before, **settings)


def test_without_marks_scores_are_those_of_an_isolation_forest(clumps):
    forest = AADForest(random_state=3).fit(clumps)
    plain = IsolationForest(random_state=3).fit(clumps)
    np.testing.assert_array_equal(forest.decision_scores_, plain.decision_scores_)
    unjudged = AADForest(random_state=3).fit(clumps, np.full(len(clumps), -1))
    np.testing.assert_array_equal(unjudged.decision_scores_, plain.decision_scores_)


def test_rows_like_those_marked_follow_the_marks(clumps):
    forest = AADForest(random_state=0).fit(clumps)
    before = forest.decision_scores_
    forest.feedback(clumps[[400, 401, 415, 416]], [1, 1, 0, 0])
    scores = forest.decision_function(clumps)
    odd, calm = np.arange(402, 415), np.arange(417, 430)
    assert (scores[odd] > before[odd]).all()
    assert (scores[calm] < before[calm]).all()
    # Alike before, apart now.
    assert before[odd].min() < before[calm].max()
    assert scores[odd].min() > scores[calm].max()
    np.testing.assert_allclose(forest.decision_scores_, scores, rtol=1e-12)


def test_marks_count_alike_in_whatever_order_and_portions(clumps):
    marked, y = np.array([400, 415, 401, 7, 9]), np.array([1, 0, 1, 0, -1])
    once = AADForest(random_state=0).fit(clumps).feedback(clumps[marked], y)
    again = AADForest(random_state=0).fit(clumps)
    for row, label in zip(marked[::-1], y[::-1], strict=True):
        again.feedback(clumps[[row]], [label])
    at_once = np.full(len(clumps), -1)
    at_once[marked] = y
    fitted = AADForest(random_state=0).fit(clumps, at_once)
    for other in (again, fitted):
        np.testing.assert_allclose(
            other.decision_function(clumps), once.decision_function(clumps), rtol=1e-4
        )
    assert len(once.marks_) == 4


def test_a_re_weighted_forest_is_saved_and_learns_on(clumps, tmp_path):
    forest = AADForest(random_state=0).fit(clumps).feedback(clumps[[400, 415]], [1, 0])
    io.save(forest, tmp_path / "forest.awry")
    loaded = io.load(tmp_path / "forest.awry")
    for one in (forest, loaded):
        one.feedback(clumps[[401]], [1])
    np.testing.assert_array_equal(
        loaded.decision_function(clumps), forest.decision_function(clumps)
    )


def test_contributions_add_up_after_marks(clumps):
    forest = AADForest(random_state=0).fit(clumps).feedback(clumps[[400, 415]], [1, 0])
    why = forest.explain(clumps[395:])
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total, rtol=1e-9)
    assert [top[0][0] for top in why.top(1)[5:20]] == ["x0"] * 15


def test_a_few_marks_shift_the_voices_of_an_ensemble_and_many_more(clumps):
    members = ["isolation_forest", "ecod", "hbos"]
    ensemble = Ensemble(members, random_state=0).fit(clumps)
    views = ensemble._calibrated(ensemble._ask(clumps))
    # What the third member calls odd is confirmed, what the first does is not.
    order = np.argsort(views[:, 2] - views[:, 0])
    rows, y = np.r_[order[-20:], order[:20]], np.repeat([1, 0], 20)
    few = Ensemble(members, random_state=0).fit(clumps).feedback(clumps[rows[[0, 20]]], [1, 0])
    many = Ensemble(members, random_state=0).fit(clumps).feedback(clumps[rows], y)
    lean = [e.weights_[2] - e.weights_[0] for e in (ensemble, few, many)]
    assert lean[0] == 0 < lean[1] < lean[2]
    for one in (few, many):
        assert (one.weights_ >= 0).all()
        assert one.weights_.sum() == pytest.approx(1)
    np.testing.assert_allclose(few.decision_scores_, few.decision_function(clumps))
    assert not hasattr(Ensemble(members, method="maximum").fit(clumps), "feedback")
