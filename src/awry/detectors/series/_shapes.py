"""Weighted shapes that stand for what is normal, as k-Shape and SAND keep them."""

from __future__ import annotations

import numpy as np

from awry.core.inputs import FloatArray
from awry.core.series import BoolArray
from awry.core.windows import blind, spread
from awry.detectors.series._profile import ab_join
from awry.kernels.shapes import shape_distances, z_normalize

#: Subsequences clustered at most; more are taken further apart.
MAX_SUBSEQUENCES = 2000


def subsequences(x: FloatArray, holes: BoolArray, length: int, stride: int) -> FloatArray:
    """z-normalised subsequences of ``x`` (n,) without holes, as rows."""
    cut = np.lib.stride_tricks.sliding_window_view(x, length)[::stride]
    whole = ~np.lib.stride_tricks.sliding_window_view(holes, length)[::stride].any(axis=1)
    rows = cut[whole] if whole.any() else cut[:1]
    return z_normalize(rows[:: -(-len(rows) // MAX_SUBSEQUENCES)])


def weights(centers: FloatArray, sizes: FloatArray) -> FloatArray:
    """Squared size over the sum of distances to the other centres, both scaled to [1, 2]."""
    apart = np.sum([shape_distances(centers, center)[0] for center in centers], axis=0)
    return _scaled(sizes) ** 2 / _scaled(apart)


def _scaled(values: FloatArray) -> FloatArray:
    return (values - values.min()) / (np.ptp(values) + 1e-7) + 1.0


def distances_to_shapes(
    x: FloatArray, holes: BoolArray, m: int, centers: FloatArray, importance: FloatArray
) -> FloatArray:
    """Of each point of ``x`` (n,): weighted mean distance of its windows of ``m`` to the centres.

    A distance is the z-normalised one to the nearest window of a centre over ``sqrt(2 m)``.
    """
    if len(x) < m:
        return np.full(len(x), np.nan)
    apart = blind(holes[:, None], m)
    found = [ab_join(x, center, m, apart).distance for center in centers]
    return spread(np.average(found, axis=0, weights=importance) / np.sqrt(2.0 * m), len(x), m)
