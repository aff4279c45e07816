"""Online Isolation Forest: its trees keep the paper's rules through learning and forgetting."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.stream.online_isolation_forest import OnlineIsolationForest


def stream(n=1000, d=3):
    return np.random.default_rng(0).normal(size=(n, d))


def leaves(state, tree, node=0, depth=0):
    """Nodes reached from the root, with their depths; leaves last in each branch."""
    yield node, depth
    if state.feature[tree, node] >= 0:
        for child in (2 * node + 1, 2 * node + 2):
            yield from leaves(state, tree, child, depth + 1)


def fitted(X, window=256, leaf=8):
    return OnlineIsolationForest(
        n_estimators=6, window=window, max_leaf_samples=leaf, random_state=0
    ).fit(X)


def test_trees_split_where_the_rows_are_enough_and_only_there() -> None:
    state = fitted(stream()).state_
    assert (state.counts[:, 0] == 256).all()
    deepest = 0
    for tree in range(6):
        for node, depth in leaves(state, tree):
            if state.feature[tree, node] >= 0:
                assert state.counts[tree, node] >= 8 * 2**depth
                low, high = state.box[tree, node, :, state.feature[tree, node]]
                assert low - 5 < state.value[tree, node] < high + 5
            deepest = max(deepest, depth)
    assert 2 <= deepest <= np.log2(256 / 8)


def test_a_row_is_scored_by_the_depth_of_its_leaf() -> None:
    detector = fitted(stream())
    state, row = detector.state_, np.array([0.3, -1.0, 0.2])
    depths = []
    for tree in range(6):
        node, depth = 0, 0
        while state.feature[tree, node] >= 0:
            right = row[state.feature[tree, node]] > state.value[tree, node]
            node, depth = 2 * node + 1 + int(right), depth + 1
        depths.append(depth + np.log2(max(state.counts[tree, node] / 8, 1.0)))
    assert detector.score_one(row) == pytest.approx(2 ** (-np.mean(depths) / np.log2(256 / 8)))


def test_the_root_has_the_box_of_the_rows_until_one_is_forgotten() -> None:
    X = stream(200)
    state = fitted(X).state_
    np.testing.assert_array_equal(state.box[:, 0, 0], np.tile(X.min(axis=0), (6, 1)))
    np.testing.assert_array_equal(state.box[:, 0, 1], np.tile(X.max(axis=0), (6, 1)))


def test_a_place_left_is_forgotten_and_a_new_one_learnt() -> None:
    X = stream()
    detector = OnlineIsolationForest(window=256, max_leaf_samples=8, random_state=0).fit(X)
    before = detector.decision_function(X[:50]).mean(), detector.score_one(X[0] + 12)
    detector.update(X + 12)
    after = detector.decision_function(X[:50]).mean(), detector.score_one(X[0] + 12)
    assert before[0] < before[1]
    assert after[0] > after[1]


def test_few_rows_are_not_judged() -> None:
    detector = OnlineIsolationForest(random_state=0).fit(stream(40))
    assert not detector.decision_scores_[:33].any()
    assert (detector.decision_scores_[33:] > 0).all()
