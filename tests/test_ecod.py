"""ECOD: PyOD's formula with ties and without skew; new rows judged by the training data alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import skew

import oracles
from awry.checks import check_detector
from awry.detectors.tabular.ecod import ECOD

RNG = np.random.default_rng(0)
TABLES = {
    "normal": RNG.normal(size=(500, 4)),
    "ties": RNG.integers(0, 5, (500, 4)).astype(float),
    "skewed": RNG.lognormal(size=(500, 3)) * [1, -1, 100],
    "no skew": np.column_stack([np.tile([-2.0, -1, 0, 1, 2], 60), np.full(300, 7.0)]),
}


def _expected(train, X):
    signs = np.sign(np.nan_to_num([skew(c) if np.ptp(c) else 0.0 for c in train.T]))
    columns = zip(train.T, X.T, signs, strict=True)
    return sum(oracles.tails(t, x, sign, copula=False) for t, x, sign in columns)


def test_conformance_of_other_settings():
    check_detector(ECOD(n_jobs=2))


@pytest.mark.parametrize("name", TABLES)
def test_scores_match_counting(name):
    X = TABLES[name]
    detector = ECOD().fit(X)
    np.testing.assert_allclose(detector.decision_scores_, _expected(X, X), rtol=1e-9)
    new = X[RNG.permutation(len(X))[:100]] + RNG.normal(size=(100, X.shape[1]))
    np.testing.assert_allclose(detector.decision_function(new), _expected(X, new), rtol=1e-9)


@pytest.mark.parametrize("name", TABLES)
def test_training_scores_few_rows_and_many_are_the_same_to_the_bit(name):
    X = TABLES[name]
    detector = ECOD().fit(X)
    np.testing.assert_array_equal(detector.decision_function(X), detector.decision_scores_)
    few = np.concatenate([detector.decision_function(part) for part in np.array_split(X, 50)])
    np.testing.assert_array_equal(few, detector.decision_scores_)
    assert detector.score_one(X[3]) == detector.decision_scores_[3]
    np.testing.assert_array_equal(ECOD(n_jobs=3).fit(X).decision_scores_, few)


def test_only_ranks_matter():
    X = TABLES["skewed"][:, :1]
    stretched = np.sinh(X)  # keeps the order and the sign of the skew
    np.testing.assert_array_equal(
        ECOD().fit(X).decision_scores_, ECOD().fit(stretched).decision_scores_
    )


def test_rows_beyond_the_training_range_score_above_all_training_rows():
    X = TABLES["normal"]
    detector = ECOD().fit(X)
    far = np.array([[1e9] * 4, [-1e9] * 4])
    np.testing.assert_allclose(detector.decision_function(far), 4 * np.log(501))
    assert 4 * np.log(501) > detector.decision_scores_.max()


def test_contributions_are_the_tails_of_the_columns():
    X = TABLES["normal"]
    why = ECOD().fit(X).explain(X[:5])
    alone = [ECOD().fit(X[:, [j]]).decision_scores_[:5] for j in range(4)]
    np.testing.assert_allclose(why.values, np.column_stack(alone))
