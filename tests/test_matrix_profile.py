"""Matrix profile detectors: discords, holes, several channels, lengths, noise, and following."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.series.left_matrix_profile import LeftMatrixProfile
from awry.detectors.series.matrix_profile import MatrixProfile


def _waves(n=4000, seed=0, scale=0.1):
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(n) * 2 * np.pi / 50) + rng.normal(scale=scale, size=n)


@pytest.mark.parametrize("window", [50, (30, 70)])
def test_a_block_of_missing_values_does_not_move_the_peak(window):
    x = _waves()
    x[3000:3025] *= -0.5
    whole = MatrixProfile(window=window).fit(x)
    x[1000:1100] = np.nan
    holed = MatrixProfile(window=window).fit(x)
    for model in (whole, holed):
        assert 2975 <= model.decision_scores_.argmax() <= 3025
        assert all(2930 < found[0] <= 3025 for found in model.discords(1))
    assert holed.decision_scores_[1010:1090] == pytest.approx(holed.neutral_)


def test_discords_come_in_order_and_do_not_overlap():
    x = _waves()
    for at, factor in ((500, -1.0), (1700, -0.3), (3200, 0.3)):
        x[at : at + 25] *= factor
    (found,) = MatrixProfile(window=50).fit(x).discords(3)
    np.testing.assert_allclose(np.sort(found) + 25, [512, 1712, 3212], atol=45)
    assert np.abs(np.subtract.outer(found, found))[~np.eye(3, dtype=bool)].min() >= 50


def test_what_was_seen_in_training_is_no_longer_odd():
    train, new = _waves(), _waves(seed=1)
    new[2000:2025] *= -0.5
    model = MatrixProfile(window=50).fit(train)
    assert 1950 < model.decision_function(new).argmax() < 2075
    train[700:725] *= -0.5
    taught = MatrixProfile(window=50).fit(train)
    peak = slice(1980, 2045)
    assert taught.decision_function(new)[peak].max() < model.decision_function(new)[peak].max() / 2


def test_channels_that_disagree_show_only_where_they_are_looked_at_together():
    """Each channel's shape is common; together they occur once."""
    rng = np.random.default_rng(0)
    at = np.arange(3000)
    a, b = np.where(at // 50 % 2, np.sin(at / 4), np.sin(at / 8)), np.zeros(3000)
    b[:] = np.where(at // 50 % 2, np.cos(at / 3), np.cos(at / 6))
    b[1500:1550] = b[1550:1600]
    X = np.column_stack([a, b]) + rng.normal(scale=0.02, size=(3000, 2))
    found = MatrixProfile(window=50, n_dimensions=2).fit(X).discords(1)[0][0]
    assert 1450 < found < 1560


def test_noise_makes_flat_stretches_odd_unless_its_level_is_known():
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(4000) * 2 * np.pi / 50) * (np.arange(4000) % 1000 < 600)
    x += rng.normal(scale=0.05, size=4000)
    x[2200:2220] += np.hanning(20)
    plain = MatrixProfile(window=50).fit(x).decision_scores_
    aware = MatrixProfile(window=50, noise_level="auto").fit(x)
    assert aware.noise_ == pytest.approx(0.05, rel=0.25)
    assert plain.argmax() % 1000 > 600
    assert 2150 < aware.decision_scores_.argmax() < 2270


def test_causal_training_scores_do_not_look_ahead():
    x = _waves(1500)
    other = x.copy()
    other[1000:] = np.random.default_rng(5).normal(size=500)
    first, second = (
        MatrixProfile(window=50, causal=True).fit(z).decision_scores_ for z in (x, other)
    )
    np.testing.assert_allclose(first[200:1000], second[200:1000], atol=1e-6)


def test_following_is_the_left_profile_of_the_batch():
    x = _waves(1500)
    x[900:925] *= -0.5
    online = LeftMatrixProfile(window=50).fit(x).decision_scores_
    batch = MatrixProfile(window=50, causal=True).fit(x).decision_scores_
    np.testing.assert_allclose(online[200:], batch[200:], atol=1e-6)
    assert 900 <= online[200:].argmax() + 200 < 975


def test_the_buffer_forgets():
    x = _waves(3000)
    for at in (400, 2400):
        x[at : at + 25] *= -0.5
    remembers, forgets = (
        LeftMatrixProfile(window=50, buffer=size).fit(x).decision_scores_[2400:2475].max()
        for size in (10_000, 500)
    )
    assert forgets > 1.5 * remembers
