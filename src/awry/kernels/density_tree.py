"""The hierarchy of dense clusters: spanning tree, merges, and the clusters that last."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Hierarchy(NamedTuple):
    """Clusters that form as the distance within which points are linked falls; made by `condense`.

    Attributes
    ----------
    parent : ndarray of shape (c,)
        The cluster each splits off from; the first, which holds all points, is its own.
    birth : ndarray of shape (c,)
        The distance at which it splits off, below which it exists; infinity for the first.
    least : ndarray of shape (c,)
        The distance at which the last point leaves it or the clusters it splits into.
    cluster, leaves : ndarray of shape (n,)
        The last cluster of each point and the distance at which the point leaves it.
    """

    parent: IntArray
    birth: FloatArray
    least: FloatArray
    cluster: IntArray
    leaves: FloatArray


@njit(cache=True, nogil=True)
def spanning_tree(points: FloatArray, core: FloatArray) -> tuple[IntArray, FloatArray]:
    """Minimum spanning tree under the mutual reachability distance, by Prim's algorithm.

    The mutual reachability of two points is the greatest of their distance and both core distances.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    core : ndarray of shape (n,)

    Returns
    -------
    edges : ndarray of shape (n - 1, 2)
        Points, by number.
    lengths : ndarray of shape (n - 1,)
    """
    n, d = points.shape
    edges, lengths = np.empty((n - 1, 2), np.int64), np.empty(n - 1)
    # The points still outside the tree fill the first places; those taken in are overwritten.
    there, cores, numbers = points[1:].copy(), core[1:].copy(), np.arange(1, n)
    best, link = np.full(n - 1, np.inf), np.zeros(n - 1, np.int64)
    new, new_point, new_core = 0, points[0], core[0]
    for step in range(n - 1):
        left = n - 1 - step
        nearest = 0
        for j in range(left):
            bound = max(cores[j], new_core)
            # A point cannot be linked by less than the core distances.
            if bound < best[j]:
                square = 0.0
                for f in range(d):
                    t = there[j, f] - new_point[f]
                    square += t * t
                reach = max(bound, np.sqrt(square))
                if reach < best[j]:
                    best[j], link[j] = reach, new
            if best[j] < best[nearest]:
                nearest = j
        new, new_core = numbers[nearest], cores[nearest]
        new_point = points[new]
        edges[step, 0], edges[step, 1], lengths[step] = link[nearest], new, best[nearest]
        last = left - 1
        there[nearest], cores[nearest] = there[last], cores[last]
        numbers[nearest], best[nearest], link[nearest] = numbers[last], best[last], link[last]
    return edges, lengths


@njit(cache=True, nogil=True)
def merges(edges: IntArray, order: IntArray) -> tuple[IntArray, IntArray]:
    """Clusters merged along ``edges`` (n - 1, 2) in ``order``, shortest first.

    Points are clusters 0 to n - 1; the i-th merge makes cluster n + i.

    Returns
    -------
    children : ndarray of shape (n - 1, 2)
    sizes : ndarray of shape (2 n - 1,)
        Points in each cluster.
    """
    n = len(edges) + 1
    children, sizes = np.empty((n - 1, 2), np.int64), np.ones(2 * n - 1, np.int64)
    above = np.arange(2 * n - 1)
    for i in range(n - 1):
        for side in range(2):
            root = edges[order[i], side]
            while above[root] != root:
                above[root] = above[above[root]]
                root = above[root]
            children[i, side] = root
            above[root] = n + i
        sizes[n + i] = sizes[children[i, 0]] + sizes[children[i, 1]]
    return children, sizes


@njit(cache=True, nogil=True)
def condense(children: IntArray, sizes: IntArray, heights: FloatArray, min_size: int) -> Hierarchy:
    """Follow the merges from the top down, counting as clusters only parts of ``min_size`` points.

    Parameters
    ----------
    children, sizes
        From :func:`merges`.
    heights : ndarray of shape (n - 1,)
        The distance of each merge, ascending. Merges at one distance happen at once, so what comes
        out does not depend on the order of equal edges.
    min_size : int
    """
    n = len(sizes) - len(children)
    parent, birth = np.zeros(n, np.int64), np.full(n, np.inf)
    cluster, leaves, count = np.zeros(n, np.int64), np.zeros(n), 1
    # A node waits with its cluster, and the distance it left it at, or 0 if it has not.
    nodes, clusters, left = np.empty(2 * n, np.int64), np.empty(2 * n, np.int64), np.empty(2 * n)
    nodes[0], clusters[0], left[0], waiting = len(sizes) - 1, 0, 0.0, 1
    parts, undivided = np.empty(n, np.int64), np.empty(n, np.int64)
    while waiting:
        waiting -= 1
        node, own, gone = nodes[waiting], clusters[waiting], left[waiting]
        if node < n:
            cluster[node], leaves[node] = own, gone
            continue
        height, filled, todo, large = heights[node - n], 0, 1, 0
        undivided[0] = node
        while todo:
            todo -= 1
            for child in children[undivided[todo] - n]:
                if child >= n and heights[child - n] == height:
                    undivided[todo] = child
                    todo += 1
                else:
                    parts[filled] = child
                    filled += 1
                    large += sizes[child] >= min_size
        for part in parts[:filled]:
            nodes[waiting], clusters[waiting], left[waiting] = part, own, gone
            if gone == 0.0 and sizes[part] < min_size:
                left[waiting] = height
            elif gone == 0.0 and large > 1:
                parent[count], birth[count], clusters[waiting] = own, height, count
                count += 1
            waiting += 1
    least = np.full(count, np.inf)
    for i in range(n):
        least[cluster[i]] = min(least[cluster[i]], leaves[i])
    for c in range(count - 1, 0, -1):
        least[parent[c]] = min(least[parent[c]], least[c])
    return Hierarchy(parent[:count], birth[:count], least, cluster, leaves)
