"""Projection kernels against the matrix formulas they stand for."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from awry.kernels import projections as kernels

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 7))
COLUMNS = np.ascontiguousarray(X.T)
DIRECTIONS = np.linalg.qr(RNG.normal(size=(7, 7)))[0][:4].copy()
WEIGHTS = RNG.uniform(0.1, 2, 4)


def _by_rows(kernel, *args):
    return np.hstack([kernel(COLUMNS[:, [i]].copy(), *args) for i in range(len(X))])


def test_project_is_a_sparse_matrix_product():
    features = np.array([RNG.permutation(7)[:3] for _ in range(5)])
    weights = RNG.normal(size=(5, 3))
    dense = np.zeros((5, 7))
    np.put_along_axis(dense, features, weights, axis=1)
    got = kernels.project(COLUMNS, features, weights)
    np.testing.assert_allclose(got, dense @ COLUMNS, rtol=1e-12)
    np.testing.assert_array_equal(_by_rows(kernels.project, features, weights), got)


def test_direction_distances_are_cdist():
    got = kernels.direction_distances(COLUMNS, DIRECTIONS, WEIGHTS)
    np.testing.assert_allclose(got, (cdist(X, DIRECTIONS) / WEIGHTS).sum(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(_by_rows(kernels.direction_distances, DIRECTIONS, WEIGHTS), got)


def test_component_variances_are_a_quadratic_form():
    got = kernels.component_variances(COLUMNS, DIRECTIONS, WEIGHTS)
    precision = DIRECTIONS.T @ np.diag(1 / WEIGHTS) @ DIRECTIONS
    np.testing.assert_allclose(got, np.einsum("ij,jk,ik->i", X, precision, X), rtol=1e-11)
    np.testing.assert_array_equal(_by_rows(kernels.component_variances, DIRECTIONS, WEIGHTS), got)


def test_standardize_works_in_place():
    columns, centre, scale = COLUMNS.copy(), RNG.normal(size=7), RNG.uniform(1, 2, 7)
    kernels.standardize(columns, centre, scale)
    np.testing.assert_array_equal(columns, ((X - centre) / scale).T)
