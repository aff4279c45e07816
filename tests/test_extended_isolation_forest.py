"""Extended Isolation Forest."""

import numpy as np
import pytest

from awry.checks import check_detector
from awry.detectors.tabular.extended_isolation_forest import ExtendedIsolationForest
from awry.detectors.tabular.isolation_forest import IsolationForest


@pytest.mark.parametrize("level", [0, 1, "full"])
def test_it_keeps_the_promises_of_a_detector(level):
    check_detector(ExtendedIsolationForest(extension_level=level))


def test_no_bands_of_low_scores_beside_clusters():
    """Figure 3 of the paper: where their bands cross, axis-parallel cuts see ghost clusters."""
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0, 10.0], [10.0, 0.0]], 500, axis=0) + rng.normal(size=(1000, 2))
    ghosts = np.array([[0.0, 0.0], [10.0, 10.0]])
    far = np.array([[5.0, 5.0]])
    gap = []
    for cls in (IsolationForest, ExtendedIsolationForest):
        detector = cls(n_estimators=300, random_state=0).fit(X)
        low = np.median(detector.decision_scores_)
        gap.append(
            (detector.decision_function(ghosts).mean() - low)
            / (detector.decision_function(far)[0] - low)
        )
    assert gap[0] < 1 < gap[1]


def test_level_zero_is_an_isolation_forest_in_distribution():
    X = np.random.default_rng(0).normal(size=(2000, 4))
    plain = IsolationForest(n_estimators=400, random_state=0).fit(X).decision_scores_
    level = ExtendedIsolationForest(n_estimators=400, extension_level=0, random_state=0).fit(X)
    assert np.corrcoef(plain, level.decision_scores_)[0, 1] > 0.98
    assert abs(plain.mean() - level.decision_scores_.mean()) < 0.01


def test_rows_off_a_slanted_line_are_found():
    rng = np.random.default_rng(0)
    t = rng.normal(size=1000)
    X = np.column_stack([t, t + 0.05 * rng.normal(size=1000)])
    X[:5] = [[1, -1], [-1, 1], [0.8, -0.9], [-0.9, 0.9], [1.1, -0.9]]
    detector = ExtendedIsolationForest(random_state=0).fit(X)
    assert np.sort(np.argsort(-detector.decision_scores_)[:30])[:5].tolist() == [0, 1, 2, 3, 4]
