"""The generators keep what docs/generators.md promises of rows, habits and anomalies."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import awry.data.generate as g
from awry.core.params import ParameterError
from awry.data.generate import LABELS, NAMES, generate, generate_batches, kinds, stream
from awry.data.generate.places import BETWEEN, CITY, Travel
from awry.data.generate.population import Population, fixed_noise, rhythm

IDENTIFIER = dict(zip(NAMES, ["transaction_id", "flow_id", "reading_id", "event_id"], strict=True))
ENTITY = dict(zip(NAMES, ["card_id", "src_ip", "machine_id", "user_id"], strict=True))
every = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return {name: generate(name, 60_000, seed=3) for name in NAMES}


# ---------------------------------------------------------------- the promises all of them keep


@every
def test_same_seed_same_rows_however_cut(name):
    whole = generate(name, 45_000, seed=7)
    again = pd.concat(generate_batches(name, 45_000, batch_size=7_777, seed=7), ignore_index=True)
    assert (whole.dtypes == again.dtypes).all()
    assert whole.equals(again)
    assert whole.head(500).equals(generate(name, 500, seed=7))
    assert not whole.head(500).equals(generate(name, 500, seed=8))


@every
def test_stream_gives_the_same_rows(name):
    whole = generate(name, 3_000, seed=2)
    assert list(itertools.islice(stream(name, seed=2), 3_000)) == whole.to_dict("records")
    cut = pd.concat(itertools.islice(stream(name, seed=2, batch=700), 4), ignore_index=True)
    assert cut.equals(whole.head(2_800))


@every
def test_rows_are_in_order_numbered_and_complete(name, frames):
    frame = frames[name]
    assert frame["timestamp"].is_monotonic_increasing
    assert frame["timestamp"].iloc[0] >= pd.Timestamp("2024-01-01")
    assert (frame[IDENTIFIER[name]] == np.arange(len(frame))).all()
    assert not frame.isna().any().any()
    assert tuple(frame.columns[-4:]) == LABELS


@every
def test_labels_agree_with_the_kinds(name, frames):
    frame, declared = frames[name], kinds(name)
    honest = frame["is_anomaly"] == 0
    assert set(declared) == set(frame.loc[~honest, "anomaly_kind"])
    assert {kind.type for kind in declared.values()} == {"point", "contextual", "collective"}
    assert (frame.loc[honest, ["anomaly_kind", "anomaly_type"]] == "").all().all()
    assert (frame["incident_id"].eq(0) == honest).all()
    for (kind, number), rows in frame[~honest].groupby(
        ["anomaly_kind", "incident_id"], observed=True
    ):
        assert set(rows["anomaly_type"]) == {declared[kind].type}
        low, high = declared[kind].rows
        # An incident that the last row cuts off is shorter.
        last = rows["incident_id"].iloc[0] in frame["incident_id"].tail(3_000).to_numpy()
        assert len(rows) <= high
        assert len(rows) >= low or last, (kind, number)


@every
@pytest.mark.parametrize("rate", [0.0, 0.005, 0.1])
def test_anomaly_rate_is_kept_and_shared(name, rate):
    frame = generate(name, 120_000, seed=5, anomaly_rate=rate)
    assert frame["is_anomaly"].mean() == pytest.approx(rate, rel=0.15)
    if rate == 0.1:
        counts = frame.loc[frame["is_anomaly"] == 1, "anomaly_kind"].value_counts()
        shares = pd.Series({kind: spec.share for kind, spec in kinds(name).items()})
        for kind, expected in (counts.sum() * shares / shares.sum()).items():
            assert counts[kind] == pytest.approx(expected, rel=0.2)


@every
def test_default_length_has_every_type(name):
    for seed in range(4):
        found = generate(name, seed=seed)["anomaly_type"].value_counts()
        assert found.min() > 0, seed


@every
def test_kinds_can_be_chosen_and_weighed(name):
    first, second, *_ = kinds(name)
    only = generate(name, 20_000, kinds=[second])
    assert set(only["anomaly_kind"]) == {"", second}
    both = generate(name, 60_000, anomaly_rate=0.05, kinds={first: 3, second: 1})
    counts = both["anomaly_kind"].value_counts()
    assert counts[first] == pytest.approx(3 * counts[second], rel=0.15)


@every
def test_normal_rows_do_not_depend_on_the_anomalies(name):
    # Sessions and rows are numbered in order, incidents included, so numbers may differ.
    drop = [IDENTIFIER[name], "session_id", *LABELS]
    clean = generate(name, 30_000, anomaly_rate=0).drop(columns=drop, errors="ignore")
    mixed = generate(name, 30_000, anomaly_rate=0.1)
    kept = mixed["is_anomaly"].to_numpy() == 0
    mixed = mixed.drop(columns=drop, errors="ignore")[kept].reset_index(drop=True)
    # Failures change readings in place; the other incidents add rows.
    clean = clean[kept] if name == "iot_sensors" else clean.head(len(mixed))
    assert mixed.equals(clean.reset_index(drop=True))


@every
@pytest.mark.parametrize("entities", [1, 3])
def test_few_entities(name, entities):
    frame = generate(name, 40_000, entities=entities, anomaly_rate=0.05)
    assert frame["is_anomaly"].mean() == pytest.approx(0.05, rel=0.3)
    if name != "network_traffic":  # there servers and the outside act too
        assert frame[ENTITY[name]].nunique() == entities


@every
def test_start_moves_the_clock_with_its_weekday_and_hour(name):
    early = generate(name, 3_000, anomaly_rate=0)
    late = generate(name, 3_000, anomaly_rate=0, start="2024-01-01 05:40")
    assert late["timestamp"].iloc[0] >= pd.Timestamp("2024-01-01 05:00")
    assert late["timestamp"].iloc[0] < pd.Timestamp("2024-01-01 08:00")
    if name != "iot_sensors":  # sensors read at the same pace at all hours
        # From five on the day begins at once, so as many rows take less time.
        def span(frame):
            return frame["timestamp"].iloc[300] - frame["timestamp"].iloc[0]

        assert span(late) < 0.7 * span(early)


@every
def test_memory_does_not_grow_with_the_rows(name):
    def peak(n: int) -> int:
        tracemalloc.start()
        for _ in generate_batches(name, n, batch_size=10_000):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(1_000)
    long = peak(200_000)
    assert long < 1.25 * peak(80_000)
    assert long < 80e6


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("bank", {}, "name must be one of financial_transactions"),
        (None, {}, "name must be"),
        ("iot_sensors", {"n": 0}, "n must be an integer >= 1, got 0"),
        ("iot_sensors", {"n": 2.5}, "n must be an integer >= 1, got 2.5"),
        ("iot_sensors", {"n": True}, "n must be an integer"),
        ("iot_sensors", {"seed": -1}, "seed must be an integer >= 0, got -1"),
        ("iot_sensors", {"anomaly_rate": 0.7}, "anomaly_rate must be a number >= 0 and <= 0.5"),
        ("iot_sensors", {"anomaly_rate": float("nan")}, "anomaly_rate must be"),
        ("iot_sensors", {"anomaly_rate": "0.1"}, "anomaly_rate must be"),
        ("iot_sensors", {"kinds": ["ddos"]}, "sensor_fault, .* got \\['ddos'\\]"),
        ("network_traffic", {"kinds": "ddos"}, "kinds must be a list"),
        ("network_traffic", {"kinds": []}, "kinds must be a list"),
        ("network_traffic", {"kinds": {"ddos": 0}}, "kinds must be a list"),
        ("network_traffic", {"kinds": 3}, "kinds must be a list"),
        ("network_traffic", {"kinds": iter(["ddos"])}, "kinds must be a list"),
        ("user_behavior", {"entities": 0}, "entities must be an integer >= 1, got 0"),
        ("user_behavior", {"start": "some day"}, "start must be a time"),
        ("user_behavior", {"start": "2024-01-01T00:00Z"}, "start must be a time without zone"),
        ("user_behavior", {"start": 7}, "start must be a time"),
        ("user_behavior", {"users": 7}, "option must be one of anomaly_rate"),
    ],
)
def test_bad_parameters_are_named(name, options, words):
    with pytest.raises(ParameterError, match=words):
        generate(name, **options)


@pytest.mark.parametrize(
    "options", [{"rate": 0}, {"rate": -2.0}, {"rate": float("inf")}, {"batch": 0}]
)
def test_bad_stream_parameters_raise_at_the_call(options):
    with pytest.raises(ParameterError, match=next(iter(options))):
        stream("iot_sensors", **options)
    with pytest.raises(ParameterError, match="batch_size must be"):
        generate_batches("iot_sensors", 10, batch_size=0)


class FakeTime:
    """A clock that only sleeping, and a slow consumer, move."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def test_rate_is_kept_by_sleeping(monkeypatch):
    clock = FakeTime()
    monkeypatch.setattr(g, "time", clock)
    for _ in itertools.islice(stream("iot_sensors", rate=50), 501):
        clock.now += 0.004  # the consumer's own work counts
    assert clock.now - 100 == pytest.approx(10.0, abs=0.05)
    before = clock.now
    for _ in itertools.islice(stream("iot_sensors", rate=50, batch=25), 21):
        pass
    assert clock.now - before == pytest.approx(10.0, abs=0.05)


