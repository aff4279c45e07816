"""Affiliation metrics against the authors' worked example, their code and plain averages."""

from __future__ import annotations

import numpy as np
import pytest

from awry.core.errors import DataError
from awry.metrics.affiliation import affiliation_by_event, affiliation_scores
from awry.metrics.volume import runs

#: What the code of Huet et al. (as kept in dtaianomaly 0.5.1) gives for `_cases`.
AUTHORS = [
    (0.28374999999999995, 0.6),
    (0.6441945773524721, 0.8284476342371079),
    (0.5175940225940228, 0.8993832866479925),
]

#: Point i stands for the interval from i to i + 1.
HALF_OPEN = np.array([0, 1])


def _cases():
    rng = np.random.default_rng(7)
    for n, width in ((40, 4), (200, 15), (1000, 20)):
        y = np.repeat(rng.random(n // width + 1) < 0.3, width)[:n].astype(int)
        yield y, np.repeat(rng.random(n // 3 + 1) < 0.3, 3)[:n].astype(int)


@pytest.mark.parametrize(("case", "figures"), list(zip(_cases(), AUTHORS, strict=True)))
def test_the_authors_figures(case, figures):
    np.testing.assert_allclose(affiliation_scores(*case), figures, rtol=1e-12)


def test_the_papers_example():
    # In minutes; the authors' unit test gives the figures of the second event.
    events = [(0, 10), (50, 70), (170, 175)]
    predicted = [(5, 6), (7, 10), (11, 12), (40, 60), (115, 130), (135, 140), (165, 170)]
    precision, recall = affiliation_by_event(events, predicted, (0, 180))
    assert precision[1] == pytest.approx(0.672222222)
    assert recall[1] == pytest.approx(0.944444444)


def _average(y, flags, steps=200):
    """The definition as plain averages: how often a random point of the stretch lies farther."""
    n, events, predicted = len(y), runs(y) + HALF_OPEN, runs(flags) + HALF_OPEN

    def inside(x, spans):
        return np.any([(a <= x) & (x < b) for a, b in spans], axis=0)

    def distance(x, spans):
        return np.min([np.maximum(np.maximum(a - x, x - b), 0) for a, b in spans], axis=0)

    middles = (events[:-1, 1] + events[1:, 0]) / 2
    x = (np.arange(n * steps) + 0.5) / steps
    zone = np.searchsorted(middles, x)
    precision, recall = [], []
    for j, event in enumerate(events):
        area = x[zone == j]
        hits = area[inside(area, predicted)]
        if len(hits) == 0:
            recall.append(0.0)
            continue
        chance = np.sort(distance(area, [event]))
        precision.append(
            np.mean(1 - np.searchsorted(chance, distance(hits, [event]) - 1e-9) / len(area))
        )
        low, high = (0 if j == 0 else middles[j - 1]), (n if j == len(events) - 1 else middles[j])
        clipped = np.clip(predicted, low, high)
        clipped = clipped[clipped[:, 0] < clipped[:, 1]]
        points = area[inside(area, [event])][:: steps // 10]
        far = distance(points, clipped)
        recall.append(
            np.mean(
                [(np.abs(area - p) >= d - 1e-9).mean() for p, d in zip(points, far, strict=True)]
            )
        )
    return np.mean(precision), np.mean(recall)


@pytest.mark.parametrize("seed", range(6))
def test_closed_forms_equal_plain_averages(seed):
    rng = np.random.default_rng(seed)
    y, flags = (np.repeat(rng.random((2, 12)) < 0.35, 3, axis=1)).astype(int)
    y[0:2], flags[20] = 1, 1
    np.testing.assert_allclose(affiliation_scores(y, flags), _average(y, flags), atol=0.02)


def test_chance_earns_a_half_and_nearer_earns_more():
    y = np.zeros(2_000, int)
    y[990:1010] = 1
    rng = np.random.default_rng(0)
    random = [affiliation_scores(y, np.arange(2_000) == rng.integers(2_000)) for _ in range(200)]
    assert np.mean([s.precision for s in random]) == pytest.approx(0.5, abs=0.06)
    places = [affiliation_scores(y, np.arange(2_000) == t) for t in (1000, 1010, 1100, 1900)]
    precision = [s.precision for s in places]
    assert precision[0] == 1
    assert precision == sorted(precision, reverse=True)
    assert len(set(precision)) == 4
    recall = [s.recall for s in places]
    assert recall == sorted(recall, reverse=True)


def test_nothing_flagged():
    scores = affiliation_scores([0, 1, 1, 0], [0, 0, 0, 0])
    assert np.isnan(scores.precision)
    assert (scores.recall, scores.f1) == (0, 0)


def test_a_missed_event_costs_recall_alone():
    y, flags = np.zeros(100, int), np.zeros(100, int)
    y[10:20] = y[80:90] = flags[10:20] = 1
    assert affiliation_scores(y, flags) == (1.0, 0.5)


def test_bad_input_is_said():
    with pytest.raises(DataError, match="no anomalies"):
        affiliation_scores([0, 0], [0, 1])
    with pytest.raises(DataError, match="predicted must be intervals"):
        affiliation_by_event([(1, 2)], [(3, 2)], (0, 9))
    with pytest.raises(DataError, match="span must hold"):
        affiliation_by_event([(1, 2)], [], (0, 1))
    with pytest.raises(DataError, match="at least one"):
        affiliation_by_event([], [(1, 2)], (0, 3))
