"""Why an ensemble calls rows odd: what is odd leads, what is usual does not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from awry import run
from awry.detectors.compose import Ensemble
from awry.detectors.tabular.knn import KNN
from awry.result import Reason


def payments(*, amounts: float | None = None, level: str | None = None) -> pa.Table:
    """Two thousand rows, the first ten of them with amounts, or a level, that no other has."""
    rng = np.random.default_rng(0)
    amount, hour = rng.gamma(4, 10, 2000), rng.integers(7, 22, 2000)
    kind = rng.choice(list("abc"), 2000)
    if amounts is not None:
        amount[:10], hour[:10] = amounts, 3
    if level is not None:
        kind[:10] = level
    return pa.table({"amount": amount.round(2), "hour": hour, "kind": kind})


def reasons(table: pa.Table, detector: str) -> list[list[Reason]]:
    return run.fit(table, detector=detector, random_state=0).reasons(table.slice(0, 10))


@pytest.mark.parametrize("detector", ["ensemble", "voting", "knn"])
def test_a_common_level_is_no_reason_for_odd_amounts(detector):
    for row in reasons(payments(amounts=1000.0), detector):
        assert row[0].column == "amount"
        assert sum(r.share for r in row if r.column == "kind") < 0.1


@pytest.mark.parametrize("detector", ["ensemble", "voting"])
def test_a_rare_level_leads(detector):
    for row in reasons(payments(level="z"), detector):
        assert row[0].column == "kind"


def test_contributions_add_up_to_the_score():
    X = np.vstack([np.random.default_rng(0).normal(size=(300, 4)), np.full((1, 4), 6.0)])
    why = Ensemble(["ecod", "knn", "pca"], random_state=0).fit(X).explain(X)
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total)


def test_a_member_compared_with_normal_rows_has_nothing_usual():
    X = np.random.default_rng(0).normal(size=(100, 3))
    ensemble = Ensemble(["ecod", "abod"], random_state=0).fit(X)
    tails, density = ensemble.usual_
    assert tails.min() > 0.3  # half of the rows are in the outer half of a column
    assert not density.any()


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev"])
def test_a_clump_is_told_apart_from_normal_rows_not_from_itself(metric):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    X[:8] = [0.0, 30.0, 0.0] + rng.normal(scale=3.0, size=(8, 3)) * [1, 0, 1]
    detector = KNN(metric=metric, contamination=0.016).fit(X)
    why = detector.explain(X[:8])
    assert detector.labels_[:8].all()
    assert (why.values.argmax(axis=1) == 1).all()
    np.testing.assert_allclose(why.values.sum(axis=1), why.total)