def test_a_consumer_that_stalls_gets_no_burst(monkeypatch):
    clock = FakeTime()
    monkeypatch.setattr(g, "time", clock)
    rows = stream("iot_sensors", rate=10)
    next(rows)
    clock.now += 60
    before = clock.now
    for _ in itertools.islice(rows, 11):
        pass
    assert clock.now - before == pytest.approx(1.0, abs=0.15)


def test_interrupting_the_sleep_ends_the_stream(monkeypatch):
    clock = FakeTime()
    monkeypatch.setattr(g, "time", clock)
    rows = stream("iot_sensors", rate=1)
    next(rows)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    clock.sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        next(rows)
    assert next(rows, None) is None


def test_another_process_gives_the_same_rows_and_loads_little():
    code = (
        "import sys, awry.data.generate as g\n"
        "for name in g.NAMES: print(g.generate(name, 500).to_csv(), end='')\n"
        "print([m for m in ('sklearn', 'scipy', 'torch', 'numba') if m in sys.modules])"
    )
    run = [sys.executable, "-c", code]
    hashes = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=hashes)
    here = "".join(generate(name, 500).to_csv() for name in NAMES)
    assert done.stdout == here + "[]\n"


@pytest.mark.parametrize("entities", [None, 20_000])
def test_addresses_are_all_different(entities):
    for name, column in (("network_traffic", "src_ip"), ("user_behavior", "ip")):
        for seed in range(8 if entities is None else 1):
            frame = generate(name, 1, seed=seed, entities=entities, anomaly_rate=0)
            words = frame[column].cat.categories
            assert words.is_unique
            octets = np.array([word.split(".") for word in words], dtype=int)
            assert octets.min() >= 0
            assert octets.max() <= 255


