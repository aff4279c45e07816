"""Tests of drift on batches: their statistics, their levels and their power."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

import oracles_drift as oracles
from awry.core.errors import DataError
from awry.drift import binned, mmd, multivariate, ordered
from awry.drift.base import adjust
from awry.drift.monitor import performance_drift, score_drift
from awry.kernels import drift as kernels

NUMBERS = [
    ordered.KolmogorovSmirnov, ordered.CramerVonMises, ordered.Wasserstein, ordered.Energy,
    binned.PSI, binned.KullbackLeibler, binned.JensenShannon,
]  # fmt: skip
LEVELS = [binned.ChiSquare, binned.GTest]
VALUES = st.lists(st.integers(-5, 5).map(float), min_size=5, max_size=30).map(np.array)


@given(VALUES, VALUES)
def test_distances_are_those_of_the_definitions_with_ties(a: np.ndarray, b: np.ndarray) -> None:
    found = kernels.compare_sorted(np.sort(a), np.sort(b))
    np.testing.assert_allclose(found[:4], oracles.distances(a, b), atol=1e-12)
    assert found[kernels.CROSS] == pytest.approx(np.abs(np.subtract.outer(a, b)).mean())


def test_statistics_and_p_values_are_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=300), rng.normal(0.2, 1, size=400)
    one = {cls: cls().fit(a).test(b) for cls in NUMBERS}
    theirs = stats.ks_2samp(a, b, method="asymp")
    mine = one[ordered.KolmogorovSmirnov]
    assert (mine.statistic[0], mine.p_value[0]) == pytest.approx((theirs.statistic, theirs.pvalue))
    small = ordered.KolmogorovSmirnov().fit(a[:40]).test(b[:30])
    assert small.p_value[0] == pytest.approx(stats.ks_2samp(a[:40], b[:30], method="exact").pvalue)
    cvm, mine = stats.cramervonmises_2samp(a, b, method="asymptotic"), one[ordered.CramerVonMises]
    assert (mine.statistic[0], mine.p_value[0]) == pytest.approx((cvm.statistic, cvm.pvalue))
    carried = stats.wasserstein_distance(a, b)
    assert one[ordered.Wasserstein].statistic[0] == pytest.approx(carried)
    assert one[ordered.Wasserstein].effect[0] == pytest.approx(carried / a.std())
    energy = stats.energy_distance(a, b) ** 2
    assert one[ordered.Energy].statistic[0] == pytest.approx(energy)


@pytest.mark.parametrize(
    ("cls", "kind"), [(binned.ChiSquare, "pearson"), (binned.GTest, "log-likelihood")]
)
def test_tables_of_counts_are_judged_as_by_scipy(cls: type, kind: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 300), rng.integers(0, 5, 200) ** 2 % 5
    table = np.stack([np.bincount(x, minlength=5) for x in (a, b)])
    table = table[:, table.sum(axis=0) * 0.4 >= 5]
    theirs = stats.chi2_contingency(table, correction=False, lambda_=kind)
    found = cls().fit(a).test(b)
    assert found.statistic[0] == pytest.approx(theirs.statistic)
    assert found.p_value[0] == pytest.approx(theirs.pvalue)


def test_divergences_of_known_shares() -> None:
    p, q = np.repeat([0.0, 1.0], [8000, 2000]), np.repeat([0.0, 1.0], [5000, 5000])
    found = {cls: cls(bins=None).fit(p).test(q).statistic[0] for cls in NUMBERS[4:]}
    assert found[binned.PSI] == pytest.approx(0.3 * np.log(4), rel=1e-3)
    assert found[binned.KullbackLeibler] == pytest.approx(0.5 * np.log(0.5 * 0.5 / 0.16), rel=1e-3)
    middle = stats.entropy([0.65, 0.35]) - (stats.entropy([0.8, 0.2]) + np.log(2)) / 2
    assert found[binned.JensenShannon] == pytest.approx(middle, rel=1e-3)


@pytest.mark.parametrize("cls", [*NUMBERS, *LEVELS])
def test_false_alarms_come_at_the_nominal_level(cls: type) -> None:
    """At 5 %, of 600 features without drift 30 are expected; 15 to 46 with 99.7 % certainty."""
    rng = np.random.default_rng(7)
    draw = (
        (lambda n: rng.integers(0, 6, (n, 600)))
        if cls in LEVELS
        else (lambda n: rng.gamma(2, size=(n, 600)))
    )
    test = cls(correction=None, min_effect=0.0).fit(draw(250))
    found = test.test(draw(200))
    assert 15 <= found.significant.sum() <= 46
    assert 0.4 < np.mean(found.p_value) < 0.6


@pytest.mark.parametrize("correction", ["bonferroni", "benjamini_hochberg"])
def test_corrections_bound_false_alarms_over_all_features(correction: str) -> None:
    rng = np.random.default_rng(0)
    test = ordered.KolmogorovSmirnov(correction=correction, min_effect=0.0)
    alarms = [
        bool(test.fit(rng.normal(size=(200, 30))).test(rng.normal(size=(200, 30))))
        for _ in range(30)
    ]
    assert sum(alarms) <= 5  # 1.5 expected at most; 6 or more once in 200


@pytest.mark.parametrize("cls", NUMBERS)
def test_the_features_that_moved_are_named_the_farthest_first(cls: type) -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(2000, 6)), rng.normal(size=(2000, 6))
    new[:, 2] += 1.5
    new[:, 4] += 0.8
    assert [name for name, _ in cls().fit(old).test(new).moved()] == ["x2", "x4"]


@pytest.mark.parametrize("cls", NUMBERS)
def test_many_rows_make_a_trifle_significant_but_not_material(cls: type) -> None:
    rng = np.random.default_rng(0)
    found = cls(max_samples=60_000) if cls in NUMBERS[2:4] else cls()
    drift = found.fit(rng.normal(size=60_000)).test(rng.normal(0.04, 1, size=60_000))
    assert drift.significant[0]
    assert not drift.drifted[0]


@pytest.mark.parametrize("cls", [*NUMBERS, *LEVELS])
def test_order_missing_values_and_odd_columns(cls: type) -> None:
    rng = np.random.default_rng(0)
    old, new = (
        rng.integers(0, 9, (200, 3)).astype(float),
        rng.integers(0, 9, (150, 3)).astype(float),
    )
    plain = cls().fit(old).test(new)
    holes = np.vstack([new, np.full((50, 3), np.nan)])
    found = cls().fit(rng.permuted(old, axis=0)).test(rng.permuted(holes, axis=0))
    np.testing.assert_allclose(found.statistic, plain.statistic)
    old[:, 0], new[:, 1] = 3.0, np.nan
    found = cls().fit(old).test(np.column_stack([np.full(150, 3.0), new[:, 1:]]))
    assert not found.drifted[:2].any()  # a constant that stayed, and nothing to go by
    with pytest.raises(DataError, match="3 features"):
        cls().fit(old).test(new[:, :2])


def test_a_test_reads_the_reference_once_alone() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(300, 4)), rng.normal(size=(300, 4))
    test = ordered.KolmogorovSmirnov().fit(old)
    before = test.test(new).p_value
    old[:] = 99.0
    np.testing.assert_array_equal(test.test(new).p_value, before)


def test_levels_met_for_the_first_time_are_no_drift_where_they_always_are() -> None:
    """A column of many rare levels always shows new ones; a new frequent one is drift."""
    rng = np.random.default_rng(0)
    old, new = (rng.zipf(1.3, 3000).clip(max=10**6).astype(float) for _ in range(2))
    test = binned.ChiSquare(min_effect=0.0).fit(old)
    assert not test.test(new)
    new[:300] = -1.0
    assert test.test(new)


def test_adjusted_p_values() -> None:
    p = np.array([0.04, 0.001, 0.03, 0.5])
    np.testing.assert_allclose(adjust(p, "bonferroni"), [0.16, 0.004, 0.12, 1])
    np.testing.assert_allclose(adjust(p, "benjamini_hochberg"), [0.16 / 3, 0.004, 0.16 / 3, 0.5])
    np.testing.assert_array_equal(adjust(p, None), p)


# -- all features at once -------------------------------------------------------------------------


def test_mmd_is_the_sum_over_pairs_and_so_is_every_permutation() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(12, 3)), rng.normal(0.3, 1, size=(9, 3))
    test = mmd.MMD(bandwidth=1.5, n_permutations=19).fit(X)
    assert test.test(Y).statistic == pytest.approx(oracles.mmd_squared(X, Y, 1.5), abs=1e-6)
    pooled = np.vstack([X, Y])
    dealt = np.zeros((21, 4), dtype=np.float32)
    orders = [rng.permutation(21) for _ in range(4)]
    for p, order in enumerate(orders):
        dealt[order[:12], p] = 1
    found, _ = mmd._discrepancies(test._kernel(pooled), dealt, 12)
    slow = [oracles.mmd_squared(pooled[o[:12]], pooled[o[12:]], 1.5) for o in orders]
    np.testing.assert_allclose(found, slow, atol=1e-6)


JOINT = [
    mmd.MMD(n_permutations=99, min_effect=0.0), mmd.LinearMMD(min_effect=0.0),
    multivariate.ClassifierTwoSample(classifier=LogisticRegression(), min_effect=0.0),
    multivariate.PCAReconstruction(min_effect=0.0),
]  # fmt: skip


@pytest.mark.parametrize("test", JOINT, ids=lambda t: type(t).__name__)
def test_joint_tests_keep_their_level(test: multivariate.JointTest) -> None:
    rng = np.random.default_rng(3)
    rounds = 60
    alarms = sum(
        test.fit(rng.normal(size=(100, 3))).test(rng.normal(size=(80, 3))).significant
        for _ in range(rounds)
    )
    assert alarms <= stats.binom.isf(0.002, rounds, 0.05)


TOGETHER = [JOINT[0], multivariate.ClassifierTwoSample(), JOINT[3]]


@pytest.mark.parametrize("test", TOGETHER, ids=lambda t: type(t).__name__)
def test_joint_tests_see_features_that_no_longer_move_together(
    test: multivariate.JointTest,
) -> None:
    rng = np.random.default_rng(0)
    old, new = (rng.normal(size=(600, 1)) + 0.2 * rng.normal(size=(600, 3)) for _ in range(2))
    test.fit(old)
    assert not test.test(new)
    found = test.test(rng.permuted(new, axis=0))
    assert found.drifted
    assert not found.by_feature.drifted.any()  # each by itself is as before


def test_linear_mmd_sees_a_shift_and_says_which_feature() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(20_000, 4)), rng.normal(size=(20_000, 4))
    new[:, 1] += 1.0
    found = mmd.LinearMMD().fit(old).test(new)
    assert found.drifted
    assert [name for name, _ in found.by_feature.moved()] == ["x1"]


def test_joint_tests_refuse_what_they_cannot_compare() -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(DataError, match="finite"):
        mmd.MMD().fit(np.where(X > 2, np.nan, X) * [1, np.nan])
    with pytest.raises(DataError, match="2 features"):
        mmd.MMD().fit(X).test(X[:, :1])
    with pytest.raises(ValueError, match="n_permutations"):
        mmd.MMD(n_permutations=3).fit(X)


# -- a detector in use ----------------------------------------------------------------------------


def test_score_drift_sees_the_tail_that_the_distribution_hides() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=5000), rng.normal(size=5000)
    assert not score_drift(old, new, threshold=3.0).drifted
    new[:200] = 4.0
    found = score_drift(old, new, threshold=3.0)
    assert found.gap < 0.1
    assert found.drifted
    assert found.flagged is not None
    assert found.flagged.now > found.flagged.before + 0.03


def test_score_drift_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    alarms = sum(
        score_drift(
            rng.normal(size=500),
            rng.normal(size=500),
            threshold=1.5,
            min_effect=0,
            min_rate_change=0,
        ).drifted
        for _ in range(200)
    )
    assert alarms <= 20  # 10 at most expected


def test_performance_drift_tells_what_became_worse_and_not_what_became_better() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.1
    good = np.where(truth, rng.random(2000) < 0.9, rng.random(2000) < 0.02)
    blind = np.where(truth, rng.random(2000) < 0.3, rng.random(2000) < 0.02)
    worse = {c.name: c for c in performance_drift(truth, good, truth, blind)}
    assert worse["recall"].drifted
    assert worse["recall"].now < 0.5 < worse["recall"].before
    assert not worse["false_alarms"].drifted
    assert not any(c.drifted for c in performance_drift(truth, blind, truth, good))
    nothing = performance_drift(truth, good, [], [])
    assert not any(c.drifted for c in nothing)
    with pytest.raises(DataError, match="each item needs both"):
        performance_drift(truth, good, truth, good[:5])
