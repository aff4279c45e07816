"""Isolating spheres against their slow twin."""

import numpy as np

import oracles
from awry.kernels.spheres import isolate, surround


def test_scores_equal_the_slow_twin():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 40, size=(700, 3)) * 1.0  # whole numbers: sums of squares are exact
    centres = X[np.array([rng.choice(700, 6, replace=False) for _ in range(9)])]
    np.testing.assert_allclose(
        isolate(X, centres, *surround(centres)), oracles.inne(centres, X), rtol=1e-12
    )


def test_sampled_rows_lie_in_their_own_and_their_neighbours_ball_whatever_the_rounding():
    centres = np.random.default_rng(0).normal(size=(50, 8, 7)) * 1e-3 + 1e3
    radii, isolation = surround(centres)
    for g in range(50):
        one = slice(g, g + 1)
        scores = isolate(centres[g], centres[one], radii[one], isolation[one])
        assert (scores < 1).all()


def test_a_repeated_row_is_not_alone_and_a_far_row_is():
    centres = np.array([[[0.0, 0.0], [0.0, 0.0], [5.0, 0.0]]])
    balls = surround(centres)
    assert balls[0].tolist() == [[0.0, 0.0, 25.0]]
    assert isolate(np.array([[0.0, 0.0], [9.0, 0.0], [50.0, 0.0]]), centres, *balls).tolist() == [
        0.0,
        1.0,
        1.0,
    ]
