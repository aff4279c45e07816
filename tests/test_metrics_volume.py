"""VUS against a slow twin, and against figures of the authors' code."""

from __future__ import annotations

import numpy as np
import pytest

from awry.core.errors import DataError
from awry.metrics.volume import runs, vus

CASES = [
    (300, 20, [(20, 30), (35, 36), (38, 38), (100, 150)]),
    (500, 40, [(0, 10), (490, 499), (470, 472)]),
    (400, 7, [(50, 50), (53, 53), (56, 60)]),
]
#: What the code of Paparrizos et al. gives for the cases below, for normal and for rounded scores.
AUTHORS = [
    (0.8301774917505759, 0.5108770485778841), (0.8464006541146665, 0.5535768687551437),
    (0.8934753488146586, 0.35910321205242085), (0.8133688728693202, 0.18176419108458244),
    (0.7681988792728589, 0.14531497930140208), (0.7321144814923681, 0.08412985663979854),
]  # fmt: skip


def _slow(y, scores, window, n_thresholds=250):
    """The definition, point by point."""
    n, events = len(y), runs(y)
    cuts = np.sort(scores)[::-1][np.linspace(0, n - 1, n_thresholds).astype(int)]
    areas = []
    for length in range(window + 1):
        half, weight = length // 2, y.astype(float)
        for start, end in events:
            for t in range(n):
                gap = start - t if t < start else t - end
                if 0 < gap <= half:
                    weight[t] += np.sqrt(1 - gap / length)
        weight = np.minimum(weight, 1)
        joined = []
        for start, end in events:
            if joined and not joined[-1][1] < start - half:
                joined[-1][1] = end + half
            else:
                joined.append([start - half, end + half])
        tpr, fpr, precision = [0.0], [0.0], []
        for cut in cuts:
            flagged = scores >= cut
            hits = weight[flagged].sum()
            mass = (y.sum() + y.sum() + weight[flagged & (y == 0)].sum()) / 2
            seen = np.mean([flagged[max(a, 0) : b + 1].any() for a, b in joined])
            tpr.append(min(hits / mass, 1) * seen)
            fpr.append((flagged.sum() - hits) / (n - mass))
            precision.append(hits / flagged.sum())
        pr = np.dot(np.diff(tpr), precision)
        tpr, fpr = np.array([*tpr, 1.0]), np.array([*fpr, 1.0])
        areas.append((np.dot(np.diff(fpr), (tpr[1:] + tpr[:-1]) / 2), pr))
    return np.mean(areas, axis=0)


def _cases():
    rng = np.random.default_rng(0)
    for n, window, events in CASES:
        y = np.zeros(n, int)
        for a, b in events:
            y[a : b + 1] = 1
        yield y, rng.normal(size=n) + y, window
        yield y, np.round(rng.normal(size=n) + y), window
        rng.normal(size=n)  # the authors' figures were drawn with a third case in between


@pytest.mark.parametrize(("case", "figures"), list(zip(_cases(), AUTHORS, strict=True)))
def test_the_authors_figures(case, figures):
    y, scores, window = case
    np.testing.assert_allclose(vus(y, scores, window), figures, rtol=1e-9)
    np.testing.assert_allclose(_slow(y, scores, window), figures, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_slow_twin_on_crowded_anomalies(seed):
    rng = np.random.default_rng(seed)
    y = (rng.random(120) < 0.2).astype(int)
    scores = rng.normal(size=120).round(1)
    np.testing.assert_allclose(vus(y, scores, 12, 40), _slow(y, scores, 12, 40), rtol=1e-9)


def test_perfect_and_inverted_scores():
    y = np.zeros(200, int)
    y[50:80] = 1
    assert vus(y, y.astype(float), 0) == pytest.approx((1.0, 1.0))
    assert vus(y, -y.astype(float), 0).roc < 0.1
    assert vus(y, y.astype(float), 20).pr > 0.85


def test_bad_input_is_said():
    with pytest.raises(DataError, match="both"):
        vus(np.zeros(5), np.zeros(5))
    with pytest.raises(DataError, match="one length"):
        vus(np.zeros(5), np.zeros(4))
    with pytest.raises(DataError, match="finite"):
        vus([0, 1], [np.nan, 1])
    with pytest.raises(ValueError, match="window"):
        vus([0, 1], [0, 1], window=-1)
