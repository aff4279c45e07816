"""Isolation Forest."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as SklearnForest
from sklearn.metrics import roc_auc_score

from awry import io
from awry.checks import check_detector
from awry.core.errors import ModelError
from awry.core.params import ParameterError
from awry.detectors.tabular.isolation_forest import IsolationForest


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(5000, 6)), rng.normal(scale=2.5, size=(250, 6))])
    return X, np.repeat([0, 1], [5000, 250])


def test_it_keeps_the_promises_of_a_detector():
    check_detector(IsolationForest())
    check_detector(IsolationForest(n_estimators=60, max_samples=0.5, max_features=3, n_jobs=2))


def test_scores_follow_scikit_learns(table):
    X, y = table
    ours = IsolationForest(n_estimators=500, random_state=0).fit(X).decision_scores_
    theirs = -SklearnForest(n_estimators=500, random_state=0).fit(X).score_samples(X)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert abs(ours.mean() - theirs.mean()) < 0.01
    assert abs(roc_auc_score(y, ours) - roc_auc_score(y, theirs)) < 0.01


def test_one_row_large_batches_and_threads_agree_to_the_bit():
    X = np.random.default_rng(0).normal(size=(20_000, 6))
    detector = IsolationForest(random_state=0).fit(X)
    whole = detector.decision_function(X)
    assert [detector.score_one(x) for x in X[:50]] == whole[:50].tolist()
    assert np.array_equal(
        np.concatenate([detector.decision_function(p) for p in np.split(X, 5)]), whole
    )
    detector.set_params(n_jobs=2)
    assert np.array_equal(detector.decision_function(X), whole)


def test_fitting_again_forgets_the_forest_before(table):
    X, _ = table
    detector = IsolationForest(random_state=0).fit(X)
    again = detector.fit(X[:, :2] * 7).decision_scores_
    assert np.array_equal(again, IsolationForest(random_state=0).fit(X[:, :2] * 7).decision_scores_)


def test_the_mean_row_scores_near_a_half(table):
    # With two rows a tree, one split parts them: every path is as long as c(2) = 1.
    X, _ = table
    scores = IsolationForest(max_samples=2, random_state=0).fit(X).decision_scores_
    assert (scores == 0.5).all()


def test_contributions_name_every_planted_column():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 10))
    X[:40, 3] += 9.0
    X[:40, 7] -= 9.0
    detector = IsolationForest(random_state=0).fit(X)
    why = detector.explain(X[:40])
    top = np.sort(np.argsort(-why.values, axis=1)[:, :2], axis=1)
    assert (top == [3, 7]).all()
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), detector.decision_scores_[:40])


@pytest.mark.parametrize(
    ("max_samples", "rows"), [("auto", 256), (100, 100), (0.1, 525), (10**6, 5250), (1.0, 5250)]
)
def test_max_samples_is_a_number_a_share_or_256(table, max_samples, rows):
    detector = IsolationForest(n_estimators=3, max_samples=max_samples, random_state=0).fit(
        table[0]
    )
    c = detector.path_scale_ / 3
    assert c == pytest.approx(2 * (np.log(rows) + np.euler_gamma) - 2, abs=2 / rows)
    assert detector.forest_.height.max() <= np.ceil(np.log2(rows))


def test_bad_parameters_are_named():
    for params in (
        {"max_samples": 0},
        {"max_samples": 1.5},
        {"n_estimators": 0},
        {"max_features": 0},
    ):
        with pytest.raises(ParameterError, match=next(iter(params))):
            IsolationForest(**params).fit(np.eye(4))


@pytest.mark.parametrize("field", ["feature", "left", "roots", "height", "threshold"])
def test_a_model_whose_trees_lead_astray_is_refused(table, field):
    detector = IsolationForest(n_estimators=5, random_state=0).fit(table[0])
    array = getattr(detector.forest_, field).copy()
    array[1] = 10**6
    detector.forest_ = detector.forest_._replace(**{field: array})
    data = io.dumps(detector)
    if field == "threshold" and detector.forest_.left[1] != 1:
        return  # an inner node may hold any finite threshold
    with pytest.raises(ModelError, match="trees"):
        io.loads(data)
