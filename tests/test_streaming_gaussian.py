"""The streaming Gaussian against explicit weighted moments."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.stream.streaming_gaussian import StreamingGaussian


def stream(n=300, d=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)) @ (rng.normal(size=(d, d)) + np.eye(d))


@pytest.mark.parametrize("clip", [None, 1.0])
def test_scores_are_distances_by_moments_updated_in_full(clip) -> None:
    X, d, weight, ridge = stream(), 4, 0.02, 1e-3
    detector = StreamingGaussian(weight=weight, clip=clip, ridge=ridge).fit(X)
    rows = (X - detector.state_.center) / detector.state_.scale
    mean, cov = np.zeros(d), np.eye(d)
    for i, row in enumerate(rows):
        gap = row - mean
        square = gap @ np.linalg.solve(cov, gap)
        assert detector.decision_scores_[i] == pytest.approx(square, rel=1e-8)
        w = max(weight, 1 / (i + d + 1))
        if clip is not None:
            gap *= min(1.0, clip * np.sqrt(d) / np.sqrt(square))
        mean = mean + w * gap
        cov = (1 - w) * (cov + w * np.outer(gap, gap))
        cov[i % d, i % d] += w * ridge * d
    np.testing.assert_allclose(detector.state_.root @ detector.state_.root.T, cov, rtol=1e-9)


def test_gaussian_rows_have_the_chi_squared_mean_and_the_model_follows_a_shift() -> None:
    X = stream(6000)
    detector = StreamingGaussian(weight=0.002).fit(X)
    assert detector.decision_scores_[3000:].mean() == pytest.approx(4.0, rel=0.1)
    shifted = detector.update(X + 30.0)
    assert shifted[0] > 20 * shifted[-500:].mean()
    assert shifted[-500:].mean() < 8


def test_clip_keeps_anomalies_from_teaching() -> None:
    X = stream()
    far = np.full((5, 4), 1000.0)
    hidden, kept = (StreamingGaussian(clip=clip).fit(X) for clip in (None, 3.0))
    for detector in (hidden, kept):
        detector.update(far)
    row = X.mean(axis=0) + 40.0
    assert kept.score_one(row) > 50 * hidden.score_one(row)


def test_features_that_stand_still_or_copy_others_leave_scores_finite() -> None:
    X = stream(200, 2)
    X = np.column_stack([X, X[:, 0], np.ones(200)])
    detector = StreamingGaussian(weight=0.05).fit(X)
    for _ in range(20):
        scores = detector.update(X)
    assert np.isfinite(scores).all()
    assert detector.score_one([0.0, 0.0, 1.0, 1.0]) > 100 * scores.max()


@pytest.mark.parametrize("clip", [None, 1.0])
def test_many_states_at_once_are_each_by_itself_to_the_last_bit(clip) -> None:
    X, slots = stream(900, 5), np.random.default_rng(1).integers(0, 40, 900)
    X[120::50] *= 1e120  # beyond what is told apart
    detector = StreamingGaussian(clip=clip, weight=0.05).fit(X[:100])
    together, apart = (
        type(detector.state_)(*(np.repeat(part[None], 50, axis=0) for part in detector.state_))
        for _ in range(2)
    )
    scores = [detector._advance_each(together, slots[i : i + 300], X[i : i + 300])
              for i in (0, 300, 600)]  # fmt: skip
    one_by_one = super(StreamingGaussian, detector)._advance_each(apart, slots, X)
    np.testing.assert_array_equal(np.concatenate(scores), one_by_one)
    for some, others in zip(together, apart, strict=True):
        np.testing.assert_array_equal(some, others)
    assert (together.seen[40:] == detector.state_.seen).all()
    assert (together.seen[:40] > detector.state_.seen).all()
