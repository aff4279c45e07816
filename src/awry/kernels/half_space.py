"""Half-space trees: mass on the paths of complete binary trees, kept by window.

Node ``i`` has children ``2 i + 1`` and ``2 i + 2``; the split of an inner node sends a value below
the threshold left. ``mass`` (t, nodes, 2) int32 holds the masses of the last window and of the
present one, ``stamp`` (t, nodes) the window they are of. A node is brought up to date when it is
next met, so no window ends with a walk over the nodes.
"""

from __future__ import annotations

from numba import njit

#: Rows taken through one tree before the next tree's turn: both stay in the cache.
BLOCK = 512


@njit(cache=True, nogil=True)
def build(feature, low, high, threshold):  # type: ignore[no-untyped-def]
    """Halve the range of ``feature`` (inner,) at each inner node of one tree.

    ``low``, ``high`` (d,) are the working range at the root; ``threshold`` (inner,) is written.
    """
    for node in range(len(feature)):
        lows, highs = low.copy(), high.copy()
        # The digits of node + 1 after the first say which way the path to it turns.
        turns = 0
        while (node + 1) >> (turns + 1):
            turns += 1
        at = 0
        for turn in range(turns - 1, -1, -1):
            right = ((node + 1) >> turn) & 1
            j = feature[at]
            middle = 0.5 * (lows[j] + highs[j])
            if right:
                lows[j] = middle
            else:
                highs[j] = middle
            at = 2 * at + 1 + right
        j = feature[node]
        threshold[node] = 0.5 * (lows[j] + highs[j])


@njit(cache=True, nogil=True)
def run(x, feature, threshold, mass, stamp, seen, window, limit, learn, out):  # type: ignore[no-untyped-def]
    """Add to ``out`` (n,) the masses r 2^k at which the rows end, one term for each tree.

    Parameters
    ----------
    x : (n, d) float32
    feature, threshold : (t, inner) int16 and float32
    mass, stamp : see above
    seen : rows learnt before
    window : rows in a window
    limit : a row ends where the mass of the last window is at most this
    learn : whether each row adds to the mass of its window before the next is scored
    """
    n, trees, inner = x.shape[0], feature.shape[0], feature.shape[1]
    for start in range(0, n, BLOCK):
        end = min(start + BLOCK, n)
        for tree in range(trees):
            features, thresholds = feature[tree], threshold[tree]
            masses, stamps = mass[tree], stamp[tree]
            for i in range(start, end):
                epoch = (seen + i) // window if learn else seen // window
                out[i] += _walk(
                    x[i], features, thresholds, masses, stamps, epoch, limit, learn, inner
                )


@njit(cache=True, nogil=True)
def _walk(row, feature, threshold, mass, stamp, epoch, limit, learn, inner):  # type: ignore[no-untyped-def]
    node, size, found = 0, 1.0, -1.0
    while True:
        if learn:
            if stamp[node] != epoch:
                mass[node, 0] = mass[node, 1] if stamp[node] == epoch - 1 else 0
                mass[node, 1] = 0
                stamp[node] = epoch
            before = mass[node, 0]
            mass[node, 1] += 1
        else:
            before = _last(mass[node], stamp[node], epoch)
        if found < 0.0 and (node >= inner or before <= limit):
            found = before * size
        if node >= inner or (found >= 0.0 and not learn):
            return found
        node = 2 * node + 1 + (row[feature[node]] >= threshold[node])
        size *= 2.0


@njit(cache=True, nogil=True)
def _last(mass, stamp, epoch):  # type: ignore[no-untyped-def]
    """The mass of the last window."""
    if stamp == epoch:
        return mass[0]
    return mass[1] if stamp == epoch - 1 else 0


@njit(cache=True, nogil=True)
def losses(x, feature, threshold, mass, stamp, seen, window, limit, out):  # type: ignore[no-untyped-def]
    """Add to ``out`` (n, d) how much of the mass r 2^k the splits on each feature take away.

    Along a path r 2^k starts at the window's size and ends at the row's mass; each step is the
    doing of the feature split.
    """
    epoch, inner = seen // window, feature.shape[1]
    for i in range(x.shape[0]):
        for tree in range(feature.shape[0]):
            node, size = 0, 1.0
            here = _last(mass[tree, 0], stamp[tree, 0], epoch)
            while node < inner and here > limit:
                j = feature[tree, node]
                node = 2 * node + 1 + (x[i, j] >= threshold[tree, node])
                below = _last(mass[tree, node], stamp[tree, node], epoch)
                out[i, j] += here * size - below * size * 2.0
                here, size = below, size * 2.0
