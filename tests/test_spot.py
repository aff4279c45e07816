import numpy as np
import pytest
from scipy.stats import genpareto

from awry.core.tail import fit_pareto, pareto_isf
from awry.detectors.series.spot import SPOT, _drift
from awry.kernels import peaks_over_threshold
from oracles_series import spot as oracle


def test_the_compiled_fit_is_the_threshold_s() -> None:
    rng = np.random.default_rng(0)
    for shape in (-0.3, 0.0, 0.4):
        y = genpareto.rvs(shape, scale=2.0, size=150, random_state=rng)
        for prior in (np.inf, 0.25):
            found = peaks_over_threshold.fit_pareto(y, prior)
            np.testing.assert_allclose(found, fit_pareto(y, prior), rtol=1e-6)
        np.testing.assert_allclose(fit_pareto(y, np.inf), fit_pareto(y))


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.25])
def test_the_stream_against_algorithm_1(shape: float) -> None:
    rng = np.random.default_rng(1)
    x = genpareto.rvs(shape, size=4000, random_state=rng)
    x[[2500, 3500]] = 200.0
    train, rest = x[:1000], x[1000:]
    model = SPOT(q=1e-3, side="upper", prior=None, leave_out=1, max_excess=10_000).fit(train)
    start = np.sort(train)[980]
    peaks = train[train > start] - start
    assert (model.state_.start[0, 0], model.state_.peaks[0, 0]) == (start, len(peaks))
    p, alarms = oracle(rest, start, peaks, len(train), 1e-3, fit_pareto)
    scores = model.decision_function(rest)
    judged = (rest > start) & (p > 1e-15)
    np.testing.assert_allclose(10 ** -scores[judged], p[judged], rtol=1e-4)
    np.testing.assert_array_equal(model.predict(rest) == 1, alarms)
    assert alarms[[1500, 2500]].all()


@pytest.mark.parametrize("side", ["upper", "both"])
def test_false_alarms_come_at_the_risk(side: str) -> None:
    # A share q of normal points is to be flagged in each tail, also after long, when the few points
    # over the alarm threshold have had time to be missed in the law.
    x = np.random.default_rng(0).gumbel(size=60_000)
    model = SPOT(q=1e-3, side=side, warmup=2000).fit(x)
    expected = 1e-3 * (2 if side == "both" else 1)
    assert 0.5 * expected < model.labels_[40_000:].mean() < 1.8 * expected


def test_score_is_the_digits_of_the_probability_and_has_no_ceiling() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=5000)
    model = SPOT(side="upper").fit(x)
    far = model.decision_function(np.array([[0.5], [0.99], [1.2], [1.5], [1e6]]))
    assert (np.diff(far) > 0).all()
    assert np.isfinite(far).all()
    np.testing.assert_allclose(far[1], 2.0, atol=0.15)
    shape, scale = model.state_.law[0, 0]
    share = model.state_.peaks[0, 0] / model.state_.seen[0]
    level = model.state_.start[0, 0] + pareto_isf(1e-3 / share, shape, scale)
    np.testing.assert_allclose(model.decision_function([[level]]), 3.0, rtol=1e-9)


def test_each_side_sees_its_own_tail() -> None:
    x = np.random.default_rng(0).normal(size=3000)
    up, down = x.copy(), x.copy()
    up[2500], down[2500] = 9.0, -9.0
    for side, found in (("upper", (1, 0)), ("lower", (0, 1)), ("both", (1, 1))):
        model = SPOT(side=side, warmup=1000)
        flags = [model.fit(series).labels_[2500] for series in (up, down)]
        assert tuple(flags) == found, side


def test_dspot_follows_a_level_that_wanders_and_spot_does_not() -> None:
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.normal(scale=0.3, size=8000)) + rng.normal(size=8000)
    x[6000] += 12.0
    drifting = SPOT(q=1e-4, drift_window=20, warmup=2000).fit(x)
    assert drifting.labels_[6000] == 1
    assert drifting.labels_[2000:].sum() < 8
    assert SPOT(q=1e-4, warmup=2000).fit(x).labels_[2000:].sum() > 100


def test_far_alarms_teach_neither_the_law_nor_the_drift() -> None:
    x = np.random.default_rng(0).normal(size=2000)
    model = SPOT(drift_window=50).fit(x)
    burst = np.full(30, 40.0)
    before = [part.copy() for part in model.state_]
    model.update(burst)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.state_, strict=True))


def test_the_calibration_is_learnt_once() -> None:
    x = np.random.default_rng(0).normal(size=1500)
    model = SPOT(side="upper", q=1e-6, warmup=1000).fit(x)
    start = model.state_.start[0, 0]
    assert model.state_.seen[0] == 1500
    assert model.state_.peaks[0, 0] == np.sum(x > start)
    np.testing.assert_allclose(
        model.state_.excesses[0, 0, : np.sum(x > start)], x[x > start] - start, rtol=1e-12
    )


def test_where_most_points_are_one_value_that_value_is_ordinary() -> None:
    rng = np.random.default_rng(0)
    counts = 1e9 + rng.poisson(0.01, size=3000).astype(float)
    model = SPOT(warmup=1000).fit(counts)
    assert (model.decision_scores_[counts == 1e9] == 0).all()
    assert (model.decision_scores_[1000:][counts[1000:] > 1e9] > 1.5).all()
    constant = SPOT().fit(np.ones(500))
    assert constant.decision_scores_.max() == 0
    assert constant.predict([1.0, 9.0]).tolist() == [0, 1]


def test_only_the_last_peaks_are_kept() -> None:
    x = np.random.default_rng(0).exponential(size=5000)
    model = SPOT(side="upper", q=1e-7, max_excess=30).fit(x[:3000])
    model.update(x[3000:])
    peaks = x[x > model.state_.start[0, 0]] - model.state_.start[0, 0]
    np.testing.assert_allclose(np.sort(model.state_.excesses[0, 0]), np.sort(peaks[-30:]))


def test_drift_is_the_mean_of_the_points_before() -> None:
    x = np.random.default_rng(0).normal(1e6, 1.0, size=50)
    expected = [np.mean(x[max(0, t - 7) : t]) for t in range(1, 50)]
    np.testing.assert_allclose(_drift(x, 7)[1:], expected, rtol=1e-12)
