"""Planted events of each kind are told apart, and put in words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from awry.data.event_kinds import KINDS, Describer, duration
from awry.data.expected import expected_band

N, PERIOD, HOUR = 960, 48, 3600.0


def _season(at, shape):
    phase = at % PERIOD
    if shape == "wave":
        return 5 * np.sin(2 * np.pi * phase / PERIOD)
    if shape == "beat":  # a quiet series with one peak in each period
        return 12 * np.exp(-0.5 * ((phase - 20) / 2.5) ** 2)
    return np.zeros(len(at))


def planted(kind, seed):
    """A series with noise of deviation 1 and one event: values, periods, first and last point."""
    rng = np.random.default_rng(seed)
    at = np.arange(float(N))
    season = str(rng.choice(["wave", "beat"]))
    if kind not in ("missing beat", "out-of-season"):
        season = str(rng.choice([season, "none"]))
    noise = rng.normal(size=N)
    x = 40 + _season(at, season) + noise
    start, size = int(rng.integers(500, 700)), rng.uniform(8, 16)
    sign = rng.choice([-1, 1])
    if kind in ("spike", "dip"):
        last = start + int(rng.integers(0, 4))
        up = 1 if kind == "spike" else -1
        # From the season's end on, so that no other phase has such values.
        ends = x.max() if up > 0 else x.min()
        x[start : last + 1] = ends + up * rng.uniform(6, 16, last - start + 1)
    elif kind == "level shift":
        last = N - 1 if rng.random() < 0.5 else start + int(rng.integers(60, 150))
        x[start : last + 1] += sign * (size + 6)
        last = min(last, start + 120)
    elif kind == "trend change":
        last = N - 1
        x[start:] += sign * rng.uniform(0.1, 0.3) * (at[start:] - start)
    elif kind == "variance change":
        last = start + int(rng.integers(40, 120))
        x[start : last + 1] += noise[start : last + 1] * (
            rng.uniform(2, 4) if rng.random() < 0.7 else -rng.uniform(0.7, 0.9)
        )
    elif kind == "flat line":
        last = start + int(rng.integers(8, 80))
        x[start : last + 1] = x[start] if rng.random() < 0.5 else 0.0
    elif kind == "missing beat":
        start = start // PERIOD * PERIOD + (12 if season == "beat" else 0)
        last = start + (16 if season == "beat" else PERIOD // 2 - 1)
        x[start : last + 1] = 40 + noise[start : last + 1]
    elif kind == "odd shape":
        start = start // PERIOD * PERIOD
        last = start + PERIOD - 1
        beats = rng.choice([2, 3])
        wave = 7 * np.sin(2 * np.pi * beats * at[start : last + 1] / PERIOD)
        x[start : last + 1] = 40 + wave + noise[start : last + 1]
    else:
        shift = PERIOD // 2 if season == "wave" else 24
        start = start // PERIOD * PERIOD + (6 if season == "wave" else 37)
        last = start + 12
        piece = np.arange(start, last + 1)
        x[piece] = (
            40 + _season(piece + (shift if season == "wave" else -24.0), season) + noise[piece]
        )
    return x[:, None], [PERIOD] if season != "none" else [], start, last


def judged(kind, seed, blur=0):
    x, periods, first, last = planted(kind, seed)
    series = Describer(x, expected_band(x, periods), periods, HOUR)
    if blur:
        first, last = series.tighten(max(0, first - blur), min(N - 1, last + blur))
    return series.describe(first, last)


def confusion(seeds, blur=0):
    """Planted kinds in rows, kinds found in columns."""
    table = np.zeros((len(KINDS), len(KINDS)), dtype=int)
    for i, kind in enumerate(KINDS):
        for seed in seeds:
            table[i, KINDS.index(judged(kind, seed, blur).kind)] += 1
    return table


@pytest.mark.parametrize("blur", [0, 12])
def test_kinds_are_told_apart(blur):
    table = confusion(range(20), blur)
    right = np.diag(table) / table.sum(axis=1)
    assert right.mean() >= 0.8, table
    assert right.min() >= 0.6, table


def _flat_series(n=600, width=1):
    return np.random.default_rng(0).normal(12, 1, (n, width))


def _say(x, first, last, step=HOUR, names=None):
    return Describer(x, expected_band(x), (), step, names).describe(first, last)


def test_words_say_what_a_person_wants_to_know():
    x = _flat_series()
    x[300:303] += 36
    assert re.fullmatch(r"rose from about 1[12]\S* to 4\S+ for 3 h", _say(x, 300, 302).words)
    x = _flat_series()
    x[300:305] = 0.0
    assert _say(x, 300, 304).words == "stayed at exactly 0 for 5 h"
    assert _say(x, 300, 304, step=None).words == "stayed at exactly 0 for 5 points"
    x = _flat_series()
    x[400:] += 30
    said = _say(x, 400, 430)
    assert said.words.startswith("rose from about 1")
    assert said.words.endswith("and stayed there")
    x = _flat_series()
    x[300:] += np.arange(300)[:, None] / 24 * 10
    said = _say(x, 310, 599)
    assert said.kind == "trend change"
    slope = float(said.words.split("about ")[1].split()[0])
    assert slope == pytest.approx(10, rel=0.25)


def test_channels_that_left_their_band_come_strongest_first():
    x = _flat_series(width=4)
    x[300:304, 2] += 40
    x[301:304, 0] -= 10
    said = _say(x, 300, 303, names=["a", "b", "c", "d"])
    assert said.channels == ["c", "a"]
    assert said.words.startswith("c rose")


def test_a_channel_that_fell_silent_is_found_though_none_left_its_band():
    x = np.random.default_rng(0).normal(0, 1, (600, 3))
    x[300:380, 1] *= 0.05
    said = _say(x, 300, 379)
    assert (said.kind, said.channels) == ("variance change", ["channel 1"])


@pytest.mark.parametrize("seed", range(4))
def test_tighten_finds_the_ends_of_what_left_the_band(seed):
    x = np.random.default_rng(seed).normal(size=(800, 1))
    x[400:420] += 15
    series = Describer(x, expected_band(x))
    first, last = series.tighten(370, 450)
    assert abs(first - 400) <= 1
    assert abs(last - 419) <= 1


def test_tighten_leaves_an_event_that_never_left_the_band():
    x = np.random.default_rng(0).normal(size=(800, 1))
    x[400:440, 0] = 2 * np.sin(np.arange(40) / 2)
    assert Describer(x, expected_band(x)).tighten(395, 445) == (395, 445)


def test_missing_values_are_survived():
    x = _flat_series()
    x[290:310] = np.nan
    assert _say(x, 295, 300).words == "has no value for 6 h"
    assert _say(x, 280, 320).kind in KINDS
    short = np.full((5, 1), np.nan)
    short[2] = 1.0
    assert _say(short, 2, 2).kind in KINDS


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.25, "0.25 s"), (60, "1 min"), (7200, "2 h"), (86400 * 10, "10 d")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_an_ordinary_value_in_an_odd_course_is_no_spike():
    x = np.random.default_rng(0).normal(12, 1, (400, 1))
    x[200] = 12.5
    found = Describer(x, expected_band(x)).describe(200, 200)
    assert found.kind == "odd shape"
    assert "ordinary by itself" in found.words
