"""Incremental kNN and LOF against scikit-learn's, fitted anew to the window for every row."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from awry.core.params import ParameterError
from awry.detectors.stream.incremental_knn import IncrementalKNN
from awry.detectors.stream.incremental_lof import IncrementalLOF


def stream(n=260, d=3):
    """Two groups of different density that move, so that neighbours come and go."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) * rng.choice([0.2, 2.0], size=(n, 1))
    return X + np.linspace(0, 6, n)[:, None]


def windows(detector, X, size):
    rows = (X - detector.state_.center) / detector.state_.scale
    return [(rows[max(i - size, 0) : i], rows[i : i + 1]) for i in range(len(rows))]


@pytest.mark.parametrize(("k", "window"), [(3, 40), (8, 12), (1, 300)])
def test_lof_is_scikit_learns_on_every_window(k: int, window: int) -> None:
    X = stream()
    detector = IncrementalLOF(n_neighbors=k, window=window).fit(X)
    for i, (past, row) in enumerate(windows(detector, X, window)):
        if i <= k:
            assert detector.decision_scores_[i] == 0
        elif i % 7 == 0:
            fresh = LocalOutlierFactor(n_neighbors=k, novelty=True).fit(past)
            assert detector.decision_scores_[i] == pytest.approx(-fresh.score_samples(row)[0])


@pytest.mark.parametrize("window", [40, 300])
def test_the_neighbours_kept_are_the_nearest(window: int) -> None:
    X, k = stream(), 4
    detector = IncrementalLOF(n_neighbors=k, window=window).fit(X)
    _, near, away, held = detector.state_[2:6]
    n = min(window, len(X))
    ring = detector.state_.ring[:, :n].T
    far, _ = NearestNeighbors(n_neighbors=2 * k).fit(ring).kneighbors()
    for p in range(n):
        assert held[p] >= k
        np.testing.assert_allclose(away[p, : held[p]], far[p, : held[p]])
        assert len({p, *near[p, : held[p]]}) == held[p] + 1


@pytest.mark.parametrize("method", ["largest", "mean"])
def test_knn_is_scikit_learns_on_every_window(method: str) -> None:
    X, k, window = stream(150), 5, 30
    detector = IncrementalKNN(n_neighbors=k, window=window, method=method).fit(X)
    for i, (past, row) in enumerate(windows(detector, X, window)):
        if i < k:
            assert detector.decision_scores_[i] == 0
        elif i % 3 == 0:
            far = NearestNeighbors(n_neighbors=k).fit(past).kneighbors(row)[0][0]
            expected = far.mean() if method == "mean" else far[-1]
            assert detector.decision_scores_[i] == pytest.approx(expected)


def test_many_equal_rows_have_finite_factors() -> None:
    X = np.ones((200, 2))
    X[::50] = stream(4, 2)
    detector = IncrementalLOF(n_neighbors=5, window=60).fit(X)
    assert detector.score_one([1.0, 1.0]) == pytest.approx(1.0)
    assert np.isfinite(detector.score_one([9.0, 9.0]))
    assert detector.score_one([9.0, 9.0]) > 100


@pytest.mark.parametrize("kind", [IncrementalKNN, IncrementalLOF])
def test_a_window_too_small_is_told(kind: type) -> None:
    with pytest.raises(ParameterError, match="n_neighbors must be less than window"):
        kind(n_neighbors=50, window=50).fit(stream())
