"""COF against its definition, PyOD where that follows it, and the paper's picture."""

from __future__ import annotations

import numpy as np
import pytest

import oracles
from awry.checks import planted
from awry.detectors.tabular.cof import COF
from awry.detectors.tabular.lof import LOF

X = planted(n=150)[0]


def by_definition(train, q, k):
    near = oracles.neighbors(train, q, k)[1]
    own = oracles.chaining_distance(q, train[near])
    others = [
        oracles.chaining_distance(train[o], train[oracles.neighbors(train, train[o], k)[1]])
        for o in near
    ]
    return own / np.mean(others)


def test_scores_are_the_papers():
    detector = COF(6).fit(X)
    new = planted(n=10, seed=1)[0]
    np.testing.assert_allclose(
        detector.decision_scores_, [by_definition(X, q, 6) for q in X], rtol=1e-8
    )
    np.testing.assert_allclose(
        detector.decision_function(new), [by_definition(X, q, 6) for q in new], rtol=1e-8
    )


def test_scores_are_near_pyods_where_the_chain_is_short():
    peer = pytest.importorskip("pyod.models.cof").COF(n_neighbors=2).fit(X)
    assert np.corrcoef(COF(2).fit(X).decision_scores_, peer.decision_scores_)[0, 1] > 0.99


def test_one_neighbour():
    gaps = [oracles.neighbors(X, q, 1) for q in X]
    truth = [gap / gaps[near][0][0] for (gap,), (near,) in gaps]
    np.testing.assert_allclose(COF(1).fit(X).decision_scores_, truth, rtol=1e-8)


def test_sees_what_leaves_a_thin_line():
    """As in the paper's figure 1: beside a line of low density LOF sees nothing, COF does."""
    line = np.column_stack(
        [np.linspace(0, 100, 200), np.random.default_rng(0).normal(0, 0.02, 200)]
    )
    field = np.stack(np.meshgrid(np.linspace(40, 60, 20), np.linspace(50, 70, 20)), axis=-1)
    rows = np.vstack([line, field.reshape(-1, 2), [[30.0, 2.0]]])
    ours, lof = COF(20).fit(rows).decision_scores_, LOF(20).fit(rows).decision_scores_
    assert ours[600] > 1.2 > 1.01 > ours[:600].max()
    assert lof[600] < 1.01 < lof[:600].max()


def test_rows_that_coincide():
    rows = np.vstack([np.ones((40, 2)), np.random.default_rng(0).normal(size=(60, 2))])
    scores = COF(10).fit(rows).decision_scores_
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[:40], 1.0)
