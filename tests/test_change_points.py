"""Change points: where they were planted, none in noise."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.series.change_points import ChangePoints

pytest.importorskip("ruptures")


def stepped() -> np.ndarray:
    levels = np.repeat([0.0, 3.0, 1.0, 6.0], [100, 80, 120, 100])
    return levels + np.random.default_rng(0).normal(size=400)


@pytest.mark.parametrize("search", ["pelt", "binseg", "window"])
def test_planted_changes(search):
    model = ChangePoints(search=search).fit(stepped())
    assert len(model.changes_) == 3
    np.testing.assert_allclose(model.changes_, [100, 180, 300], atol=4)
    # The jump of 5 over long segments saves most: n m / (n + m) times its square.
    assert model.gains_.argmax() == 2
    assert model.gains_[2] == pytest.approx(25 * 120 * 100 / 220, rel=0.35)
    assert model.decision_scores_.argmax() == model.changes_[2]


def test_noise_has_no_changes():
    x = np.random.default_rng(1).normal(size=(600, 3))
    model = ChangePoints().fit(x)
    assert len(model.changes_) == 0
    assert not model.decision_scores_.any()


def test_a_kernel_sees_a_change_of_spread():
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(0, 1, 150), rng.normal(0, 6, 150)]
    model = ChangePoints(cost="rbf", min_size=20).fit(x)
    np.testing.assert_allclose(model.changes_, [150], atol=5)


def test_scores_fade_with_the_distance():
    model = ChangePoints(decay=10).fit(np.repeat([0.0, 5.0], 100) + np.tile([0.1, -0.1], 100))
    scores = model.decision_scores_
    assert model.changes_.tolist() == [100]
    np.testing.assert_allclose(scores[[90, 110]], scores[100] / np.e)
