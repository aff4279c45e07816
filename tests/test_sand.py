"""k-Shape and SAND: what is usual, what comes back, and what changes."""

from __future__ import annotations

import numpy as np

from awry.detectors.series.k_shape import KShape
from awry.detectors.series.sand import SAND


def _beats(n, seed=0):
    """A pulse every 40 points."""
    rng = np.random.default_rng(seed)
    beat = np.exp(-0.5 * ((np.arange(40) - 20) / 3.0) ** 2)
    return np.tile(beat, n // 40) + rng.normal(scale=0.03, size=n)


def _around(scores, at):
    return scores[at : at + 40].max()


def test_an_odd_shape_that_comes_back_stays_odd():
    """A nearest neighbour of its own does not hide it, as it does in a matrix profile."""
    x = _beats(4000)
    for at in (1200, 2800):
        x[at : at + 40] = x[at + 40 : at + 80] - 2 * x[at + 60 : at + 80].repeat(2)
    scores = KShape(window=40, random_state=0).fit(x).decision_scores_
    usual = np.quantile(scores, 0.5)
    assert min(_around(scores, 1200), _around(scores, 2800)) > 2 * usual


def test_a_season_s_start_does_not_matter():
    x = _beats(3000)
    model = KShape(window=40, random_state=0).fit(x)
    shifted = model.decision_function(_beats(3000, seed=1)[17:])
    assert np.median(shifted) < 1.3 * np.median(model.decision_scores_)


def test_sand_takes_new_shapes_for_usual_once_it_has_learnt_them():
    old = _beats(2000)
    new = np.sin(np.arange(2000) * 2 * np.pi / 40) ** 3
    new = new + np.random.default_rng(2).normal(scale=0.03, size=2000)
    model = SAND(window=40, batch_size=1000, random_state=0).fit(old)
    before, known = np.median(model.decision_function(new)), len(model.clusters_[0].sizes)
    for start in (0, 500, 1000, 1500):
        model.partial_fit(new[start : start + 500])
    assert np.median(model.decision_function(new)) < 0.8 * before
    assert len(model.clusters_[0].sizes) > known


def test_sand_merges_what_is_alike_and_its_memory_is_bounded():
    model = SAND(window=40, n_clusters=3, batch_size=1000, max_clusters=5, random_state=0)
    model.fit(_beats(1000))
    sizes = model.clusters_[0].sizes.sum()
    for seed in range(1, 6):
        model.partial_fit(_beats(1000, seed))
        assert len(model.clusters_[0].sizes) <= 5
    assert model.clusters_[0].sizes.sum() > 2 * sizes


def test_a_batch_too_short_for_a_shape_teaches_nothing():
    model = SAND(window=40, batch_size=1000, random_state=0).fit(_beats(1000))
    before = model.clusters_[0].centers.copy()
    assert np.array_equal(model.partial_fit(np.ones(20)).clusters_[0].centers, before)
