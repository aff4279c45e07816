"""Rows in groups of near ones, for the search of neighbours and of the nearest centre."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import scipy.linalg.blas  # noqa: F401  (the kernels' matrix products, limited below)
from threadpoolctl import ThreadpoolController

from awry.core.inputs import FloatArray, IntArray
from awry.kernels import neighbors as kernels

#: The most groups there are.
_MOST_GROUPS = 8192
#: Rows assigned to centres at a time.
_CHUNK = 4096
#: Beyond this coordinates are cut, and distances are: their squares and sums must stay finite.
_FARTHEST, _LONGEST = 1e150, 1e305


class Groups:
    """Search in groups of near points, Euclidean; the way to them is a search among centres.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Group after group; not far from 1, see :func:`scale_of`.
    starts : ndarray of shape (g + 1,)
    centres : ndarray of shape (g, d)
    """

    def __init__(self, points: FloatArray, starts: IntArray, centres: FloatArray) -> None:
        self.groups = kernels.group(points, starts, centres)
        self.way = Groups.single(centres) if len(centres) > 1 else None

    @classmethod
    def single(cls, points: FloatArray) -> Groups:
        """All points in one group."""
        return cls(points, np.array([0, len(points)]), one_group(points)[1])

    def nearest(self, Q: FloatArray, k: int, n_probes: int = 0) -> tuple[FloatArray, IntArray]:
        """Distances and places of the ``k`` nearest points, ascending, shape (m, k).

        Only ``n_probes`` groups are searched for a query; all, if 0 or if they hold too few points.
        """
        visits = self.visits(Q, max(n_probes, 1))
        squares, places = kernels.nearest(self.groups, Q, visits, k, n_probes == 0)
        distances = np.sqrt(squares)
        short = np.flatnonzero(places[:, -1] < 0) if n_probes else ()
        if len(short):
            distances[short], places[short] = self.nearest(Q[short], k)
        return distances, places

    def visits(self, Q: FloatArray, v: int) -> IntArray:
        """The ``v`` groups with the nearest centres, nearest first, shape (m, v)."""
        return np.zeros((len(Q), 1), np.int64) if self.way is None else self.way.nearest(Q, v)[1]


def scale_of(X: FloatArray) -> float:
    """A power of two that brings extreme data to where float32 neither over- nor underflows."""
    exponent = int(np.frexp(np.abs(X).max())[1])
    return 1.0 if abs(exponent) < 40 else float(np.ldexp(1.0, -exponent))


def scaled(Q: FloatArray, scale: float) -> FloatArray:
    """Queries in the units of points that were multiplied by ``scale``."""
    return np.clip(Q * scale, -_FARTHEST, _FARTHEST)


def unscaled(distances: FloatArray, scale: float) -> FloatArray:
    """Distances in the original units."""
    return np.minimum(distances, _LONGEST * scale) / scale


def nearest_centre(X: FloatArray, centres: FloatArray) -> tuple[FloatArray, IntArray]:
    """Distance (n,) from each row to the nearest of a few centres, and its number (n,)."""
    scale = scale_of(centres)
    with one_blas_thread():
        distances, numbers = Groups.single(centres * scale).nearest(scaled(X, scale), 1)
    return unscaled(distances[:, 0], scale), numbers[:, 0]


def one_group(X: FloatArray) -> tuple[IntArray, FloatArray]:
    """Labels and centre of a single group."""
    return np.zeros(len(X), np.int64), X.mean(axis=0, keepdims=True)


def partition(X: FloatArray, size: int) -> tuple[IntArray, FloatArray]:
    """Labels (n,) that put near rows into groups by k-means, and the groups' centres (g, d).

    Groups hold ``size`` rows on average, or more where there would be very many. Groups that come
    out far too large, as they do where a few rows are very far from the rest, are divided again.
    """
    rng = np.random.default_rng(0)
    n_groups = min(-(-len(X) // size), _MOST_GROUPS)
    centres = _k_means(X, n_groups, rng)
    labels = _assign(X, centres)
    for _ in range(3):
        sizes = np.bincount(labels, minlength=len(centres))
        large = np.flatnonzero(sizes > 8 * len(X) / n_groups)
        if n_groups == 1 or len(large) == 0:
            break
        parts = [
            _k_means(X[labels == g], int(n_groups * sizes[g] / len(X)) + 1, rng) for g in large
        ]
        centres = np.vstack([np.delete(centres, large, axis=0), *parts])
        labels = _assign(X, centres)
    used, labels = np.unique(labels, return_inverse=True)
    return labels, centres[used]


def _k_means(X: FloatArray, n_groups: int, rng: np.random.Generator) -> FloatArray:
    """Centres after a few of Lloyd's steps on a sample of rows; there may be fewer, never equal."""
    if n_groups == 1:
        return one_group(X)[1]
    sample = X[rng.choice(len(X), min(32 * n_groups, len(X)), replace=False)]
    centres = sample[:n_groups]
    for _ in range(4):
        labels = _assign(sample, centres)
        sizes = np.bincount(labels, minlength=len(centres))
        sums = [np.bincount(labels, column, minlength=len(centres)) for column in sample.T]
        used = sizes > 0
        centres = np.column_stack(sums)[used] / sizes[used, None]
    return np.unique(centres, axis=0)


def _assign(X: FloatArray, centres: FloatArray) -> IntArray:
    """The number of the nearest centre of each row."""
    way = Groups.single(centres)
    parts = [way.nearest(X[s : s + _CHUNK], 1)[1][:, 0] for s in range(0, len(X), _CHUNK)]
    return np.concatenate(parts)


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> Any:
    """Keep BLAS from starting threads for products this small; threads go over queries instead."""
    return _pools().limit(limits=1, user_api="blas")
