"""Robust Random Cut Forest: the trees are what they claim, and so are the scores."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.stream.robust_random_cut_forest import RobustRandomCutForest
from oracles_stream import CutTree


def stream(n=200, d=3):
    # Rounded, so that there are copies.
    return np.random.default_rng(0).normal(size=(n, d)).round(0)


def test_trees_hold_the_window_and_are_sound_after_many_rows() -> None:
    X = stream(300)
    detector = RobustRandomCutForest(
        n_estimators=6, window=40, standardize=False, random_state=0
    ).fit(X)
    kept = X[-40:] - detector.state_.center
    for t in range(6):
        tree = CutTree(detector.state_, t)
        points = tree.points(tree.root)
        order = np.lexsort(points.T), np.lexsort(kept.T)
        np.testing.assert_array_equal(points[order[0]], kept[order[1]])
        for node in tree.nodes():
            below = tree.points(node)
            assert tree.links[node, 3] == len(below)
            np.testing.assert_array_equal(tree.box[node, :3], -below.min(axis=0))
            np.testing.assert_array_equal(tree.box[node, 3:], below.max(axis=0))
            if not tree.is_leaf(node):
                left, right = tree.links[node, 1:3]
                assert tree.links[left, 0] == tree.links[right, 0] == node
                k = tree.links[node, 4]
                assert tree.box[left, k] <= tree.at[node]
                assert (np.hstack([-tree.points(right), tree.points(right)])[:, k]
                        > tree.at[node]).all()  # fmt: skip


@pytest.mark.parametrize("shared", [True, False])
def test_score_is_the_displacement_of_the_row_in_the_trees_that_hold_it(shared) -> None:
    X, new = stream(100), np.vstack([stream(5) * 2.0, stream(100)[-1:]])
    for row in new:
        # A window that is not full drops nothing, so the tree after learning holds all.
        detector = RobustRandomCutForest(
            n_estimators=8, window=200, shared_displacement=shared, random_state=0
        ).fit(X)
        score = detector.score_one(row)
        blame = detector.explain(row[None]).values[0]
        detector.learn_one(row)
        found = [
            CutTree(detector.state_, t).displacement(detector.state_.leaf_of[t, 100], shared)
            for t in range(8)
        ]
        assert score == pytest.approx(np.mean(found), rel=1e-12)
        assert blame.sum() == pytest.approx(score, rel=1e-9)


def test_after_rows_have_come_and_gone_cuts_are_drawn_as_in_a_fresh_tree() -> None:
    # Theorem: the root's cut is in a feature with a probability in proportion to its range.
    X = np.random.default_rng(1).normal(size=(60, 3)) * [1.0, 2.0, 4.0]
    detector = RobustRandomCutForest(
        n_estimators=4000, window=8, standardize=False, random_state=0
    ).fit(X)
    roots = [CutTree(detector.state_, t) for t in range(4000)]
    cuts = np.bincount([tree.links[tree.root, 4] % 3 for tree in roots], minlength=3) / 4000
    ranges = np.ptp(X[-8:], axis=0)
    np.testing.assert_allclose(cuts, ranges / ranges.sum(), atol=4 * np.sqrt(0.25 / 4000))
    # And where in its range is uniform.
    tree = [t for t in roots if t.links[t.root, 4] % 3 == 2]
    places = np.array([t.at[t.root] * (1 if t.links[t.root, 4] >= 3 else -1) for t in tree])
    low = X[-8:, 2].min() - detector.state_.center[2]
    np.testing.assert_allclose(
        np.quantile((places - low) / ranges[2], [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.05
    )


def test_copies_of_an_anomaly_do_not_hide_one_another_when_displacement_is_shared() -> None:
    X = np.random.default_rng(0).normal(size=(250, 3))
    row = np.full(3, 9.0)
    scores = {}
    for shared in (True, False):
        detector = RobustRandomCutForest(shared_displacement=shared, random_state=0).fit(X)
        detector.update(np.tile(row, (5, 1)) + np.arange(5)[:, None] * 1e-3)
        scores[shared] = detector.score_one(row) / np.median(detector.decision_function(X))
    assert scores[True] > 5 > 2 > scores[False]


def test_a_constant_stream_scores_zero() -> None:
    detector = RobustRandomCutForest(n_estimators=5, window=10, random_state=0).fit(
        np.ones((50, 2))
    )
    assert not detector.decision_scores_.any()
