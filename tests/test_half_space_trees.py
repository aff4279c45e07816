"""Half-Space Trees against a plain reading of the paper."""

from __future__ import annotations

import numpy as np

from awry.detectors.stream.half_space_trees import HalfSpaceTrees
from oracles_stream import half_space_masses


def stream(n=700, d=3):
    return np.random.default_rng(0).normal(size=(n, d))


def test_scores_are_those_of_the_paper() -> None:
    X = stream()
    detector = HalfSpaceTrees(n_estimators=4, max_depth=6, window=50, random_state=0)
    scores = detector.fit(X).decision_scores_
    state = detector.state_
    rows = ((X - state.low) / state.width).astype(np.float32)
    masses = [
        half_space_masses(rows, state.feature[t], state.threshold[t], 50, 5.0) for t in range(4)
    ]
    expected = 6 + np.log2(50) - np.log2(1 + np.mean(masses, axis=0))
    expected[:50] = 0.0
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_splits_halve_the_range_of_their_feature() -> None:
    detector = HalfSpaceTrees(n_estimators=3, max_depth=5, random_state=0).fit(stream())
    for feature, threshold in zip(detector.state_.feature, detector.state_.threshold, strict=True):
        # Of one feature's splits on a path each lies half as far from the one before.
        for leaf in range(31, 63):
            path, node = [], leaf
            while node:
                node = (node - 1) // 2
                path.append(node)
            for j in range(3):
                along = threshold[[node for node in path[::-1] if feature[node] == j]]
                steps = np.abs(np.diff(along))
                np.testing.assert_allclose(steps[1:], steps[:-1] / 2, rtol=1e-4)


def test_a_window_without_rows_in_a_place_forgets_it() -> None:
    X = stream(400)
    detector = HalfSpaceTrees(window=100, random_state=0).fit(X)
    before = detector.score_one(X[0])
    detector.update(X[:100] + 8.0)
    assert detector.score_one(X[0]) > before + 2


def test_rows_before_the_first_window_ends_are_not_judged() -> None:
    detector = HalfSpaceTrees(window=100, random_state=0).fit(stream(80))
    assert not detector.decision_scores_.any()
    assert detector.score_one(np.zeros(3)) == 0.0
    scores = detector.update(stream(40) * 1.01)
    assert not scores[:20].any()
    assert (scores[20:] > 0).all()


def test_scale_of_the_features_does_not_matter() -> None:
    X = stream()
    one, other = (
        HalfSpaceTrees(random_state=0).fit(Z).decision_scores_
        for Z in (X, X * [2.0**-20, 1, 2**20])
    )
    np.testing.assert_array_equal(one, other)
