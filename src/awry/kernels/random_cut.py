"""Random cut trees on a sliding window of rows: insertion and deletion in O(depth).

Rows are in signed coordinates: ``p = (-x, x)``, so that the bounding box of a set is the maximum of
its ``p`` (2 d,), a box sticks out where ``p`` is larger, and a cut ``(k, a)`` sends ``p[k] > a`` to
the right. Of ``m + 1`` leaves the nodes 0 to m are leaves and m + 1 to 2 m inner nodes; for a
forest all arrays have the trees first:

``box`` (2 m + 1, 2 d) float32, ``at`` (2 m + 1,) float32 the value a of the cut, ``links``
(2 m + 1, 5) int32 as named below, ``free`` (2 m + 1,) int32 two stacks of unused nodes, leaves at
the start and inner nodes from m + 1 on, ``top`` (3,) int32 their heights and the root, -1 where
the tree is empty, ``leaf_of`` (m + 1,) int32 the leaf of each row of the window.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Columns of ``links``; a leaf's LEFT is -1, a root's PARENT is -1. CUT is the coordinate k.
PARENT, LEFT, RIGHT, COUNT, CUT = range(5)
_LEAVES, _INNER, _ROOT = range(3)

#: Rows taken through one tree before the next tree's turn: both stay in the cache.
BLOCK = 256

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@njit(cache=True, nogil=True)
def _mix(z):  # type: ignore[no-untyped-def]
    """SplitMix64's output function (Steele, Lea & Flood, OOPSLA 2014)."""
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _uniform(z):  # type: ignore[no-untyped-def]
    return (_mix(z) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def run(rows, box, at, links, free, top, leaf_of, seeds, seen, shared, learn, out):  # type: ignore[no-untyped-def]
    """Add to ``out`` (n,) the displacement of each row, summed over the trees.

    Parameters
    ----------
    rows : (n, 2 d) float32 in signed coordinates
    box, at, links, free, top, leaf_of : the forest
    seeds : (t,) uint64
    seen : rows learnt before
    shared : whether displacement is shared by colluders (CoDisp)
    learn : whether each row enters the window before the next is scored
    """
    n, slots = rows.shape[0], leaf_of.shape[1]
    for start in range(0, n, BLOCK):
        end = min(start + BLOCK, n)
        for tree in range(box.shape[0]):
            b, a, links_, free_ = box[tree], at[tree], links[tree], free[tree]
            top_, leaves = top[tree], leaf_of[tree]
            for i in range(start, end):
                step = seen + i if learn else seen
                z = _mix(seeds[tree] + np.uint64(step) * _GOLDEN)
                found = _find(rows[i], b, a, links_, top_[_ROOT], z, shared, learn)
                out[i] += found[0]
                if learn:
                    leaves[step % slots] = _insert(
                        rows[i], b, a, links_, free_, top_, found[2], found[3], found[4]
                    )
                    if step >= slots - 1:
                        _delete(leaves[(step + 1) % slots], b, links_, free_, top_)


@njit(cache=True, nogil=True)
def attribute(rows, box, at, links, top, seeds, seen, shared, out):  # type: ignore[no-untyped-def]
    """Add to ``out`` (n, d) the displacement of each row under the features whose cuts cause it.

    Where the row itself is cut off, each feature takes part by how far the row sticks out in it.
    """
    d = rows.shape[1] // 2
    for i in range(rows.shape[0]):
        p = rows[i]
        for tree in range(box.shape[0]):
            b, root = box[tree], top[tree, _ROOT]
            z = _mix(seeds[tree] + np.uint64(seen) * _GOLDEN)
            value, cause, node, cut, _ = _find(p, b, at[tree], links[tree], root, z, shared, False)
            if cause >= 0:
                out[i, cause % d] += value
            elif cut >= 0:
                excess = 0.0
                for k in range(2 * d):
                    excess += max(p[k] - b[node, k], 0.0)
                for k in range(2 * d):
                    out[i, k % d] += value * max(p[k] - b[node, k], 0.0) / excess


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def _stick_out(p, b):  # type: ignore[no-untyped-def]
    """By how much ``p`` sticks out of the box ``b``, and the sum of the sides of that."""
    excess, span = np.float32(0.0), np.float32(0.0)
    for k in range(len(p)):
        excess += max(p[k] - b[k], np.float32(0.0))
        span += b[k]
    return excess, span


@njit(cache=True, nogil=True)
def _find(p, box, at, links, node, z, shared, learn):  # type: ignore[no-untyped-def]
    """Where ``p`` would enter the tree by random cuts, and what it would displace there.

    Algorithm 2 of the paper from the root down: a cut of the box joined with ``p`` either keeps
    ``p`` from the rest or is the cut that the node has. Where ``learn``, the nodes passed take
    ``p`` in.

    Returns
    -------
    displacement, the coordinate of the cut that causes it (-1: the one that ``p`` itself makes),
    the node above which ``p`` enters, and that cut; with the coordinate -1 ``p`` is at the leaf.
    """
    best, cause = 0.0, -1
    while node >= 0:
        b = box[node]
        excess, span = _stick_out(p, b)
        leaf = links[node, LEFT] < 0
        if excess > 0 and (leaf or _uniform(z) * (span + excess) < excess):
            ratio = float(links[node, COUNT])
            if not shared or ratio > best:
                best, cause = ratio, -1
            k, value = _cut(p, b, excess, z)
            return best, cause, node, k, value
        z += _GOLDEN
        if learn:
            links[node, COUNT] += 1
            for k in range(len(p)):
                b[k] = max(b[k], p[k])
        if leaf:
            break
        cut = links[node, CUT]
        right = p[cut] > at[node]
        near, far = links[node, LEFT + right], links[node, RIGHT - right]
        ratio = links[far, COUNT] / (links[near, COUNT] + 1.0 if shared else 1.0)
        if not shared or ratio > best:
            best, cause = ratio, cut
        node = near
    return best, cause, node, -1, np.float32(0.0)


@njit(cache=True, nogil=True)
def _cut(p, b, excess, z):  # type: ignore[no-untyped-def]
    """A random cut between the box ``b`` and ``p``: the coordinate and the value."""
    rest, k = _uniform(z + _SECOND) * excess, -1
    for j in range(len(p)):
        if p[j] > b[j]:
            k = j
            rest -= p[j] - b[j]
            if rest < 0:
                break
    value = np.float32(b[k] + _uniform(z + _FIRST) * (p[k] - b[k]))
    # Rounding must not put the row on the side of the box.
    return k, value if value < p[k] else b[k]


@njit(cache=True, nogil=True)
def _insert(p, box, at, links, free, top, node, cut, value):  # type: ignore[no-untyped-def]
    """Put ``p`` where :func:`_find` found its place; return its leaf."""
    if node >= 0 and cut < 0:
        return node
    top[_LEAVES] -= 1
    leaf = free[top[_LEAVES]]
    box[leaf] = p
    links[leaf] = np.array([-1, -1, -1, 1, -1], dtype=np.int32)
    if node < 0:
        top[_ROOT] = leaf
        return leaf
    top[_INNER] -= 1
    new = free[len(free) // 2 + 1 + top[_INNER]]
    above = links[node, PARENT]
    for k in range(len(p)):
        box[new, k] = max(box[node, k], p[k])
    at[new] = value
    links[new, PARENT], links[new, LEFT], links[new, RIGHT] = above, node, leaf
    links[new, COUNT], links[new, CUT] = links[node, COUNT] + 1, cut
    links[node, PARENT] = links[leaf, PARENT] = new
    _hang(links, top, above, node, new)
    return leaf


@njit(cache=True, nogil=True)
def _hang(links, top, above, old, new):  # type: ignore[no-untyped-def]
    """Put ``new`` in the place of the child ``old`` of ``above``."""
    if above < 0:
        top[_ROOT] = new
    elif links[above, LEFT] == old:
        links[above, LEFT] = new
    else:
        links[above, RIGHT] = new


@njit(cache=True, nogil=True)
def _delete(leaf, box, links, free, top):  # type: ignore[no-untyped-def]
    """Take one row out of ``leaf``; algorithm 1 of the paper."""
    above = links[leaf, PARENT]
    if links[leaf, COUNT] > 1:
        links[leaf, COUNT] -= 1
        while above >= 0:
            links[above, COUNT] -= 1
            above = links[above, PARENT]
        return
    free[top[_LEAVES]] = leaf
    top[_LEAVES] += 1
    if above < 0:
        top[_ROOT] = -1
        return
    free[len(free) // 2 + 1 + top[_INNER]] = above
    top[_INNER] += 1
    kept = links[above, LEFT] + links[above, RIGHT] - leaf
    node = links[above, PARENT]
    links[kept, PARENT] = node
    _hang(links, top, node, above, kept)
    p, touches = box[leaf], True
    while node >= 0:
        links[node, COUNT] -= 1
        # Once the row lies inside of a box it does so in all above, which stay as they are.
        if touches:
            touches = _touches(p, box[node])
        if touches:
            left, right = box[links[node, LEFT]], box[links[node, RIGHT]]
            for k in range(len(p)):
                box[node, k] = max(left[k], right[k])
        node = links[node, PARENT]


@njit(cache=True, nogil=True)
def _touches(p, b):  # type: ignore[no-untyped-def]
    touching = False
    for k in range(len(p)):
        touching |= p[k] >= b[k]
    return touching
