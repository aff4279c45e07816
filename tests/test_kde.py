"""KDE: scikit-learn's density, leaving a row out of its own, the rules for the width."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KernelDensity

import oracles
from awry.checks import check_detector
from awry.detectors.tabular.kde import KDE

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 3)) * [1.0, 100.0, 1e-3] + [0.0, 1e4, 5.0]


def test_conformance_of_other_settings():
    check_detector(KDE(bandwidth=0.5, max_samples=None))


def test_density_of_new_rows_is_scikit_learns():
    detector = KDE(bandwidth=0.7).fit(X)
    new = X * 1.01 + 0.1
    scaled, center = detector.width_ / 0.7, detector.center_
    peer = KernelDensity(bandwidth=0.7).fit((X - center) / scaled)
    expected = peer.score_samples((new - center) / scaled) - np.log(scaled).sum()
    np.testing.assert_allclose(-detector.decision_function(new), expected, rtol=1e-9)


@pytest.mark.parametrize("max_samples", [None, 60])
def test_training_rows_are_left_out_of_their_own_density(max_samples):
    Z = np.vstack([X, X[:5], X[:1]])
    detector = KDE(max_samples=max_samples, random_state=0).fit(Z)
    points = detector.points_ * detector.width_ + detector.center_
    kept = np.array([Z[np.abs(Z - p).sum(axis=1).argmin()] for p in points])
    expected = -oracles.kernel_density(Z, kept, detector.width_)
    np.testing.assert_allclose(detector.decision_scores_, expected, rtol=1e-9)


def test_density_integrates_to_one():
    x = np.array([[0.0], [1.0], [1.5], [40.0]])
    grid = np.linspace(-100, 150, 200_001)[:, None]
    detector = KDE().fit(x)
    density = np.exp(-detector.decision_function(grid))
    on_a_row = (grid == x.T).any(axis=1)
    area = np.where(on_a_row, 0, density).sum() * (grid[1, 0] - grid[0, 0])
    assert area == pytest.approx(1, abs=1e-3)


def test_width_follows_the_named_rule():
    robust = KDE(bandwidth=1.0).fit(X).width_
    scott, silverman = (KDE(bandwidth=b, smoothing=2).fit(X).width_ for b in ("scott", "silverman"))
    np.testing.assert_allclose(scott, robust * 2 * 150 ** (-1 / 7))
    np.testing.assert_allclose(silverman, robust * 2 * (150 * 5 / 4) ** (-1 / 7))


def test_row_in_an_empty_middle_is_the_oddest():
    angle = RNG.uniform(0, 2 * np.pi, 500)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) * RNG.normal(1, 0.05, (500, 1))
    ring[0] = 0.0
    assert KDE(smoothing=1).fit(ring).decision_scores_.argmax() == 0


def test_fewer_kernels_rank_rows_nearly_as_all_do():
    Z = RNG.normal(size=(6000, 4))
    Z[:60] = RNG.normal(size=(60, 4)) * 3
    odd = np.arange(6000) < 60
    whole = roc_auc_score(odd, KDE(max_samples=None).fit(Z).decision_scores_)
    part = roc_auc_score(odd, KDE(max_samples=1000, random_state=0).fit(Z).decision_scores_)
    assert part == pytest.approx(whole, abs=0.01)


def test_very_far_rows_still_differ_in_score():
    scores = KDE().fit(X).decision_function(X[:1] + np.outer([1e3, 1e4, 1e6], [1, 1, 1]))
    assert (np.diff(scores) > 1e3).all()
    assert np.isfinite(scores).all()


def test_contributions_are_those_of_the_kernels_that_matter():
    detector = KDE(bandwidth=0.8).fit(X)
    odd = X[:2] + np.array([[0.0, 900.0, 0.0], [0.0, 0.0, -9e-3]])
    why = detector.explain(odd)
    squares = ((odd[:, None] - X[None]) / detector.width_) ** 2
    shares = np.exp(-squares.sum(axis=2) / 2)
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        why.values, (shares[:, :, None] * squares).sum(axis=1) / 2, rtol=1e-6
    )
    assert why.values.argmax(axis=1).tolist() == [1, 2]
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total)
