"""Events of many series become incidents: outages are found whole among noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awry.core.events import Event
from awry.core.incidents import IncidentBuilder, find_incidents

MINUTE = 60.0


def _event(start, length, key, score=3.0, severity=1):
    return Event(0, 0, 0, score, severity, 1, start, start + length, key)


def _noise(rng, n, keys, span):
    starts = rng.uniform(0, span, n)
    return [
        _event(t, rng.exponential(2 * MINUTE), f"s{k}", rng.uniform(2, 4))
        for t, k in zip(starts, rng.integers(0, keys, n), strict=True)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_planted_outages_come_first_and_whole(seed):
    rng = np.random.default_rng(seed)
    span = 30 * 86400.0
    events = _noise(rng, 1500, 300, span)
    outages = []
    for place in (0.2, 0.5, 0.8):
        keys = {f"s{k}" for k in rng.choice(300, 30, replace=False)}
        # The outage spreads: series follow within five minutes.
        events += [_event(place * span + rng.uniform(0, 5 * MINUTE), 3600, k, rng.uniform(4, 6), 2)
                   for k in keys]  # fmt: skip
        outages.append(keys)
    found = find_incidents(events, 3 * MINUTE)
    for incident in found[:3]:
        overlap = [
            len(keys & set(incident.keys)) / len(keys | set(incident.keys)) for keys in outages
        ]
        assert max(overlap) > 0.8
    assert sum(len(i.events) for i in found) == len(events)
    assert max(len(i.keys) for i in found[3:]) <= 6


def test_dense_noise_does_not_chain():
    """An event a minute for a day, whose neighbours are all within the tolerance."""
    rng = np.random.default_rng(0)
    found = find_incidents(_noise(rng, 1440, 1440, 86400.0), 3 * MINUTE)
    assert len(found) > 100
    assert max(len(i.events) for i in found) < 30


def test_a_chatty_series_is_no_part_of_every_incident():
    chatter = [_event(10.0 * i, 5.0, "chatty", 2.0 + (i % 3) / 10) for i in range(1000)]
    outage = [_event(5001.0 + i, 5.0, key, 5.0, 2) for i, key in enumerate("abcdef")]
    (first, *_) = find_incidents([*chatter, *outage], 30.0)
    assert set(first.keys) - {"chatty"} == set("abcdef")
    loud = [_event(5002.0, 5.0, "chatty", 9.0, 2)]
    (first, *_) = find_incidents([*chatter, *outage, *loud], 30.0)
    assert first.keys[0] == "chatty"


def test_series_that_met_before_may_come_later():
    pairs = [(1000.0 * i, 5.0 if i < 3 else 25.0) for i in range(5)]
    events = [e for at, lag in pairs for e in (_event(at, 1, "a", 4.0), _event(at + lag, 1, "b"))]
    assert [len(i.keys) for i in sorted(find_incidents(events, 10.0), key=lambda i: i.start)] == [
        2, 2, 2, 2, 2,
    ]  # fmt: skip
    strangers = [_event(3000.0, 1, "a", 4.0), _event(3025.0, 1, "c")]
    assert all(len(i.keys) == 1 for i in find_incidents(strangers, 10.0))


def test_ranking_weighs_severity_with_the_number_of_series():
    alone = [_event(0.0, 1, "x", 9.0, 3)]
    many = [_event(100.0, 1, f"s{i}", 2.0, 2) for i in range(8)]
    mild = [_event(200.0, 1, "y", 2.0, 1)]
    weights = [(i.severity, len(i.keys)) for i in find_incidents([*mild, *alone, *many], 5.0)]
    assert weights == [(2, 8), (3, 1), (1, 1)]


PARTS = st.tuples(st.floats(0, 100), st.floats(0, 20), st.sampled_from("abc"))


@settings(max_examples=60)
@given(st.lists(PARTS, max_size=30), st.randoms())
def test_every_event_is_in_one_incident_whatever_the_order(parts, random):
    events = [_event(*part, score=1 + i / 10) for i, part in enumerate(parts)]
    found = find_incidents(events, 2.0)
    assert sorted(id(e) for i in found for e in i.events) == sorted(map(id, events))
    for incident in found:
        assert incident.start == min(e.start for e in incident.events)
        assert incident.end == max(e.end for e in incident.events)
    random.shuffle(events)
    again = find_incidents(events, 2.0)
    assert [(i.start, i.keys) for i in again] == [(i.start, i.keys) for i in found]


def test_builder_yields_an_incident_once_it_is_over():
    builder = IncidentBuilder(5.0)
    assert list(builder.push(_event(0.0, 1, "a"))) == []
    assert list(builder.push(_event(4.0, 1, "b"))) == []
    (over,) = builder.push(_event(400.0, 1, "a"))
    assert over.keys == ["a", "b"]
    assert over.words.startswith("2 series at once")
    assert [i.start for i in builder.flush()] == [400.0]
