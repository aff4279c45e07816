"""The nearest rows, exactly: matrix products in single precision to look, double to decide.

Rows are kept in groups of near ones. A tile of queries meets a group as one product of small
matrices, relative to the group's centre, in float32; only rows that its rounding error cannot rule
out are measured again, in float64 and by differences. So distances are exact (zero for equal
rows), and what a query finds does not depend on the queries that came with it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Single = NDArray[np.float32]

#: Queries and rows that meet in one product: both operands and the outcome stay in the cache.
_TILE_ROWS, _TILE_COLUMNS = 256, 512
#: Rows whose products are looked through at a time.
_LANE = 64
#: Unit roundoff of float32.
_ROUNDOFF = 2.0**-24
#: Squared distance from a group's centre beyond which float32 could overflow.
_FAR = 1e30


class Groups(NamedTuple):
    """Rows to search, group after group; made by :func:`group`.

    Attributes
    ----------
    points : ndarray of shape (n, d)
    starts : ndarray of shape (g + 1,)
        Where each group begins in ``points``; none is empty.
    local : ndarray of shape (n, d + 1), float32
        Points less their group's centre, and the squared lengths of these.
    centres : ndarray of shape (g, d)
    radii, lower, upper : ndarray of shape (g,), (g, d), (g, d)
        The ball around the centre and the box that hold the group.
    """

    points: FloatArray
    starts: IntArray
    local: Single
    centres: FloatArray
    radii: FloatArray
    lower: FloatArray
    upper: FloatArray


def group(points: FloatArray, starts: IntArray, centres: FloatArray) -> Groups:
    """Make ``points`` (n, d), group after group, ready for :func:`nearest`."""
    local = np.empty((len(points), points.shape[1] + 1), np.float32)
    radii, lower, upper = np.empty(len(centres)), np.empty(centres.shape), np.empty(centres.shape)
    for g, (start, end) in enumerate(pairwise(starts)):
        rows = points[start:end]
        lower[g], upper[g] = rows.min(axis=0), rows.max(axis=0)
        rows = rows - centres[g]
        squares = np.einsum("ij,ij->i", rows, rows)
        local[start:end, :-1], local[start:end, -1] = rows, squares
        radii[g] = np.sqrt(squares.max())
    return Groups(points, starts, local, centres, radii, lower, upper)


@njit(cache=True, nogil=True)
def nearest(
    groups: Groups, Q: FloatArray, visits: IntArray, k: int, everywhere: bool
) -> tuple[FloatArray, IntArray]:
    """The ``k`` nearest rows of each query.

    Parameters
    ----------
    groups : Groups
    Q : ndarray of shape (m, d)
    visits : ndarray of shape (m, v)
        Different groups for each query, which are searched first.
    k : int
    everywhere : bool
        Whether to go on to all other groups that may hold a nearer row, or to stop there.

    Returns
    -------
    squares, found : ndarray of shape (m, k)
        Squared distances in ascending order, and places in ``points``; infinity and -1 where the
        groups visited hold fewer than ``k`` rows.
    """
    squares, found = np.full((len(Q), k), np.inf), np.full((len(Q), k), -1)
    room = _room(Q.shape[1])
    _probe(groups, Q, visits, squares, found, room)
    if everywhere:
        _complete(groups, Q, visits, squares, found, room)
    for i in range(len(Q)):
        _sort_heap(squares[i], found[i])
    return squares, found


@njit(cache=True, nogil=True)
def _probe(
    groups: Groups,
    Q: FloatArray,
    visits: IntArray,
    squares: FloatArray,
    found: IntArray,
    room: tuple[Single, Single],
) -> None:
    """Offer to each query the rows of the groups it visits; ``squares`` and ``found`` are heaps."""
    first = np.zeros(len(groups.centres) + 1, np.int64)
    for i in range(len(Q)):
        for g in visits[i]:
            first[g + 1] += 1
    first = np.cumsum(first)
    queries, place = np.empty(visits.size, np.int64), first.copy()
    for i in range(len(Q)):
        for g in visits[i]:
            queries[place[g]] = i
            place[g] += 1
    for g in range(len(groups.centres)):
        for start in range(first[g], first[g + 1], _TILE_ROWS):
            tile = queries[start : min(start + _TILE_ROWS, first[g + 1])]
            _meet(groups, g, Q, tile, squares, found, room)


@njit(cache=True, nogil=True)
def _complete(
    groups: Groups,
    Q: FloatArray,
    visits: IntArray,
    squares: FloatArray,
    found: IntArray,
    room: tuple[Single, Single],
) -> None:
    """Offer to each query the rows of the groups not visited whose box comes near enough."""
    tile = np.empty(_TILE_ROWS, np.int64)
    for g in range(len(groups.centres)):
        filled = 0
        for i in range(len(Q)):
            near = _box_distance(groups, g, Q[i], squares[i, 0]) < squares[i, 0]
            if near and not (visits[i] == g).any():
                tile[filled] = i
                filled += 1
            if filled == _TILE_ROWS or (filled and i == len(Q) - 1):
                _meet(groups, g, Q, tile[:filled], squares, found, room)
                filled = 0


@njit(cache=True, nogil=True)
def _room(d: int) -> tuple[Single, Single]:
    """Memory for a tile: the queries as multipliers of ``local``, and the products."""
    return np.ones((_TILE_ROWS, d + 1), np.float32), np.empty(
        _TILE_ROWS * _TILE_COLUMNS, np.float32
    )


@njit(cache=True, nogil=True)
def _box_distance(groups: Groups, g: int, q: FloatArray, enough: float) -> float:
    """Squared distance of ``q`` from the box of group ``g``; stops once it is ``enough``."""
    total = 0.0
    for f in range(len(q)):
        gap = max(groups.lower[g, f] - q[f], q[f] - groups.upper[g, f])
        if gap > 0.0:
            total += gap * gap
            if total >= enough:
                break
    return total


@njit(cache=True, nogil=True)
def _meet(
    groups: Groups,
    g: int,
    Q: FloatArray,
    tile: IntArray,
    squares: FloatArray,
    found: IntArray,
    room: tuple[Single, Single],
) -> None:
    """Offer the rows of group ``g`` to the queries numbered in ``tile``."""
    m, d = len(tile), Q.shape[1]
    sides, lengths = room[0][:m], np.empty(m)
    for r in range(m):
        total = 0.0
        for f in range(d):
            t = Q[tile[r], f] - groups.centres[g, f]
            total += t * t
            sides[r, f] = -2.0 * t
        lengths[r] = total
    radius = groups.radii[g]
    for start in range(groups.starts[g], groups.starts[g + 1], _TILE_COLUMNS):
        end = min(start + _TILE_COLUMNS, groups.starts[g + 1])
        products = room[1][: m * (end - start)].reshape(m, end - start)
        np.dot(sides, groups.local[start:end].T, products)
        points = groups.points[start:end]
        for r in range(m):
            i = tile[r]
            # What float32 may have got wrong: roundings of the operands, of a sum of d + 1 products
            # and of the limit, each relative to the greatest of what is summed.
            reach = radius * (radius + 2.0 * np.sqrt(lengths[r])) + lengths[r]
            slack = (d + 8) * _ROUNDOFF * reach + 1e-36
            _look(points, start, products[r], Q[i], lengths[r], slack, squares[i], found[i])


@njit(cache=True, nogil=True)
def _look(
    points: FloatArray,
    first: int,
    products: Single,
    q: FloatArray,
    length: float,
    slack: float,
    squares: FloatArray,
    found: IntArray,
) -> None:
    """Offer to ``q`` the points, numbered from ``first``, whose products do not rule them out."""
    limit = _limit(squares[0], length, slack)
    for start in range(0, len(points), _LANE):
        end = min(start + _LANE, len(points))
        ruled_out = np.int32(0)
        for j in range(start, end):
            ruled_out += np.int32(products[j] > limit)
        if ruled_out == end - start:
            continue
        for j in range(start, end):
            # Written so that an overflow, which compares false, does not rule a row out.
            if products[j] > limit or squares[0] == 0.0:
                continue
            total = 0.0
            for f in range(len(q)):
                t = q[f] - points[j, f]
                total += t * t
            if total < squares[0]:
                _replace_greatest(squares, found, total, first + j)
                limit = _limit(squares[0], length, slack)


@njit(cache=True, nogil=True)
def _limit(greatest: float, length: float, slack: float) -> np.float32:
    """A product above this means a squared distance above ``greatest``."""
    if length > _FAR or greatest > _FAR:
        return np.float32(np.inf)
    return np.float32(greatest - length + slack + 4.0 * _ROUNDOFF * greatest)


@njit(cache=True, nogil=True)
def _replace_greatest(squares: FloatArray, found: IntArray, square: float, row: int) -> None:
    """Put ``row`` in the place of the heap's greatest."""
    hole, k = 0, len(squares)
    while True:
        child = 2 * hole + 1
        if child + 1 < k and squares[child + 1] > squares[child]:
            child += 1
        if child >= k or squares[child] <= square:
            break
        squares[hole], found[hole] = squares[child], found[child]
        hole = child
    squares[hole], found[hole] = square, row


@njit(cache=True, nogil=True)
def _sort_heap(squares: FloatArray, found: IntArray) -> None:
    """Turn the heap into ascending order."""
    for end in range(len(squares) - 1, 0, -1):
        square, row = squares[end], found[end]
        squares[end], found[end] = squares[0], found[0]
        _replace_greatest(squares[:end], found[:end], square, row)
