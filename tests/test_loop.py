"""LoOP against its definition, and what makes it a probability."""

from __future__ import annotations

import math

import numpy as np
import pytest

import oracles
from awry.checks import planted
from awry.detectors.tabular.loop import LoOP

X = planted(n=150)[0]


def by_definition(train, Q, k, extent):
    def standard(q):
        return extent * math.sqrt(np.mean(oracles.neighbors(train, q, k)[0] ** 2))

    def plof(q):
        near = oracles.neighbors(train, q, k)[1]
        return standard(q) / np.mean([standard(o) for o in train[near]]) - 1

    scale = extent * math.sqrt(np.mean([plof(x) ** 2 for x in train]))
    return [max(0.0, math.erf(plof(q) / (scale * math.sqrt(2)))) for q in Q]


@pytest.mark.parametrize("extent", [1.0, 3.0])
def test_scores_are_the_papers(extent):
    detector = LoOP(7, extent=extent).fit(X)
    truth = by_definition(X, X, 7, extent)
    np.testing.assert_allclose(detector.decision_scores_, truth, rtol=1e-9, atol=1e-12)
    new = planted(n=10, seed=1)[0]
    np.testing.assert_allclose(
        detector.decision_function(new), by_definition(X, new, 7, extent), rtol=1e-9, atol=1e-12
    )


def test_rows_that_coincide():
    rng = np.random.default_rng(0)
    rows = np.vstack([np.ones((40, 2)), rng.normal(size=(60, 2)), [[1.0, 1.01]]])
    scores = LoOP(10).fit(rows).decision_scores_
    assert (scores[:40] == 0).all()
    assert scores[-1] == 1
    assert ((scores >= 0) & (scores <= 1)).all()
    assert not LoOP().fit(np.ones((30, 2))).decision_scores_.any()
