"""The automatic choice for series: its two halves, its channels and its words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import awry
from awry.detectors.series.series_auto import MAX_POINTS, SeriesAuto


def _beats(n: int = 1500, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    at = np.arange(n)
    return (
        np.sin(2 * np.pi * at / 50)
        + 0.5 * np.sin(4 * np.pi * at / 50)
        + rng.normal(scale=0.05, size=n)
    )


@pytest.mark.parametrize("kind", ["level", "flat", "shape"])
def test_finds_what_either_half_finds(kind: str) -> None:
    train, new = _beats(), _beats(seed=1)
    odd = slice(700, 750)
    if kind == "level":
        new[odd] += 4.0
    elif kind == "flat":
        new[odd] = new[700]
    else:
        new[odd] = new[odd][::-1]
    scores = SeriesAuto().fit(train).decision_function(new)
    inside = scores[690:760].max()
    assert inside > 1.3 * np.r_[scores[100:630], scores[820:]].max()


def test_switches_are_left_out_beside_measurements() -> None:
    rng = np.random.default_rng(0)
    command = (rng.random(1500) < 0.01).astype(float)
    both = np.column_stack([_beats(), command])
    model = SeriesAuto().fit(both)
    assert model.judged_.tolist() == [0]
    assert "1 channels of at most two values left out" in model.choice_
    alone = SeriesAuto().fit(both[:, 0])
    np.testing.assert_array_equal(model.decision_scores_, alone.decision_scores_)
    assert SeriesAuto().fit(command).judged_.tolist() == [0]


def test_short_series_take_short_windows() -> None:
    model = SeriesAuto().fit(_beats(400))
    assert max(model.statistics_.windows) == 25
    assert model.shapes_.window == 25
    assert "short series" in model.choice_


def test_one_spike_of_a_short_series_is_flagged_and_little_else() -> None:
    rng = np.random.default_rng(0)
    load = 10 + 5 * np.sin(np.arange(600) * 2 * np.pi / 24) + rng.normal(size=600)
    load[400] = 60.0
    times = pd.date_range("2026-01-01", periods=600, freq="h")
    result = awry.detect(pd.DataFrame({"time": times, "load": load}))
    assert 400 in np.flatnonzero(result.labels)
    assert result.labels.mean() < 0.1


def test_the_past_of_a_long_series_is_scored_by_its_recent_part() -> None:
    x = _beats(MAX_POINTS + 500)
    x[300:330] = 3.0
    scores = SeriesAuto(windows=(8, 32)).fit(x).decision_scores_
    assert len(scores) == len(x)
    assert 260 < scores.argmax() < 370