# --------------------------------------------------------------------------------- the shared idea


def test_population_keeps_pace_and_rhythm():
    rng = np.random.default_rng(0)
    rhythms = np.array([rhythm(((12, 2, 1.0),)), rhythm(((0.0, 2, 1.0),), 0.1)])
    pace, group = np.array([0.5, 2.0, 1.0, 4.0]), np.array([0, 1, 0, 1])
    people = Population(pace, group, rhythms)
    time, who = people.arrivals(rng, np.arange(168 * 20) % 168)
    assert (np.diff(time) >= 0).all()
    hours = 168 * 20
    np.testing.assert_allclose(np.bincount(who) / hours, pace, rtol=0.08)
    for entity in range(4):
        seen = np.bincount(np.floor(time[who == entity]).astype(int) % 24, minlength=24)
        expected = (
            rhythms[group[entity]].reshape(7, 24).mean(axis=0) * len(time[who == entity]) / 24
        )
        np.testing.assert_allclose(seen, expected, atol=5 * np.sqrt(expected.max()))
    quiet = people.quiet_hour(rng, np.array([0, 1] * 50))
    assert set(quiet[::2]) <= {22, 23, 0, 1}
    assert set(quiet[1::2]) <= {10, 11, 12, 13}


def test_fixed_noise_is_uniform_and_a_function_of_its_keys():
    a, b = np.arange(20_000), np.arange(20_000) // 7
    noise = fixed_noise(5, a, b)
    assert (noise == fixed_noise(5, a, b)).all()
    assert abs(np.corrcoef(noise, fixed_noise(6, a, b))[0, 1]) < 0.03
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.03
    counts = np.histogram(noise, 20, (0, 1))[0]
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_trips_last_days_and_return_home():
    rng = np.random.default_rng(0)
    home = np.zeros(200, dtype=np.intp)
    travel = Travel(rng, home, 0.3, clock=0.0)
    person = np.repeat(np.arange(200), 24 * 90)
    city = travel.where(person, np.tile(np.arange(24 * 90) * 3600.0, 200)).reshape(200, -1)
    away = city != 0
    assert 0.02 < away.mean() < 0.12
    moved = np.diff(city, axis=1) != 0
    # One comes and goes at four in the morning, and not more than twice a month.
    assert set(np.flatnonzero(moved.any(axis=0)) % 24) == {3}
    assert moved.sum(axis=1).max() <= 8


def test_distances_are_those_of_the_globe():
    berlin, paris = CITY.index("Berlin"), CITY.index("Paris")
    assert BETWEEN[berlin, paris] == pytest.approx(878, abs=6)
    assert BETWEEN[CITY.index("London"), CITY.index("New York")] == pytest.approx(5570, abs=20)
    assert np.allclose(np.diag(BETWEEN), 0)


# ------------------------------------------------------------------------------------ the page


PAGE = (Path(__file__).parents[1] / "docs" / "generators.md").read_text()


def test_examples_of_the_page_run():
    space: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(block, space)


@every
def test_page_names_every_column_and_kind(name):
    section = PAGE.split(f"## {name}\n")[1].split("\n## ")[0]
    columns = [c for c in generate(name, 1).columns if c not in LABELS]
    for word in [*columns, *kinds(name)]:
        assert f"`{word}`" in section, word
