"""LODA: the paper's formula on its own projections, bins outside, shares of the columns."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import oracles
from awry.checks import check_detector
from awry.detectors.tabular.loda import LODA

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 9)) @ RNG.normal(size=(9, 9))


def _dense(detector, d):
    weights = np.zeros((len(detector.features_), d))
    np.put_along_axis(weights, detector.features_, detector.weights_, axis=1)
    return weights


def test_conformance_of_other_settings():
    check_detector(LODA(n_bins="auto"))


def test_projections_weight_the_root_of_the_columns():
    detector = LODA(random_state=0).fit(X)
    dense = _dense(detector, 9)
    assert ((dense != 0).sum(axis=1) == 3).all()
    assert ((dense != 0).sum(axis=0) > 15).all()  # 33 of 100 on average
    assert abs(dense[dense != 0].std() - 1) < 0.15


@pytest.mark.parametrize("n_bins", [5, "auto"])
def test_scores_are_the_mean_negative_log_probability(n_bins):
    detector = LODA(n_bins=n_bins, random_state=0).fit(X)
    expected = np.zeros(len(X))
    for weights in _dense(detector, 9):
        along = X @ weights
        bins = n_bins if n_bins != "auto" else oracles.best_bins(along, int(600 / np.log(600)))
        counts, edges = np.histogram(along, bins)
        k = np.clip(np.digitize(along, edges) - 1, 0, bins - 1)
        expected -= np.log(counts[k] / 600) / 100
    # A row at the very edge of a bin may round to its other side: none or hardly any.
    close = np.isclose(detector.decision_scores_, expected, rtol=1e-9)
    assert close.mean() > 0.99


def test_values_outside_a_histogram_count_as_an_empty_bin():
    x = RNG.uniform(size=(500, 1))
    detector = LODA(n_bins=4, random_state=0).fit(x)
    far, near = detector.decision_function([[1e6], [-1e-3]])
    assert far == near == pytest.approx(-np.log(1e-12 / 500))
    assert detector.decision_scores_.max() < 2


def test_finds_a_broken_relation_between_columns_that_are_ordinary_alone():
    t = RNG.normal(size=2000)
    Z = np.column_stack([t, t, RNG.normal(size=2000), RNG.normal(size=2000)])
    Z += RNG.normal(0, 0.05, Z.shape)
    odd = np.column_stack([RNG.uniform(-2, 2, 30), RNG.uniform(-2, 2, 30), np.zeros((30, 2))])
    odd = odd[np.abs(odd[:, 0] - odd[:, 1]) > 1.5]
    scores = LODA(n_bins="auto", n_random_cuts=300, random_state=0).fit(Z).decision_function
    y = np.repeat([0, 1], [2000, len(odd)])
    assert roc_auc_score(y, np.append(scores(Z), scores(odd))) > 0.9


def test_explanations_name_two_planted_columns():
    row = X.mean(axis=0)
    row[[2, 6]] += 12 * X.std(axis=0)[[2, 6]]
    why = LODA(random_state=0).fit(X).explain(row[None])
    assert {name for name, _ in why.top(2)[0]} == {"x2", "x6"}
    np.testing.assert_allclose(why.values.sum(axis=1), why.total)
