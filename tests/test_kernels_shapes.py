"""Distances, means and clusters of shapes."""

from __future__ import annotations

import numpy as np

from awry.kernels.shapes import extract_shape, k_shape, scatter, shape_distances, z_normalize
from oracles_shapes import shape_distance


def _noisy(shape, n, rng):
    """``n`` copies of ``shape`` with noise, each shifted by up to five points."""
    shifts = rng.integers(-5, 6, size=n)
    rows = np.stack([np.roll(shape, s) for s in shifts])
    return z_normalize(rows + rng.normal(scale=0.05, size=rows.shape))


def test_shape_distances_are_their_twin():
    rng = np.random.default_rng(0)
    X, center = z_normalize(rng.normal(size=(20, 17))), rng.normal(size=17)
    found, shifts = shape_distances(X, center)
    for row, distance, shift in zip(X, found, shifts, strict=True):
        expected, at = shape_distance(row, center)
        np.testing.assert_allclose(distance, expected, atol=1e-12)
        assert shift == at


def test_the_extracted_shape_is_that_of_its_members():
    rng = np.random.default_rng(0)
    pulse = np.exp(-0.5 * ((np.arange(60) - 30) / 4.0) ** 2)
    X = _noisy(pulse, 40, rng)
    found = extract_shape(scatter(X, X[0]), X[0])
    assert shape_distances(found[None], pulse - pulse.mean())[0][0] < 0.02
    np.testing.assert_allclose([found.mean(), found.std()], [0.0, 1.0], atol=1e-9)


def test_no_direction_fits_the_members_better():
    rng = np.random.default_rng(0)
    X = z_normalize(rng.normal(size=(30, 12)))
    S = scatter(X, np.zeros(12))
    shape = extract_shape(S, X[0])
    best = shape @ S @ shape / (shape @ shape)
    for other in z_normalize(rng.normal(size=(200, 12))):
        assert other @ S @ other / (other @ other) <= best + 1e-9


def test_k_shape_parts_two_shapes():
    rng = np.random.default_rng(0)
    at = np.arange(64)
    pulse, step = np.exp(-0.5 * ((at - 32) / 3.0) ** 2), np.where((at > 20) & (at < 44), 1.0, 0.0)
    X = np.vstack([_noisy(pulse, 30, rng), _noisy(step - 0.5 * pulse, 30, rng)])
    centers, labels = k_shape(X, 2, rng)
    assert len(centers) == 2
    assert len(set(labels[:30])) == len(set(labels[30:])) == 1
    assert labels[0] != labels[-1]
