"""The expected band follows level, season and spread, and not the events."""

from __future__ import annotations

import numpy as np
import pytest

from awry.data.expected import CYCLES, FEWEST, expected_band

AT = np.arange(1440.0)


def _outside(x, band):
    return (x < band.low) | (x > band.high)


def _series(seed=0, period=48):
    noise = np.random.default_rng(seed).normal(size=len(AT))
    return (20 + 6 * np.sin(2 * np.pi * AT / period) + noise)[:, None]


def test_noise_stays_in_a_band_that_is_not_too_wide():
    x = _series()
    band = expected_band(x, [48])
    assert _outside(x, band).mean() < 0.003
    late = slice(300, None)
    half = (band.high - band.low)[late] / 2
    assert 2.8 < np.median(half) < 4.9
    truth = 20 + 6 * np.sin(2 * np.pi * AT / 48)
    assert np.abs(band.expected[late, 0] - truth[late]).max() < 1.5


def test_without_its_period_the_band_is_wider():
    x = _series()
    widths = [np.nanmedian(b.high - b.low) for b in (expected_band(x, [48]), expected_band(x))]
    assert widths[1] > 1.5 * widths[0]


def test_two_periods_are_taken_one_after_the_other():
    day, week = 24, 168
    weekend = np.where(AT % week < 48, -8.0, 0.0)
    x = 5 * np.sin(2 * np.pi * AT / day) + weekend + np.random.default_rng(1).normal(size=1440)
    both = expected_band(x[:, None], [day, week])
    one = expected_band(x[:, None], [day])
    error = [np.std(x[168:] - b.expected[168:, 0]) for b in (both, one)]
    assert error[0] < 1.5 < 2.5 < error[1]


def test_events_do_not_pull_the_band_to_them():
    x = _series()
    y = x.copy()
    y[700:760] += 30
    y[900] -= 50
    clean, hit = expected_band(x, [48]), expected_band(y, [48])
    assert np.abs(hit.expected - clean.expected).max() < 1.0
    assert _outside(y, hit)[700:760].all()
    assert _outside(y, hit)[900]


def test_a_shift_leaves_the_band_and_becomes_normal():
    x = _series()
    x[700:] += 25
    band = expected_band(x, [48])
    assert _outside(x, band)[700:760].all()
    assert _outside(x, band)[1100:].mean() < 0.05


def test_a_steady_rise_is_expected():
    x = 0.05 * AT + np.random.default_rng(0).normal(size=len(AT))
    band = expected_band(x[:, None])
    assert _outside(x[:, None], band).mean() < 0.003
    assert np.median(band.high - band.low) < 10


def test_the_level_does_not_look_ahead():
    x = _series()
    y = x.copy()
    y[1000:] += 40  # season and spread are medians, which this moves little
    before = slice(0, 1000)
    moved = expected_band(x, [48]).expected[before] - expected_band(y, [48]).expected[before]
    assert np.abs(moved).max() < 1.5


def test_the_spread_follows_the_phase_where_it_varies():
    rng = np.random.default_rng(0)
    loud = AT % 48 < 24
    x = np.where(loud, 6.0, 0.5) * rng.normal(size=len(AT))
    width = (lambda b: b.high - b.low)(expected_band(x[:, None], [48]))[300:, 0]
    ratio = np.median(width[(AT % 48 < 20)[300:]]) / np.median(width[(AT % 48 > 28)[300:]])
    assert ratio > 4


def test_a_cold_start_is_wide_and_short_series_have_no_band():
    x = np.random.default_rng(0).normal(size=(1000, 1))
    width = (expected_band(x).high - expected_band(x).low)[:, 0]
    assert width[0] == pytest.approx(2 * width[-1])
    assert np.isnan(expected_band(x[: FEWEST - 1]).expected).all()
    short = _series()[: 48 * CYCLES - 1]
    assert np.array_equal(expected_band(short, [48]).expected, expected_band(short).expected)


def test_gaps_and_constants_are_survived():
    x = np.column_stack([_series()[:, 0], np.full(1440, 3.0), np.full(1440, np.nan)])
    x[200:400, 0] = np.nan
    band = expected_band(x, [48])
    assert np.isfinite(band.expected[:, :2]).all()
    assert np.isnan(band.low[:, 2]).all()
    assert not _outside(x, band)[:, 1].any()
    assert (band.high[:, 1] > band.low[:, 1]).all()
    assert _outside(x, band)[~np.isnan(x[:, 0]), 0].mean() < 0.005


def test_times_give_the_phase_where_points_are_left_out():
    x = _series()
    keep = np.r_[0:700, 724:1440]
    times = (np.datetime64("2026-01-01") + np.arange(1440) * np.timedelta64(1, "h"))[keep]
    late = keep[800:]
    with_times = expected_band(x[keep], [48], times).expected[800:, 0]
    truth = 20 + 6 * np.sin(2 * np.pi * late / 48)
    assert np.abs(with_times - truth).max() < 2
    assert np.abs(expected_band(x[keep], [48]).expected[800:, 0] - truth).max() > 3
