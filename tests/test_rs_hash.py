"""RS-Hash against cells counted exactly."""

from __future__ import annotations

import numpy as np

from awry.detectors.stream.rs_hash import RSHash
from oracles_stream import fading_grids


def stream(n=300, d=5):
    return np.random.default_rng(0).normal(size=(n, d))


def test_scores_are_those_of_exact_counts_where_no_two_cells_meet() -> None:
    X = stream()
    detector = RSHash(n_estimators=12, n_buckets=1 << 16, memory=50, random_state=0).fit(X)
    scaled = (X - detector.state_.low) / detector.state_.width
    np.testing.assert_allclose(
        detector.decision_scores_, fading_grids(scaled, detector.state_, 50), rtol=1e-9
    )


def test_small_sketches_never_count_too_little() -> None:
    X = stream()
    wide, narrow = (
        RSHash(n_buckets=b, random_state=0).fit(X).decision_scores_ for b in (1 << 16, 16)
    )
    assert (narrow <= wide + 1e-9).all()
    assert (narrow < wide - 0.1).any()


def test_grids_are_of_the_sizes_of_the_paper() -> None:
    state = RSHash(n_estimators=500, memory=1000, random_state=0).fit(stream(100, 30)).state_
    edge = 1 / np.sqrt(1000)
    assert ((state.side > edge) & (state.side < 1 - edge)).all()
    sizes = np.diff(state.first)
    most = np.log(1000) / np.log(np.maximum(2, 1 / state.side))
    assert (sizes <= most).all()
    assert (sizes >= np.floor(1 + most / 2)).all()
    for first, end, side in zip(state.first[:-1], state.first[1:], state.side, strict=True):
        assert len(set(state.features[first:end])) == end - first
        assert (state.shift[first:end] < side).all()


def test_an_anomaly_in_one_of_many_features_is_found() -> None:
    X = stream(1500, 30)
    detector = RSHash(random_state=0).fit(X)
    odd = X[:30] + np.eye(30) * 12
    calm = detector.decision_function(X[:300])
    assert (detector.decision_function(odd) > np.median(calm)).mean() > 0.9
