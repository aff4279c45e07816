"""LODA online against histograms counted anew for each row."""

from __future__ import annotations

import numpy as np

from awry.detectors.stream.loda_online import LODAOnline
from awry.kernels import fading
from oracles_stream import fading_histograms


def stream(n=300, d=5):
    return np.random.default_rng(0).normal(size=(n, d))


def test_scores_are_those_of_rows_weighed_by_age() -> None:
    X = stream()
    X[100] += 20
    detector = LODAOnline(n_random_cuts=12, memory=50, random_state=0).fit(X)
    rows = (X - detector.state_.center) / detector.state_.scale
    np.testing.assert_allclose(
        detector.decision_scores_, fading_histograms(rows, detector.state_, 50), rtol=1e-9
    )


def test_what_was_odd_becomes_ordinary_and_what_was_ordinary_odd() -> None:
    X = stream(2000)
    detector = LODAOnline(memory=200, random_state=0).fit(X)
    before = detector.score_one(X[0]), detector.score_one(X[0] + 9)
    detector.update(X + 9)
    after = detector.score_one(X[0]), detector.score_one(X[0] + 9)
    assert before[0] + 2 < before[1]
    assert after[1] + 2 < after[0]


def test_weights_made_small_again_change_no_score() -> None:
    # With so short a memory the weight of a row passes 1e200 again and again.
    X = stream(2000)
    detector = LODAOnline(n_random_cuts=5, memory=3, random_state=0).fit(X)
    assert detector.state_.clock[0] < 1e201
    rows = (X - detector.state_.center) / detector.state_.scale
    np.testing.assert_allclose(
        detector.decision_scores_, fading_histograms(rows, detector.state_, 3), rtol=1e-9
    )
    assert np.log(fading._LARGE) < 2000 / 3
