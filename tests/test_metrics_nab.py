"""The NAB score against NAB's unit tests, its published results, and the definition."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from awry.core.errors import DataError
from awry.metrics import nab

DATA = Path(__file__).parents[2] / "shared" / "data" / "nab"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the NAB data is not here")
STANDARD = nab.PROFILES["standard"]


@pytest.fixture(scope="module")
def corpus():
    return nab.read_corpus(DATA)


def _series(n, *windows):
    return nab.Series([str(i) for i in range(n)], np.zeros(n), np.array(windows).reshape(-1, 2))


def _flags(n, *at):
    flags = np.zeros(n)
    flags[list(at)] = 1.0
    return flags


def _slow(flags, windows, profile, probation=0.15):
    """The score by its definition in NAB's documentation, point by point."""

    def sigmoid(x):
        return -1.0 if x > 3 else 2 / (1 + math.exp(5 * x)) - 1

    start = min(math.floor(probation * len(flags)), probation * 5000)
    on = [i for i in np.flatnonzero(flags) if i >= start]
    total = 0.0
    for a, b in windows:
        hits = [i for i in on if a <= i <= b]
        total += (
            profile.tp * sigmoid(-(b - hits[0] + 1) / (b - a + 1)) / sigmoid(-1.0)
            if hits
            else -profile.fn
        )
    for i in on:
        if not any(a <= i <= b for a, b in windows):
            before = [(a, b) for a, b in windows if b < i]
            if before:
                a, b = before[-1]
                total += profile.fp * sigmoid((i - b) / (b - a))
            else:
                total -= profile.fp
    return total


def test_nabs_own_unit_test():
    # testScoringAllMetrics: 100 points, windows of 5 at 30 and 65, all weights 1.
    profile = nab.Profile(1.0, 1.0, 1.0)
    series = {"a": _series(100, (30, 34), (65, 69))}
    raw = nab.raw_score({"a": _flags(100, 30, 31, 37)}, series, 0.5, profile, probation=0)
    assert raw == pytest.approx(-0.9540, abs=5e-5)
    # testFirstTruePositiveWithinWindow, testOneFalsePositiveNoWindow, testNullCase
    small = {"a": _series(10, (4, 5))}
    assert nab.raw_score({"a": _flags(10, 4)}, small, 0.5, profile, 0) == pytest.approx(1.0)
    assert nab.raw_score({"a": _flags(9, 0)}, {"a": _series(9)}, 0.5, profile, 0) == -1.0
    assert nab.raw_score({"a": _flags(9)}, {"a": _series(9)}, 0.5, profile, 0) == 0.0


def test_nabs_threshold_sweep():
    # After testCalcScoreByThresholdReturnsExpectedScores: ties, and the best hit so far of windows.
    windows = {"a": _series(100, (50, 59), (80, 89))}
    scores = np.zeros(100)
    scores[[85, 70, 55, 52]] = 0.5, 0.5, 0.3, 0.2
    thresholds, raw = nab.sweep({"a": scores}, windows, STANDARD)
    assert thresholds.tolist() == [np.inf, 0.5, 0.3, 0.2, 0.0]
    for threshold, got in zip(thresholds, raw, strict=True):
        assert got == pytest.approx(_slow(scores >= threshold, [(50, 59), (80, 89)], STANDARD))


def test_rewards_nab_published():
    # S(t) of results/ARTime/.../ARTime_iio_us-east-1_i-a2eb1cd9_NetworkIn.csv, windows of 63.
    for profile in nab.PROFILES.values():
        rewards, inside = nab.point_rewards(400, [(218, 280)], profile)
        np.testing.assert_allclose(
            rewards[218:223],
            [1.0, 0.9988874626029411, 0.9976844152769112, 0.9963836172977596, 0.9949772695718712],
            rtol=1e-12,
        )
        assert rewards[258] == pytest.approx(0.732226250339838, rel=1e-12)
        assert (rewards[:218] == -profile.fp).all()
        assert set(inside[218:281]) == {0}
        assert set(inside[281:]) == {-1}


@pytest.mark.parametrize(
    ("raw", "profile", "published"),
    [
        # config/thresholds.json against the table of NAB's README; 116 windows in all.
        (57.66075157860638, "standard", 74.85),
        (35.1572804170157, "reward_low_FP_rate", 65.15),
        (47.66075157860638, "reward_low_FN_rate", 80.36),
        (46.634450197137597, "standard", 70.10),
        (30.431072517124093, "reward_low_FP_rate", 63.12),
        (26.634450197137568, "reward_low_FN_rate", 74.32),
        (-116.0, "standard", 0.0),
        (-232.0, "reward_low_FN_rate", 0.0),
    ],
)
def test_published_normalised_scores(raw, profile, published):
    score = nab.normalise(raw, 116, nab.PROFILES[profile])
    assert score == pytest.approx(published, abs=0.006)


