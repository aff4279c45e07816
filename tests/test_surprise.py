"""Surprise: scores of many series on one scale, undisturbed by the anomalies among them."""

from __future__ import annotations

import numpy as np
import pytest

from awry.core.surprise import OWN_TAILS, Surprise


@pytest.mark.parametrize("kind", ["normal", "exponential", "half normal", "lognormal"])
def test_a_thousandth_of_clean_scores_exceeds_three(kind: str) -> None:
    rng = np.random.default_rng(0)
    draw = {
        "normal": rng.normal,
        "exponential": rng.exponential,
        "half normal": lambda size: np.abs(rng.normal(size=size)),
        "lognormal": lambda size: rng.lognormal(sigma=0.5, size=size),
    }[kind]
    scores = draw(size=200_000)
    rate = (Surprise().fit([scores]).transform(0, scores) > 3).mean()
    assert 1e-4 < rate < 4e-3, rate


@pytest.mark.parametrize("share", [0.01, 0.04])
def test_an_event_that_lasts_does_not_hide_itself(share: float) -> None:
    scores = np.abs(np.random.default_rng(0).normal(size=2000))
    count = int(share * 2000)
    scores[700 : 700 + count] += 15.0
    surprise = Surprise().fit([scores]).transform(0, scores)
    assert surprise[700 : 700 + count].min() > 4
    assert (np.delete(surprise, np.arange(700, 700 + count)) > 3.5).mean() < 2e-3


def test_scale_and_place_do_not_matter() -> None:
    scores = np.random.default_rng(0).exponential(size=3000)
    both = Surprise().fit([scores, 7 + 100 * scores])
    np.testing.assert_allclose(
        both.transform(0, scores), both.transform(1, 7 + 100 * scores), rtol=1e-9, atol=1e-9
    )


def test_it_rises_with_the_score() -> None:
    scores = np.random.default_rng(0).normal(size=1000)
    at = np.linspace(scores.min(), 50, 500)
    assert (np.diff(Surprise().fit([scores]).transform(0, at)) > 0).all()


def test_many_series_share_an_exponent_but_not_their_scale() -> None:
    rng = np.random.default_rng(0)
    scores = [10.0**i * rng.exponential(size=60) for i in rng.uniform(-3, 3, OWN_TAILS + 50)]
    found = Surprise().fit(scores)
    assert len({tail.exponent for tail in found.tails_}) == 1
    rates = [(found.transform(i, s) > 2).mean() for i, s in enumerate(scores)]
    assert 0.003 < np.mean(rates) < 0.03


@pytest.mark.parametrize(
    "scores",
    [np.zeros(0), np.zeros(50), np.full(50, 3.0), np.r_[np.zeros(95), np.arange(5.0)],
     np.r_[np.zeros(99), 1.0], np.repeat([1.0, 2.0], 25)],
)  # fmt: skip
def test_sparse_and_constant_scores_give_finite_surprises(scores: np.ndarray) -> None:
    found = Surprise().fit([scores]).transform(0, np.r_[scores, 0.0, 1.0, 1e9])
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_of_mostly_zero_scores_the_rare_ones_surprise() -> None:
    scores = np.zeros(5000)
    scores[::250] = np.random.default_rng(0).exponential(size=20)
    found = Surprise().fit([scores]).transform(0, scores)
    assert (found[scores == 0] == 0).all()
    assert (found[scores > 0] > -np.log10(20 / 5000) - 1e-9).all()
