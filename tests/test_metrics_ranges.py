"""Range, event and point-adjusted metrics against reference code, slow twins and worked cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from awry.core.errors import DataError
from awry.metrics import ranges
from awry.metrics.ranking import best_f
from awry.metrics.series import evaluate_series
from awry.metrics.volume import runs, vus


def _series(*spans, n):
    flags = np.zeros(n, int)
    for first, last in spans:
        flags[first : last + 1] = 1
    return flags


REAL = _series((5, 14), (30, 34), (50, 69), n=80)
FLAGS = _series((3, 6), (9, 9), (12, 20), (33, 33), (40, 44), (55, 60), (68, 72), n=80)
#: What prts 1.0.0.3 (CompML) gives for these: precision with alpha 0, recall with alpha 0.3.
PRTS = {
    ("flat", "one"): (0.6047619047619047, 0.58),
    ("flat", "reciprocal"): (0.6047619047619047, 0.43999999999999995),
    ("front", "one"): (0.6333333333333334, 0.5492929292929293),
    ("front", "reciprocal"): (0.6333333333333334, 0.4182828282828283),
    ("middle", "one"): (0.5819047619047619, 0.5731649831649831),
    ("middle", "reciprocal"): (0.5819047619047619, 0.4443602693602693),
    ("back", "one"): (0.5761904761904761, 0.6107070707070706),
    ("back", "reciprocal"): (0.5761904761904761, 0.4617171717171717),
}


def _slow(y, flags, alpha, bias, cardinality):
    """Tatbul et al., section 4, point by point: reward of the ranges of y."""
    rewards = []
    for a, b in runs(y):
        length = b - a + 1
        weight = {
            "flat": lambda i, n: 1.0,
            "front": lambda i, n: n - i + 1,
            "back": lambda i, n: i,
            "middle": lambda i, n: i if i <= n / 2 else n - i + 1,
        }[bias]
        weights = np.array([weight(i, length) for i in range(1, length + 1)], float)
        overlaps = [(c, d) for c, d in runs(flags) if c <= b and d >= a]
        omega = (
            sum(weights[[c <= t <= d for t in range(a, b + 1)]].sum() for c, d in overlaps)
            / weights.sum()
        )
        gamma = 1 / len(overlaps) if cardinality == "reciprocal" and len(overlaps) > 1 else 1
        rewards.append(alpha * bool(overlaps) + (1 - alpha) * gamma * omega)
    return np.mean(rewards)


@pytest.mark.parametrize(("setting", "figures"), PRTS.items())
def test_the_figures_of_prts(setting, figures):
    bias, cardinality = setting
    scores = ranges.range_scores(REAL, FLAGS, alpha=0.3, bias=bias, cardinality=cardinality)
    np.testing.assert_allclose(scores, figures, rtol=1e-12)


@pytest.mark.parametrize("bias", ["flat", "front", "middle", "back"])
@pytest.mark.parametrize("cardinality", ["one", "reciprocal"])
def test_the_definition_point_by_point(bias, cardinality):
    rng = np.random.default_rng(0)
    for _ in range(50):
        y, flags = (rng.random((2, 40)) < rng.choice([0.2, 0.5, 0.8], (2, 1))).astype(int)
        y[3] = flags[30] = 1
        scores = ranges.range_scores(y, flags, alpha=0.4, bias=bias, cardinality=cardinality)
        assert scores.recall == pytest.approx(_slow(y, flags, 0.4, bias, cardinality))
        assert scores.precision == pytest.approx(_slow(flags, y, 0.0, bias, cardinality))


def test_points_are_ranges_of_length_one():
    rng = np.random.default_rng(1)
    y, flags = np.zeros((2, 60), int)
    y[::4] = rng.integers(0, 2, 15)
    flags[::4] = rng.integers(0, 2, 15)
    both = (y & flags).sum()
    for bias in ("flat", "front", "middle", "back"):
        scores = ranges.range_scores(y, flags, bias=bias)
        assert scores == pytest.approx((both / flags.sum(), both / y.sum()))


def test_front_bias_prefers_the_early_flag():
    y = _series((10, 19), n=30)
    early, late = _series((10, 12), n=30), _series((17, 19), n=30)
    front = [ranges.range_scores(y, f, bias="front").recall for f in (early, late)]
    back = [ranges.range_scores(y, f, bias="back").recall for f in (late, early)]
    assert front == pytest.approx([27 / 55, 6 / 55])
    assert back == pytest.approx(front)


def test_event_scores_count_events_once():
    scores = ranges.event_scores(REAL, FLAGS)
    # All three events are touched; one run of flags, 40 to 44, touches none.
    assert scores == (3 / 4, 1.0)
    assert scores.f1 == pytest.approx(6 / 7)
    assert ranges.false_alarms(REAL, FLAGS).tolist() == [[40, 44]]
    assert ranges.event_scores(REAL, np.zeros(80)) == (0.0, 0.0)
    assert ranges.event_scores(REAL, np.zeros(80)).f1 == 0.0


def test_delays_in_points_and_in_seconds():
    y, flags = _series((5, 9), (20, 24), (40, 44), n=60), _series((7, 8), (44, 50), n=60)
    np.testing.assert_array_equal(ranges.detection_delays(y, flags), [2, np.nan, 4])
    assert ranges.time_to_first_detection(y, flags) == 2
    assert ranges.time_to_first_detection(y, np.zeros(60)) == np.inf
    minutes = pd.date_range("2024-03-31", periods=60, freq="10min", tz="Europe/Berlin")
    for times in (minutes, minutes.tz_localize(None), np.arange(60) * 600.0):
        np.testing.assert_allclose(ranges.detection_delays(y, flags, times), [1200, np.nan, 2400])


def test_false_alarms_per_day():
    y = _series((5, 9), n=288)
    flags = _series((7, 8), (100, 120), (200, 200), n=288)
    times = pd.date_range("2024-01-01", periods=288, freq="5min")
    assert ranges.false_alarms_per_day(y, flags, times) == pytest.approx(2.0)
    assert ranges.false_alarms_per_day(np.zeros(288), flags, times) == pytest.approx(3.0)


@pytest.mark.parametrize("k", [0.0, 0.2, 0.29, 0.5, 1.0])
def test_adjusting_scores_equals_adjusting_decisions(k):
    rng = np.random.default_rng(0)
    y = _series((3, 9), (20, 20), (40, 139), n=160)
    scores = rng.integers(0, 12, 160) / 3
    adjusted = ranges.point_adjusted(y, scores, k)
    for cut in np.unique(scores):
        flags = scores > cut
        slow = flags.copy()
        for a, b in runs(y):
            if flags[a : b + 1].mean() > k + 1e-12:
                slow[a : b + 1] = True
        np.testing.assert_array_equal(adjusted > cut, slow)
        np.testing.assert_array_equal(ranges.point_adjusted(y, flags, k), slow)
    if k == 1:
        np.testing.assert_array_equal(adjusted, scores)


def test_what_point_adjustment_is_worth():
    # Kim et al.: random scores reach a high adjusted F1 where events are long.
    rng = np.random.default_rng(0)
    y = _series((1_000, 1_999), (6_000, 6_999), n=10_000)
    scores = rng.random(10_000)
    assert best_f(y, scores)[0] < 0.35
    assert best_f(y, ranges.point_adjusted(y, scores))[0] > 0.95
    assert best_f(y, ranges.point_adjusted(y, scores, 0.2))[0] < 0.75


def test_area_under_pak_is_the_integral():
    y, flags = REAL, FLAGS
    grid = (np.arange(200) + 0.5) / 200
    values = [ranges.point_adjusted_f1(y, flags, k) for k in grid]
    assert ranges.pak_auc(y, flags) == pytest.approx(np.mean(values), abs=2e-3)
    assert ranges.pak_auc(y, y) == 1.0
    assert ranges.point_adjusted_f1(y, flags, 1.0) <= ranges.pak_auc(y, flags)
    assert ranges.pak_auc(y, flags) <= ranges.point_adjusted_f1(y, flags)


def test_evaluate_series_puts_the_flattering_last():
    rng = np.random.default_rng(0)
    y = _series((300, 340), (700, 760), n=1_000)
    scores = rng.random(1_000) + 2 * y
    times = pd.date_range("2024-01-01", periods=1_000, freq="h")
    result = evaluate_series(y, scores, times=times)
    assert result["threshold_from"].startswith("best F1")
    assert result["range_f1"] == result["affiliation_f1"] == result["event_f1"] == 1.0
    assert result["auprc"] == result["auroc"] == 1.0
    assert result["vus_pr"] > 0.7
    assert result["false_alarms_per_day"] == result["detection_delay"] == 0
    names = list(result)
    flattering = [n for n in names if n.startswith("comparison_only")]
    assert len(flattering) == 4
    assert names[-4:] == flattering
    assert all("adjusted" not in n and "pa20" not in n for n in names[:-4])
    assert result["comparison_only_point_adjusted_f1_of_random_flags"] > 0.6
    nothing = evaluate_series(y, scores, threshold=9.0)
    assert nothing["event_f1"] == nothing["range_f1"] == nothing["affiliation_f1"] == 0
    assert np.isnan(nothing["detection_delay"])
    assert "false_alarms_per_day" not in nothing
    assert evaluate_series(y, scores, window=0)["vus_pr"] == vus(y, scores, 0).pr


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ranges.range_scores([0, 1], [0, 2]), "decisions must be 1"),
        (lambda: ranges.event_scores([0, 0], [0, 1]), "no anomalies"),
        (lambda: ranges.event_scores([0, 1], [1]), "one length"),
        (lambda: ranges.range_scores([0, 1], [0, 1], alpha=2), "alpha must be from 0 to 1"),
        (lambda: ranges.range_scores([0, 1], [0, 1], bias="left"), "bias must be one of flat"),
        (lambda: ranges.range_scores([0, 1], [0, 1], cardinality="x"), "cardinality must be"),
        (lambda: ranges.point_adjusted([0, 1], [0, 1], 20), "k must be from 0 to 1"),
        (lambda: ranges.detection_delays([0, 1], [0, 1], [1, 2, 3]), "times must be a vector of 2"),
        (lambda: ranges.false_alarms_per_day([0, 1], [0, 1], [3, 3]), "more than one moment"),
        (lambda: evaluate_series([0, 0], [0, 1]), "no anomalies"),
    ],
)
def test_bad_input_is_said(call, words):
    with pytest.raises((DataError, ValueError), match=words):
        call()