@pytest.mark.parametrize("seed", range(4))
def test_sweep_and_optimum_equal_the_definition(seed):
    rng = np.random.default_rng(seed)
    windows = {"a": [(60, 79), (100, 104), (190, 199)], "b": [(40, 60)], "c": []}
    corpus = {name: _series(200, *spans) for name, spans in windows.items()}
    scores = {name: rng.integers(0, 30, 200) / 29 for name in corpus}
    for profile in nab.PROFILES.values():
        thresholds, raw = nab.sweep(scores, corpus, profile)
        slow = [
            sum(_slow(scores[name] >= t, spans, profile) for name, spans in windows.items())
            for t in thresholds
        ]
        np.testing.assert_allclose(raw, slow, atol=1e-10)
        threshold, best = nab.optimise(scores, corpus, profile)
        assert best == pytest.approx(max(slow))
        assert threshold == thresholds[np.argmax(slow)]
        for cut in (0.5, -1.0, 2.0):
            expected = sum(_slow(scores[n] >= cut, s, profile) for n, s in windows.items())
            assert nab.raw_score(scores, corpus, cut, profile) == pytest.approx(expected)


def test_probation_is_not_judged_and_is_750_points_at_most():
    early = {"a": _series(10_000, (5_000, 5_099))}
    for at, judged in ((0, False), (749, False), (750, True)):
        raw = nab.raw_score({"a": _flags(10_000, at)}, early, 0.5, STANDARD)
        assert raw == pytest.approx(-1.11 if judged else -1.0)


def test_random_and_constant_scores_are_worth_little_and_perfect_ones_100():
    rng = np.random.default_rng(0)
    corpus = {str(i): _series(2_000, (800, 899), (1_500, 1_599)) for i in range(10)}
    perfect = nab.nab_scores({k: _flags(2_000, 800, 1_500) for k in corpus}, corpus)
    constant = nab.nab_scores({k: np.full(2_000, 0.5) for k in corpus}, corpus)
    random = {k: rng.random(2_000) for k in corpus}
    assert all(r.score == pytest.approx(100) for r in perfect.values())
    assert all(r.score == 0 and r.threshold == np.inf for r in constant.values())
    chance = nab.nab_scores(random, corpus)
    frozen = nab.nab_scores(random, corpus, threshold=0.98)
    assert 0 <= chance["reward_low_FP_rate"].score <= chance["standard"].score < 50
    # A frozen threshold falls short of the one chosen with the labels in view.
    assert all(frozen[name].score < chance[name].score for name in frozen)
    assert {r.threshold for r in frozen.values()} == {0.98}


def test_result_files_are_in_nabs_format(tmp_path):
    corpus = {"real/one.csv": _series(20, (5, 9)), "real/two_b.csv": _series(20)}
    corpus["real/one.csv"].stamps[:] = [f"2024-01-01 00:{i:02}:00" for i in range(20)]
    scores = {name: np.linspace(0, 1, 20) for name in corpus}
    paths = nab.write_results(tmp_path, "awry", scores, corpus)
    assert [str(p.relative_to(tmp_path)) for p in paths] == [
        "awry/real/awry_one.csv", "awry/real/awry_two_b.csv",
    ]  # fmt: skip
    frame = pd.read_csv(paths[0], parse_dates=["timestamp"])
    assert list(frame) == ["timestamp", "value", "anomaly_score", "label"]
    assert frame["label"].to_numpy().nonzero()[0].tolist() == [5, 6, 7, 8, 9]
    back = nab.read_results(tmp_path, "awry", corpus)
    for name in corpus:
        np.testing.assert_array_equal(back[name], scores[name])
    with pytest.raises(DataError, match="from 0 to 1"):
        nab.write_results(tmp_path, "awry", {n: s * 2 for n, s in scores.items()}, corpus)
    with pytest.raises(ValueError, match="without '_'"):
        nab.write_results(tmp_path, "my_awry", scores, corpus)


def test_to_unit_keeps_the_score():
    rng = np.random.default_rng(0)
    corpus = {"a": _series(500, (200, 230), (400, 430))}
    scores = {"a": rng.exponential(size=500) ** 3}
    unit = {"a": nab.to_unit(scores["a"])}
    assert unit["a"].max() < 1
    for name, result in nab.nab_scores(scores, corpus).items():
        assert nab.nab_scores(unit, corpus)[name].raw == pytest.approx(result.raw)
    with pytest.raises(DataError, match=">= 0"):
        nab.to_unit([-1.0])


