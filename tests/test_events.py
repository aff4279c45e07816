"""Flagged items become events, however the data was cut."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from awry.core.events import EventBuilder


def _events(severity, scores, position, cuts, gap):
    builder, found = EventBuilder(gap=gap), []
    for start, stop in zip([0, *cuts], [*cuts, len(scores)], strict=True):
        part = slice(start, stop)
        found += builder.push(severity[part], scores[part], position[part])
    return sorted([*found, *builder.flush()], key=lambda e: e.first)


@given(st.data())
def test_batch_cuts_do_not_change_events(data):
    n = data.draw(st.integers(1, 40))
    severity = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    steps = data.draw(st.lists(st.floats(0, 5), min_size=n, max_size=n))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    position, scores = np.cumsum(steps), np.arange(n) % 7 + 0.5
    whole = _events(severity, scores, position, [], 2.0)
    assert _events(severity, scores, position, cuts, 2.0) == whole
    assert sum(e.size for e in whole) == (severity > 0).sum()
    for event in whole:
        inside = np.arange(event.first, event.last + 1)
        flagged = inside[severity[inside] > 0]
        assert event.score == scores[flagged].max()
        assert event.severity == severity[flagged].max()
        assert (np.diff(position[flagged]) <= 2.0 + 1e-12).all()
    for one, next_ in itertools.pairwise(whole):
        assert next_.start - one.end > 2.0 - 1e-12


def test_series_do_not_mix():
    builder = EventBuilder(gap=1.0)
    flag, score = np.array([1]), np.array([1.0])
    list(builder.push(flag, score, np.array([0.0]), "a"))
    list(builder.push(flag, score, np.array([0.0]), "b"))
    assert sorted((e.key, e.size) for e in builder.flush()) == [("a", 1), ("b", 1)]
