"""ABOD against its definition and PyOD's ranks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

import oracles
from awry.checks import planted
from awry.detectors.tabular.abod import ABOD

X = planted(n=60)[0]


def factor(train, q, k):
    return oracles.angle_variance(q, train[oracles.neighbors(train, q, k)[1]])


@pytest.mark.parametrize(("params", "k"), [({"n_neighbors": 6}, 6), ({"method": "default"}, 67)])
def test_scores_are_the_papers(params, k):
    detector = ABOD(**params).fit(X)
    new = planted(n=5, seed=1)[0]
    truth = [-np.log(factor(X, q, k)) for q in X[::6]]
    np.testing.assert_allclose(detector.decision_scores_[::6], truth, rtol=1e-8)
    k += params.get("method") == "default"  # a new row has all training rows for neighbours
    near = [-np.log(factor(X, q, k)) for q in new]
    if "method" not in params:
        np.testing.assert_allclose(detector.decision_function(new), near, rtol=1e-8)
    else:
        assert spearmanr(detector.decision_function(new), near)[0] > 0.99


def test_ranks_are_near_pyods():
    """PyOD's variance is not weighted, so its scores differ but not what stands out."""
    peer = pytest.importorskip("pyod.models.abod").ABOD(n_neighbors=10).fit(X)
    ours = ABOD(10).fit(X).decision_scores_
    assert spearmanr(ours, peer.decision_scores_)[0] > 0.95
    assert set(np.argsort(ours)[-8:]) == set(range(60, 68))


def test_rows_that_coincide_count_once():
    heaps = np.vstack([X, np.tile(X[:3], (20, 1))])
    ours = ABOD(6).fit(heaps).decision_scores_
    np.testing.assert_allclose(ours[: len(X)], ABOD(6).fit(X).decision_scores_, rtol=1e-9)
    assert np.isfinite(ABOD().fit(np.ones((30, 2))).decision_scores_).all()


@pytest.mark.parametrize("unit", [1e-60, 1e60])
def test_units_only_shift_the_scores(unit):
    plain, other = (ABOD(6).fit(rows).decision_scores_ for rows in (X, X * unit))
    np.testing.assert_allclose(other - plain, 4 * np.log(unit), rtol=1e-9)