def test_bad_input_is_said(tmp_path):
    corpus = {"a": _series(10, (5, 6))}
    with pytest.raises(DataError, match="a: no scores"):
        nab.nab_scores({}, corpus)
    with pytest.raises(DataError, match="10 finite numbers"):
        nab.nab_scores({"a": np.zeros(9)}, corpus)
    with pytest.raises(DataError, match="no anomaly windows"):
        nab.nab_scores({"a": np.zeros(9)}, {"a": _series(9)})
    (tmp_path / "labels").mkdir()
    (tmp_path / "data" / "x").mkdir(parents=True)
    labels = tmp_path / "labels" / "combined_windows.json"
    labels.write_text(json.dumps({"x/y.csv": [["2024-01-01 00:00:07", "2024-01-01 00:00:08"]]}))
    with pytest.raises(DataError, match="no labelled series"):
        nab.read_corpus(tmp_path)
    (tmp_path / "data" / "x" / "y.csv").write_text("timestamp,value\n2024-01-01 00:00:00,1\n")
    with pytest.raises(DataError, match="not a time of the series"):
        nab.read_corpus(tmp_path)


@needs_data
def test_profiles_and_corpus_are_nabs(corpus):
    profiles = json.loads((DATA / "config" / "profiles.json").read_text())
    for name, profile in nab.PROFILES.items():
        matrix = profiles[name]["CostMatrix"]
        assert profile == (matrix["tpWeight"], matrix["fpWeight"], matrix["fnWeight"])
    labels = json.loads((DATA / "labels" / "combined_windows.json").read_text())
    assert {k: len(v) for k, v in labels.items()} == {k: len(s.windows) for k, s in corpus.items()}
    # Records judged in ARTime's published result: 403 of 3428 lie in the window.
    series = corpus["artificialWithAnomaly/art_daily_jumpsdown.csv"]
    assert (series.labels.sum(), len(series.values) - 604) == (403, 3428)
    # Its published score, one hit: what a point of the window is worth.
    rewards, _ = nab.point_rewards(len(series.values), series.windows, STANDARD)
    assert np.abs(rewards - 0.8589086704377245).min() < 1e-12


#: Scores of the windowed Gaussian detector at threshold 1.0, standard and low-FP profile, from
#: results/windowedGaussian of numenta/NAB, commit de8e91a.
PUBLISHED = {
    "realAdExchange/exchange-3_cpc_results.csv": (2.50266326119, 2.39266475507),
    "realAdExchange/exchange-4_cpc_results.csv": (0.292288463428, -0.147680769569),
    "realAdExchange/exchange-4_cpm_results.csv": (1.27471036268, 0.944710362685),
    "realTraffic/TravelTime_387.csv": (-1.79598133079, -2.45598133079),
    "realTraffic/speed_7578.csv": (3.47059145681, 3.36059145681),
    "realTraffic/speed_t4013.csv": (1.76631783122, 1.76631783122),
    "realAWSCloudwatch/grok_asg_anomaly.csv": (2.37942230674, 2.04942230674),
}


def _windowed_gaussian(values):
    """NAB's detector: two-sided normal tail against all points so far (fewer than 6400 here)."""
    scores = np.zeros(len(values))
    for i in range(1, len(values)):
        mean, std = np.mean(values[:i]), np.std(values[:i]) or 1e-6
        scores[i] = 1 - 0.5 * math.erfc(abs(values[i] - mean) / std / math.sqrt(2))
    # NAB's files hold 12 digits, so tails below 5e-13 read as 1.0.
    return np.array([float(f"{score:.12g}") for score in scores])


@needs_data
def test_published_scores_of_a_detector(corpus):
    files = {name: corpus[name] for name in PUBLISHED}
    scores = {name: _windowed_gaussian(series.values) for name, series in files.items()}
    for place, profile in enumerate(("standard", "reward_low_FP_rate")):
        profile = nab.PROFILES[profile]
        for name, figures in PUBLISHED.items():
            raw = nab.raw_score(scores, {name: files[name]}, 1.0, profile)
            assert raw == pytest.approx(figures[place], abs=1e-9), name
        total = sum(figures[place] for figures in PUBLISHED.values())
        assert nab.raw_score(scores, files, 1.0, profile) == pytest.approx(total, abs=1e-9)


@needs_data
def test_null_and_perfect_detectors_on_the_corpus(corpus):
    null = {name: np.full(len(s.values), 0.5) for name, s in corpus.items()}
    perfect = {name: _flags(len(s.values), *s.windows[:, 0]) for name, s in corpus.items()}
    for results, score in ((null, 0.0), (perfect, 100.0)):
        for result in nab.nab_scores(results, corpus).values():
            assert result.score == pytest.approx(score)
