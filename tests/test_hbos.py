"""HBOS: PyOD's formula by numpy's histogram and digitize, relative heights, values outside."""

from __future__ import annotations

import numpy as np
import pytest

import oracles
from awry.checks import check_detector
from awry.detectors.tabular.hbos import HBOS

RNG = np.random.default_rng(0)
TABLES = {
    "normal": RNG.normal(size=(500, 4)) * [1, 10, 0.1, 1],
    "integers": RNG.integers(0, 11, (500, 3)).astype(float),
    "with a constant": np.column_stack([RNG.normal(size=500), np.full(500, 3.0)]),
}


def _pyod(train, X, n_bins=10, alpha=0.1, tol=0.5):
    """PyOD's scores, after its source, one value at a time."""
    scores = np.zeros(len(X))
    for t, x in zip(train.T, X.T, strict=True):
        heights, edges = np.histogram(t, n_bins, density=True)
        table, width = np.log2(heights + alpha), edges[1] - edges[0]
        for i, (value, k) in enumerate(zip(x, np.digitize(x, edges, right=True), strict=True)):
            if k == 0:
                scores[i] -= table[0] if edges[0] - value <= tol * width else table.min()
            elif k == n_bins + 1:
                scores[i] -= table[-1] if value - edges[-1] <= tol * width else table.min()
            else:
                scores[i] -= table[k - 1]
    return scores


def test_conformance_of_other_settings():
    check_detector(HBOS(n_bins="auto"))
    check_detector(HBOS(heights="relative"))


@pytest.mark.parametrize("params", [{}, {"n_bins": 7, "alpha": 0.5, "tol": 0.1}])
@pytest.mark.parametrize("name", TABLES)
def test_scores_are_pyods(name, params):
    X = TABLES[name]
    detector = HBOS(**params).fit(X)
    np.testing.assert_allclose(detector.decision_scores_, _pyod(X, X, **params), rtol=1e-9)
    new = X * 1.3
    np.testing.assert_allclose(detector.decision_function(new), _pyod(X, new, **params), rtol=1e-9)


def test_relative_heights_do_not_depend_on_units():
    X = TABLES["normal"]
    scores = HBOS(heights="relative").fit(X).decision_scores_
    rescaled = HBOS(heights="relative").fit(X * [1e-6, 1, 1e6, -3] + [0, 5, 0, 2]).decision_scores_
    np.testing.assert_allclose(rescaled, scores, rtol=1e-9, atol=1e-9)
    even = HBOS(heights="relative").fit(np.linspace(0, 1, 10_000)[:, None]).hist_
    np.testing.assert_allclose(even, 1, rtol=1e-3)


def test_auto_takes_the_best_number_of_bins_of_each_column():
    X = np.column_stack([RNG.uniform(size=400), RNG.normal([-6.0] * 200 + [6.0] * 200, 0.3)])
    detector = HBOS(n_bins="auto").fit(X)
    most = int(400 / np.log(400))
    assert detector.n_bins_.tolist() == [oracles.best_bins(x, most) for x in X.T]
    assert detector.n_bins_[0] < detector.n_bins_[1]
    # The gap between the two modes is as rare as a value outside the histogram.
    gap, outside, mode = detector.decision_function([[0.5, 0.0], [0.5, 99.0], [0.5, 6.0]])
    assert gap == outside > mode


def test_contributions_are_the_bins_of_the_columns():
    X = TABLES["normal"]
    why = HBOS().fit(X).explain(X[:5])
    alone = [HBOS().fit(X[:, [j]]).decision_scores_[:5] for j in range(4)]
    np.testing.assert_allclose(why.values, np.column_stack(alone))
