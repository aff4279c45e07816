"""CBLOF against PyOD, and where the line between large and small falls."""

from __future__ import annotations

import numpy as np
import pytest

from awry.detectors.tabular.cblof import CBLOF

RNG = np.random.default_rng(0)
X = np.vstack([RNG.normal(c, 1, (n, 2)) for c, n in ((0, 300), (9, 150), (-9, 40), (25, 10))])


@pytest.mark.parametrize("use_weights", [False, True])
@pytest.mark.parametrize("n_clusters", [3, 8])
def test_scores_are_pyods(n_clusters, use_weights):
    params = {"n_clusters": n_clusters, "use_weights": use_weights, "random_state": 0}
    peer = pytest.importorskip("pyod.models.cblof").CBLOF(**params).fit(X)
    ours = CBLOF(**params).fit(X)
    assert ours.n_large_ == len(peer.large_cluster_labels_)
    np.testing.assert_allclose(ours.decision_scores_, peer.decision_scores_, rtol=1e-6)
    new = RNG.normal(0, 9, (50, 2))
    np.testing.assert_allclose(ours.decision_function(new), peer.decision_function(new), rtol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "large"),
    [
        ([500, 400, 5], 2),  # the first two hold over 90 %, and 400 is 80 times 5
        ([500, 40, 5], 1),  # the first holds 92 % and is 12 times the second
        ([300, 300, 290, 280], 4),  # neither: no cluster is small
        ([400, 300, 200, 90, 80], 4),  # no drop, but four hold over 90 %
        ([600, 100, 99, 98, 97], 4),  # both never at once: the share decides
        ([1000], 1),
    ],
)
def test_boundary(sizes, large):
    assert CBLOF()._boundary(np.array(sizes)) == large


def test_a_small_cluster_is_measured_from_the_nearest_large_one():
    detector = CBLOF(4, alpha=0.95, random_state=0).fit(X)
    assert detector.n_large_ == 3
    small = detector.cluster_centers_[3]
    gaps = np.linalg.norm(detector.cluster_centers_[:3] - small, axis=1)
    np.testing.assert_allclose(detector.decision_function(small[None]), gaps.min())
    why = detector.explain(small[None])
    difference = small - detector.cluster_centers_[gaps.argmin()]
    np.testing.assert_allclose(why.values[0], difference**2 / gaps.min())


def test_fewer_different_rows_than_clusters():
    rows = np.repeat([[0.0, 0.0], [1.0, 5.0]], [90, 10], axis=0)
    scores = CBLOF(8, random_state=0).fit(rows).decision_scores_
    np.testing.assert_allclose(scores, np.repeat([0.0, np.hypot(1, 5)], [90, 10]), atol=1e-12)
