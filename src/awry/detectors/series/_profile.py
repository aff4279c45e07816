"""Matrix profiles of series, from the kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.series import BoolArray
from awry.kernels import matrix_profile as kernels


class Profile(NamedTuple):
    """For each window the distance to its nearest neighbour and where that starts.

    NaN and -1 where it has none, as a window that takes no part.
    """

    distance: FloatArray
    near: IntArray


#: ``1 - c`` of two windows up to which they are the same but for rounding.
SAME = 1e-14


def exclusion(m: int) -> int:
    """Windows up to this far apart are too alike to be compared."""
    return int(np.ceil(m / 4))


def self_join(
    x: FloatArray, m: int, apart: BoolArray | None = None, noise: float = 0.0, *, left: bool = False
) -> Profile:
    """Nearest neighbours within one series; O(n²) time and O(n) memory.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Without NaN.
    m : int
        Points of a window.
    apart : ndarray of bool, shape (n - m + 1,), optional
        Windows that take no part, such as those with holes.
    noise : float, default=0.0
        Standard deviation of the noise, whose share of the distances is taken out.
    left : bool, default=False
        Whether neighbours must lie before.

    Examples
    --------
    >>> x = np.tile([0.0, 1.0, 3.0, 1.0], 5)
    >>> x[9] = 9.0
    >>> self_join(x, 4).distance.round(1)
    array([0. , 0. , 0. , 0. , 0. , 0. , 0.9, 0.9, 0.9, 0.9, 0. , 0. , 0. ,
           0. , 0. , 0. , 0. ])
    """
    a = _windows(x, m, apart)
    later, earlier = _none(a), _none(a)
    kernels.join(a, a, m, exclusion(m) + 1, (m + 1) * noise**2, *later, *earlier)
    return _profile(earlier if left else _better(earlier, later), m)


def ab_join(
    x: FloatArray,
    y: FloatArray,
    m: int,
    apart_x: BoolArray | None = None,
    apart_y: BoolArray | None = None,
    noise: float = 0.0,
) -> Profile:
    """Nearest neighbours in ``y`` (k,) of the windows of ``x`` (n,); see :func:`self_join`."""
    a, b = _windows(x, m, apart_x, y), _windows(y, m, apart_y)
    forth, back, unused = _none(a), _none(a), _none(b)
    kernels.join(a, b, m, 0, (m + 1) * noise**2, *forth, *unused)
    kernels.join(b, a, m, 1, (m + 1) * noise**2, *unused, *back)
    return _profile(_better(forth, back), m)


def joint_profile(
    X: FloatArray,
    m: int,
    most: int,
    apart: BoolArray,
    noise: FloatArray,
    other: tuple[FloatArray, BoolArray] | None = None,
    *,
    left: bool = False,
) -> FloatArray:
    """Mean distance in the ``most`` channels where a window departs furthest from its neighbour.

    The neighbour, the same window in all channels, is that of the smallest such mean, in ``X``
    (n, d) itself or in ``other``, a series (k, d) and which of its windows take no part.
    """
    a = _stacked(X, m, apart, None if other is None else other[0])
    b = a if other is None else _stacked(other[0], m, other[1])
    ours, theirs = (np.full(w.mean.shape[1], -np.inf) for w in (a, b))
    share = (m + 1) * noise**2
    if other is None:
        later = np.full_like(ours, -np.inf)
        kernels.join_dimensions(a, a, m, exclusion(m) + 1, share, most, later, ours)
        ours = ours if left else np.maximum(ours, later)
    else:
        kernels.join_dimensions(a, b, m, 0, share, most, ours, theirs)
        kernels.join_dimensions(b, a, m, 1, share, most, theirs, ours)
    return np.where(np.isinf(ours), np.nan, -ours)


def discords(distance: FloatArray, m: int, k: int) -> IntArray:
    """Starts of the ``k`` windows farthest from their neighbours that do not overlap."""
    left = distance.copy()
    found: list[int] = []
    while len(found) < k and not np.isnan(left).all():
        at = int(np.nanargmax(left))
        found.append(at)
        left[max(at - m + 1, 0) : at + m] = np.nan
    return np.array(found, dtype=np.int64)


def _windows(
    x: FloatArray, m: int, apart: BoolArray | None, like: FloatArray | None = None
) -> kernels.Windows:
    if apart is None:
        apart = np.zeros(len(x) - m + 1, dtype=np.bool_)
    # Levels far from 0 would cost digits; that of a training series does not look ahead.
    centred = x - np.median(x if like is None else like)
    return kernels.prepare(np.ascontiguousarray(centred), m, apart)


def _stacked(
    X: FloatArray, m: int, apart: BoolArray, like: FloatArray | None = None
) -> kernels.Windows:
    like = X if like is None else like
    channels = [_windows(x, m, apart, y) for x, y in zip(X.T, like.T, strict=True)]
    return kernels.Windows(*map(np.stack, zip(*channels, strict=True)))


def _none(a: kernels.Windows) -> Profile:
    n = len(a.mean)
    return Profile(np.full(n, kernels.NONE), np.full(n, -1, dtype=np.int64))


def _better(a: Profile, b: Profile) -> Profile:
    first = a.distance >= b.distance
    return Profile(np.maximum(a.distance, b.distance), np.where(first, a.near, b.near))


def _profile(best: Profile, m: int) -> Profile:
    apart = 1.0 - best.distance
    distance = np.sqrt(2.0 * m * np.where(apart > SAME, apart, 0.0))
    return Profile(np.where(best.near < 0, np.nan, distance), best.near)
