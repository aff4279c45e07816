"""Thresholds: their formulas, the rates they state, and scores that are few, equal or tied."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from awry.core.params import ParameterError
from awry.core.tail import ScoreTail, fit_pareto, pareto_isf, pareto_sf
from awry.core.threshold import (
    MAD,
    POT,
    Adaptive,
    Cost,
    Fixed,
    GaussianTail,
    Levels,
    MaxF1,
    Quantile,
    SigmaRule,
    TargetFPR,
    Threshold,
    make_threshold,
)  # fmt: skip

SPECS = [
    0.1, "quantile:0.99", "sigma:3", "mad:3.5", "gaussian:0.001", "fpr:0.01", "feedback:0.01", "f1",
    "fbeta:2",
    "cost:1,50", "pot:0.001", "adaptive", "adaptive:0.005", "dynamic", "levels", "fixed:0.7",
]  # fmt: skip
#: Shapes the scores of detectors take: bounded, light, gamma, heavy, tied.
CLEAN = {
    "uniform": lambda rng, n: rng.random(n),
    "normal": lambda rng, n: rng.normal(size=n),
    "beta": lambda rng, n: rng.beta(2, 8, n),
    "gamma": lambda rng, n: rng.gamma(3, size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "t3": lambda rng, n: np.abs(rng.standard_t(3, n)),
    "counts": lambda rng, n: rng.poisson(4, n).astype(float),
}


# -- short forms ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (None, Adaptive()),
        (0.05, Quantile(0.05)),
        ("0.05", Quantile(0.05)),
        ("quantile:0.99", Quantile(0.01)),
        ("sigma:3", SigmaRule(3.0)),
        (" MAD:3.5 ", MAD(3.5)),
        ("gaussian:0.001", GaussianTail(0.001)),
        ("fpr:0.02", TargetFPR(0.02)),
        ("f1", MaxF1()),
        ("fbeta:2", MaxF1(2.0)),
        ("cost:1,50", Cost(1.0, 50.0)),
        ("pot:0.001", POT(0.001)),
        ("adaptive:0.005", Adaptive(0.005)),
        ("levels:0.05,0.01,0.001", Levels([0.05, 0.01, 0.001])),
        ("fixed:-2", Fixed(-2.0)),
    ],
)
def test_short_forms(spec, expected):
    made = make_threshold(spec)
    assert type(made) is type(expected)
    assert made.get_params() == expected.get_params()


@pytest.mark.parametrize("spec", ["best", "mad:x", "mad:1,2", "f1:2", "0.7", "nan", [], True, ""])
def test_unknown_forms_are_told_what_is_possible(spec):
    with pytest.raises(ValueError, match=r"\(0, 0.5\].*quantile, .*levels .*got"):
        make_threshold(spec)


@pytest.mark.parametrize("spec", [0, 0.6, 1, -0.1])
def test_contamination_out_of_range(spec):
    with pytest.raises(
        ValueError, match=rf"contamination must be a number in \(0, 0.5\], got {spec}"
    ):
        make_threshold(spec)


def test_parameters_out_of_range_are_named():
    with pytest.raises(ParameterError, match=r"MAD: k must be a number > 0.*got -1"):
        make_threshold("mad:-1")
    with pytest.raises(ValueError, match="three falling numbers"):
        Levels((0.1, 0.2, 0.3)).fit([1.0, 2.0])


def test_a_threshold_given_is_copied():
    rule = POT(0.01)
    made = make_threshold(rule)
    assert made is not rule
    assert made.get_params() == rule.get_params()


# -- what holds for all -----------------------------------------------------------------------

FEW = [[3.0], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0, 100.0], [5.0] * 40, [0.0] * 39 + [1.0],
       [0.0] * 20 + [1.0] * 20, np.arange(12.0), [1e-300, 2e-300, 3e-300], [-1e9, 1e9]]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("scores", FEW, ids=lambda s: f"n{len(s)}")
def test_few_equal_and_tied_scores_give_a_sound_result(spec, scores):
    scores = np.asarray(scores)
    y = None
    if make_threshold(spec).needs_labels:
        if len(scores) == 1:
            return
        y = (scores >= np.sort(scores)[-1]).astype(int)
        y[0] = 0
    rule = make_threshold(spec).fit(scores, y)
    assert np.isfinite(rule.threshold_)
    assert isinstance(rule.threshold_, float)
    assert rule.stated_rate_ is None or 0 < rule.stated_rate_ < 1
    assert rule.reason_
    flags = rule.predict(scores)
    assert (flags == (scores > rule.threshold_)).all()
    if spec not in ("fixed:0.7", "cost:1,50", "f1", "fbeta:2"):
        assert flags.mean() <= 0.5
        assert not flags[scores == scores.min()].any()


@pytest.mark.parametrize("spec", SPECS)
def test_refused_input(spec):
    rule = make_threshold(spec)
    y = [0, 1, 1]
    with pytest.raises(ValueError, match="finite, got nan at position 1"):
        rule.fit([1.0, np.nan, 2.0], y)
    with pytest.raises(ValueError, match="finite, got inf at position 0"):
        rule.fit([np.inf, 1.0, 2.0], y)
    with pytest.raises(ValueError, match="non-empty vector"):
        rule.fit([], [])
    with pytest.raises(ValueError, match="3 labels for 2 rows"):
        rule.fit([1.0, 2.0], y)
    with pytest.raises(ValueError, match="1 NaN"):
        rule.fit([1.0, 2.0, 3.0], y).predict([1.0, np.nan])


@pytest.mark.parametrize("spec", [s for s in SPECS if s not in ("fixed:0.7", "dynamic")])
@pytest.mark.parametrize("kind", ["normal", "lognormal"])
def test_decisions_do_not_depend_on_shift_and_scale(spec, kind):
    rng = np.random.default_rng(0)
    scores = np.r_[CLEAN[kind](rng, 600), rng.normal(30, 3, 60)]
    y = np.repeat([0, 1], [600, 60])
    there = make_threshold(spec).fit(scores, y).predict(scores)
    for shift, scale in ((5.0, 1e-3), (-700.0, 1e4)):
        moved = scores * scale + shift
        assert (make_threshold(spec).fit(moved, y).predict(moved) == there).all()


def test_order_does_not_matter():
    scores = np.random.default_rng(0).gamma(2, size=500)
    for spec in SPECS:
        y = (scores > 5).astype(int)
        there = make_threshold(spec).fit(scores, y).threshold_
        assert make_threshold(spec).fit(scores[::-1], y[::-1]).threshold_ == pytest.approx(there)


def test_what_is_fitted_is_plain():
    for spec in SPECS:
        rule = make_threshold(spec).fit([1.0, 2.0, 3.0, 9.0] * 20, [0, 0, 0, 1] * 20)
        for name, value in vars(rule).items():
            assert isinstance(value, (float, str, np.ndarray, type(None), tuple)), name


# -- formulas ---------------------------------------------------------------------------------


def test_quantile_is_pyods():
    base = pytest.importorskip("pyod.models.base")

    class Given(base.BaseDetector):
        def __init__(self, contamination):
            super().__init__(contamination=contamination)

        def fit(self, X, y=None):
            self.decision_scores_ = X
            self._process_decision_scores()
            return self

        def decision_function(self, X):
            return X

    rng = np.random.default_rng(0)
    for n in range(1, 60):
        contamination = float(rng.uniform(0.01, 0.5))
        scores = rng.integers(0, 20, n).astype(float)
        theirs, ours = Given(contamination).fit(scores), Quantile(contamination).fit(scores)
        assert ours.threshold_ == theirs.threshold_
        assert ours.predict(scores).tolist() == theirs.labels_.tolist()


def test_moments():
    scores = np.random.default_rng(0).normal(3, 2, 400)
    mean, std = scores.mean(), scores.std()
    assert SigmaRule(2.5).fit(scores).threshold_ == pytest.approx(mean + 2.5 * std)
    tail = GaussianTail(0.01).fit(scores).threshold_
    assert tail == pytest.approx(stats.norm.isf(0.01, *stats.norm.fit(scores)))


def test_mad_and_its_fall_back():
    scores = np.r_[np.arange(11.0), 1000.0]
    spread = 1.4826 * np.median(np.abs(scores - np.median(scores)))
    assert MAD(3.0).fit(scores).threshold_ == pytest.approx(np.median(scores) + 3 * spread)
    tied = np.r_[np.zeros(60), np.arange(40.0)]
    rule = MAD(2.0).fit(tied)
    assert rule.threshold_ == pytest.approx(np.quantile(tied, stats.norm.cdf(2.0)))
    assert "percentile" in rule.reason_


def test_target_fpr_keeps_its_promise_exactly():
    """Of all ranks a new normal score can take, at most alpha of them lie above the threshold."""
    for m in (10, 99, 100, 250, 999):
        for alpha in (0.01, 0.05, 0.3):
            held = np.random.default_rng(m).permutation(m).astype(float)
            rule = TargetFPR(alpha).fit(held)
            above = (held > rule.threshold_).sum() + 1  # ranks a newcomer may take above it
            assert above / (m + 1) <= rule.stated_rate_ + 1e-12
            assert rule.stated_rate_ == max(alpha, 1 / (m + 1))
            assert (above + 1) / (m + 1) > rule.stated_rate_  # and no lower threshold keeps it


def test_target_fpr_uses_the_normal_rows_alone():
    scores = np.r_[np.arange(200.0), 1e6 * np.ones(50)]
    y = np.repeat([0, 1], [200, 50])
    assert TargetFPR(0.05).fit(scores, y).threshold_ == TargetFPR(0.05).fit(scores[:200]).threshold_
    with pytest.raises(ValueError, match="at least one normal row"):
        TargetFPR().fit([1.0, 2.0], [1, -1])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 2.0]))
def test_labelled_rules_against_trying_every_threshold(seed, beta):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 40))
    scores = rng.integers(0, 10, n) / 7
    y = np.r_[0, 1, rng.integers(-1, 2, n - 2)]
    judged, truth = scores[y >= 0], y[y >= 0]

    def counts(cut):
        flags = judged > cut
        return (
            (flags & (truth == 1)).sum(),
            (flags & (truth == 0)).sum(),
            (~flags & (truth == 1)).sum(),
        )

    def f(cut):
        hit, false, miss = counts(cut)
        return (1 + beta**2) * hit / ((1 + beta**2) * hit + beta**2 * miss + false)

    def cost(cut):
        _, false, miss = counts(cut)
        return 2 * false + 7 * miss

    every = np.r_[-1.0, np.unique(scores)]
    assert f(MaxF1(beta).fit(scores, y).threshold_) == pytest.approx(max(map(f, every)))
    assert cost(Cost(2, 7).fit(scores, y).threshold_) == min(map(cost, every))


def test_missing_labels_are_named():
    scores = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=r"MaxF1: .* both kinds, none were given"):
        MaxF1().fit(scores)
    with pytest.raises(ValueError, match=r"y has no anomalies \(1\)$"):
        MaxF1().fit(scores, [0, 0, -1])
    with pytest.raises(ValueError, match=r"y has no normal rows \(0\)$"):
        MaxF1().fit(scores, [1, 1, 1])


@pytest.mark.parametrize("kind", ["exponential", "lognormal"])
def test_cost_without_labels_comes_near_the_best_with_them(kind):
    rng = np.random.default_rng(0)
    normal = CLEAN[kind](rng, 1800)
    scores = np.r_[normal, rng.normal(normal.mean() + 6 * normal.std(), normal.std(), 200)]
    y = np.repeat([0, 1], [1800, 200])

    def spent(rule, miss):
        flags = rule.predict(scores)
        return (flags & (y == 0)).sum() + miss * ((flags == 0) & (y == 1)).sum()

    cuts = []
    for miss in (0.2, 1.0, 5.0, 20.0):
        blind = Cost(1.0, miss).fit(scores)
        assert spent(blind, miss) <= 1.7 * spent(Cost(1.0, miss).fit(scores, y), miss)
        cuts.append(blind.threshold_)
    assert (np.diff(cuts) < 0).all()
    assert spent(blind, 20.0) < spent(Quantile(0.1).fit(scores), 20.0)


# -- tails ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [-0.7, -0.3, 0.0, 0.2, 0.8])
def test_fit_pareto_finds_the_maximum_of_the_likelihood(shape):
    y = stats.genpareto.rvs(shape, scale=3.0, size=800, random_state=0)
    found = fit_pareto(y)

    def value(c, scale):
        return stats.genpareto.logpdf(y, c, scale=scale).mean()

    best = value(*found)
    assert found[0] == pytest.approx(shape, abs=0.12)
    for step in (1e-2, 5e-2):
        for c, s in ((step, 0), (-step, 0), (0, step), (0, -step), (step, -step), (-step, step)):
            assert value(found[0] + c, found[1] * (1 + s)) <= best + 1e-9
    y3 = fit_pareto(y * 1e6)
    assert y3 == (pytest.approx(found[0], abs=1e-6), pytest.approx(found[1] * 1e6, rel=1e-6))


def test_fit_pareto_of_numbers_near_the_largest_there_are():
    shape, scale = fit_pareto([1.0, 2.0, 1e308], prior=0.5)
    assert np.isfinite([shape, scale]).all()


def test_pareto_law_against_scipy():
    y = np.linspace(0, 6, 30)
    for shape in (-0.5, 0.0, 0.4):
        assert pareto_sf(y, shape, 2.0) == pytest.approx(stats.genpareto.sf(y, shape, scale=2.0))
        for p in (1.0, 0.3, 1e-6):
            there = stats.genpareto.isf(p, shape, scale=2.0)
            assert pareto_isf(p, shape, 2.0) == pytest.approx(there, abs=1e-12)


@pytest.mark.parametrize("kind", [k for k in CLEAN if k != "counts"])
def test_pot_extrapolates_to_its_rate(kind):
    """A thousandth is asked of 5,000 scores, and a million fresh ones are counted."""
    rng = np.random.default_rng(0)
    fresh = CLEAN[kind](rng, 1_000_000)
    rates = [(fresh > POT(0.001).fit(CLEAN[kind](rng, 5000)).threshold_).mean() for _ in range(10)]
    assert 0.0006 < np.mean(rates) < 0.0016


# -- the default ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CLEAN)
@pytest.mark.parametrize("n", [60, 300, 3000])
def test_the_default_flags_its_stated_rate_of_clean_scores(kind, n):
    rng = np.random.default_rng(1)
    runs = 30 if n < 3000 else 8
    rules = [Adaptive().fit(CLEAN[kind](rng, n)) for _ in range(runs)]
    fresh = CLEAN[kind](rng, 20_000)
    rate = np.mean([(fresh > r.threshold_).mean() for r in rules])
    assert rules[0].stated_rate_ == 0.01
    assert rate < {60: 0.03, 300: 0.016, 3000: 0.014}[n]
    if kind not in ("uniform", "counts"):  # short of the end of a bounded or stepped tail: caution
        assert rate > {60: 0.001, 300: 0.005, 3000: 0.007}[n]
    assert np.mean([r.group_share_ > 0 for r in rules]) <= 0.15


@pytest.mark.parametrize("alpha", [0.001, 0.005, 0.05])
def test_the_default_at_other_rates(alpha):
    rng = np.random.default_rng(2)
    fresh = rng.gamma(3, size=200_000)
    rates = [(fresh > Adaptive(alpha).fit(rng.gamma(3, size=4000)).threshold_).mean()
             for _ in range(10)]  # fmt: skip
    assert np.mean(rates) == pytest.approx(alpha, rel=0.35)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("kind", ["normal", "gamma", "exponential"])
def test_the_default_flags_a_group_of_anomalies(kind, share):
    rng = np.random.default_rng(3)
    n = 2000
    odd = int(n * share)
    normal = CLEAN[kind](rng, n - odd)
    scores = np.r_[normal, rng.normal(normal.mean() + 9 * normal.std(), normal.std(), odd)]
    rule = Adaptive().fit(scores)
    flags = rule.predict(scores)
    assert flags[n - odd :].mean() > 0.95
    assert flags[: n - odd].mean() < 0.03
    assert rule.group_share_ == pytest.approx(share, abs=0.03)
    # The customary rule flags a tenth whatever the data.
    assert Quantile(0.1).fit(scores).predict(scores).mean() == pytest.approx(0.1, abs=0.01)


def test_what_is_too_many_is_not_a_group():
    rng = np.random.default_rng(4)
    scores = np.r_[rng.normal(size=550), rng.normal(20, 1, 450)]
    assert Adaptive().fit(scores).group_share_ == 0
    assert Adaptive(max_share=0.5).fit(scores).group_share_ == pytest.approx(0.45, abs=0.01)


def test_one_wild_score_among_few_is_flagged():
    assert Adaptive().fit([1.0, 2.0, 3.0, 4.0, 100.0]).predict([4.0, 100.0]).tolist() == [0, 1]
    rng = np.random.default_rng(0)
    scores = np.r_[rng.normal(size=30), 12.0, 15.0]
    assert Adaptive().fit(scores).predict(scores).tolist() == [0] * 30 + [1, 1]


def test_levels_rise_with_rarity():
    rng = np.random.default_rng(5)
    rule = Levels().fit(rng.exponential(size=20_000))
    fresh = rng.exponential(size=1_000_000)
    severity = rule.severity(fresh)
    for level, alpha in ((1, 0.01), (2, 0.001), (3, 0.0001)):
        assert (severity >= level).mean() == pytest.approx(alpha, rel=0.5)
    assert (np.diff(rule.cuts_) > 0).all()
    assert ((severity > 0) == rule.predict(fresh)).all()


def test_score_tail_comes_back_from_its_parts():
    rng = np.random.default_rng(6)
    for scores in (rng.normal(size=500), np.r_[rng.normal(size=500), rng.normal(9, 1, 50)]):
        tail = ScoreTail.fit(scores)
        again = ScoreTail(**vars(tail))
        assert (again.sf(scores) == tail.sf(scores)).all()


def test_every_rule_is_a_threshold_with_a_short_form():
    rules = {type(make_threshold(spec)) for spec in SPECS}
    assert rules == set(Threshold.__subclasses__())
