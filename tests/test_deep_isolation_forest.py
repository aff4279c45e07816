"""Deep Isolation Forest: its score against a slow twin, curved borders, random networks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from awry.detectors.tabular.deep_isolation_forest import DeepIsolationForest
from awry.detectors.tabular.isolation_forest import IsolationForest

RNG = np.random.default_rng(0)
ANGLE = RNG.uniform(0, 2 * np.pi, 600)
#: A ring, whose middle an isolation forest's straight splits hardly see.
RING = np.column_stack([np.cos(ANGLE), np.sin(ANGLE)]) + RNG.normal(0, 0.08, (600, 2))
MIDDLE = RNG.normal(0, 0.1, (30, 2))
SMALL = {"n_representations": 4, "n_estimators": 3, "hidden": [16, 8], "latent": 5}


@pytest.fixture(scope="module")
def small():
    return DeepIsolationForest(**SMALL, random_state=0).fit(RING)


def slow_score(detector, row):
    forest, paths, deviations = detector.forest_, [], []
    parts = []
    for i in range(detector.n_representations):
        h = (row - detector.low_) / detector.range_
        for layer in detector.layers_[:-1]:
            h = np.tanh(h @ layer[i].astype(float))
        parts.append(h @ detector.layers_[-1][i].astype(float))
    z = np.tanh((np.concatenate(parts) - detector.center_) / detector.scale_)
    for root in forest.roots[:-1]:
        k, away = int(root), []
        while forest.left[k] != k:
            x = z[forest.feature[k]]
            away.append(abs(x - forest.threshold[k]))
            k = int(forest.left[k]) + int(x > forest.threshold[k])
        paths.append(forest.value[k])
        deviations.append(np.mean(away))
    return 2 ** (-np.mean(paths) / detector.path_unit_) * np.mean(deviations)


def test_scores_are_those_of_the_slow_twin(small):
    expected = [slow_score(small, row) for row in RING[:20]]
    np.testing.assert_allclose(small.decision_scores_[:20], expected, rtol=1e-5)


def test_each_tree_looks_at_one_representation(small):
    forest = small.forest_
    assert len(forest.height) == 12
    for t, (start, end) in enumerate(zip(forest.roots[:-1], forest.roots[1:], strict=True)):
        inner = forest.left[start:end] != np.arange(start, end)
        assert (forest.feature[start:end][inner] // 5 == t // 3).all()


def test_curved_borders_are_seen_where_straight_splits_fail():
    both = np.vstack([RING, MIDDLE])
    y = np.repeat([0, 1], [600, 30])
    deep, plain = (
        roc_auc_score(y, cls(random_state=0).fit(RING).decision_function(both))
        for cls in (DeepIsolationForest, IsolationForest)
    )
    assert deep > 0.99
    assert 1 - deep < 0.5 * (1 - plain)


def test_networks_differ_and_are_not_trained(small):
    again = DeepIsolationForest(**SMALL, random_state=0).fit(RING * 5 + 1)
    for mine, theirs in zip(small.layers_, again.layers_, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert len({layer.tobytes() for layer in small.layers_[0]}) == 4
    np.testing.assert_allclose(again.decision_scores_, small.decision_scores_, rtol=1e-4)


def test_a_row_s_score_does_not_depend_on_what_is_scored_with_it(small):
    alone = np.array([small.score_one(row) for row in MIDDLE])
    np.testing.assert_allclose(small.decision_function(np.vstack([RING, MIDDLE]))[600:], alone)
