"""Exact scoring of many rows by a forest of small trees, on 8-bit codes instead of numbers.

Only the order of a value among a forest's thresholds matters. So each column is coded once by how
many thresholds of its feature lie below it, and the codes are cut to 8 bits by looking only at the
thresholds of a run of trees at a time. Then every node of a tree is tested against thousands of
rows at once, 32 to an instruction, and leaf numbers are merged from the leaves up: a node takes its
left or right child's leaf by the outcome of its test. There is no walking and nothing is rounded:
the sums equal :func:`awry.kernels.trees.walk`'s bit for bit.

The idea of testing every node against blocks of rows is RapidScorer's (Ye et al., KDD 2018), after
QuickScorer (Lucchese et al., SIGIR 2015); merging leaf numbers instead of masks fits trees of up
to 256 leaves into single bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from awry.kernels.trees import FloatArray, Forest, IndexArray, IntArray

Codes = NDArray[np.int8]
Leaves = NDArray[np.uint8]

#: Leaves a tree may have, and thresholds a feature may have, for codes to hold them.
MAX_LEAVES = 256
MAX_EDGES = 65_535
#: Tests of one feature in a run of trees that 8 bits tell apart.
_RUN_TESTS = 255
#: Cells of the grid that gives the first guess of a code.
_CELLS = 4096


class Plan(NamedTuple):
    """A forest made ready for :func:`score`.

    Attributes
    ----------
    edges : ndarray
        Each feature's thresholds in ascending order, then infinities.
    first : ndarray of shape (d,), int64
        Where a feature's edges begin.
    grid : ndarray of shape (d, 2)
        The cell of a value x is ``x * scale - offset``, clipped; equal or greater for greater x.
    below : ndarray of shape (d, cells), uint16
        Number of the feature's edges in lower cells.
    step : ndarray of shape (d,), int64
        First step of the binary search among the edges of one cell.
    narrow : ndarray of shape (n_runs, most edges + 1), int8
        The 8-bit code, less 128, of each 16-bit code of a feature, for a run of trees.
    runs : ndarray of shape (n_runs, 2), int64
        The tree a run begins with, and its feature; in the order of trees.
    tests : ndarray of shape (n_tests, 6), int64
        Feature, 8-bit code, kind, slot, left leaf, right leaf; children before parents. The kind is
        1 if the left child is a test too, plus 2 if the right one is; then its leaves were merged
        into the slot, and for two such children the right one's into the next slot.
    ends : ndarray of shape (t,), int64
        One past the last test of each tree.
    leaves : ndarray of shape (t, 256)
        Values by number of leaf.
    """

    edges: FloatArray
    first: IntArray
    grid: FloatArray
    below: NDArray[np.uint16]
    step: IntArray
    narrow: NDArray[np.int8]
    runs: IntArray
    tests: IntArray
    ends: IntArray
    leaves: FloatArray


def plan(forest: Forest, d: int) -> Plan | None:
    """Make ``forest`` over ``d`` features ready; None where it is too large for the codes."""
    feature, threshold, left, value, roots, _ = forest
    if (np.diff(roots) > 2 * MAX_LEAVES - 1).any():
        return None
    inner = left != np.arange(len(left))
    owned = [np.flatnonzero(inner & (feature == f)) for f in range(d)]
    edges = [np.unique(threshold[nodes]) for nodes in owned]
    most = max(len(e) for e in edges)
    if most > MAX_EDGES:
        return None
    cells = int(np.clip(16 << most.bit_length(), 1, _CELLS))
    grid, below, step = np.zeros((d, 2)), np.zeros((d, cells), np.uint16), np.zeros(d, np.int64)
    codes, narrow, runs = np.zeros(len(left), np.int64), [], []
    for f, (nodes, e) in enumerate(zip(owned, edges, strict=True)):
        if not len(e):
            continue
        grid[f] = _spread(e, cells)
        at = np.empty(len(e), np.uint32)
        find_cells(e, grid[f, 0], grid[f, 1], cells, at)
        held = np.bincount(at, minlength=cells)
        below[f] = np.cumsum(held) - held
        step[f] = 1 << (int(held.max()).bit_length() - 1)
        rank = np.searchsorted(e, threshold[nodes])
        tree = np.searchsorted(roots, nodes, side="right") - 1
        begin = end = 0
        while begin < len(nodes):
            # A run ends before a tree that would not fit; a single tree always does.
            end = begin + _RUN_TESTS
            if end < len(nodes):
                end = np.searchsorted(tree, tree[end]).item()
            seen = np.sort(rank[begin:end])
            codes[nodes[begin:end]] = np.searchsorted(seen, rank[begin:end]) - 128
            narrow.append(np.searchsorted(seen, np.arange(most + 1)) - 128)
            runs.append((tree[begin], f))
            begin = end
    order = np.argsort([run[0] for run in runs], kind="stable")
    tests, ends, leaves = schedule(feature, codes, left, value, roots)
    padding = np.full(2 * int(step.max(initial=0)), np.inf)
    padded = [np.concatenate([e, padding]) for e in edges]
    return Plan(
        edges=np.concatenate(padded),
        first=np.cumsum([0] + [len(e) for e in padded[:-1]]),
        grid=grid,
        below=below,
        step=step,
        narrow=np.array(narrow, np.int8).reshape(len(runs), most + 1)[order],
        runs=np.array(runs, np.int64).reshape(len(runs), 2)[order],
        tests=tests,
        ends=ends,
        leaves=leaves,
    )


def _spread(edges: FloatArray, cells: int) -> tuple[float, float]:
    """Scale and offset that lay ``edges`` over the cells; zero, one cell for all, where none do."""
    with np.errstate(all="ignore"):
        scale = (cells - 1) / (edges[-1] - edges[0])
        offset = edges[0] * scale
    return (scale, offset) if np.isfinite(scale) and np.isfinite(offset) else (0.0, 0.0)


@njit(cache=True, nogil=True)
def schedule(
    feature: IndexArray, codes: IntArray, left: IndexArray, value: FloatArray, roots: IndexArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Put the tests of each tree in the order of merging; see :class:`Plan` for what returns."""
    n_trees = roots.size - 1
    tests = np.zeros((left.size, 6), np.int64)
    ends = np.zeros(n_trees, np.int64)
    leaves = np.zeros((n_trees, MAX_LEAVES))
    order, stack = np.empty(MAX_LEAVES, np.int64), np.empty(MAX_LEAVES, np.int64)
    size = 0
    for t in range(n_trees):
        root = np.int64(roots[t])
        leaves[t, :] = value[root]  # stands where the root is a leaf
        n_order, top = 0, 0
        if left[root] != root:
            stack[0], top = root, 1
        while top > 0:  # parents first, right before left: backwards, a post-order
            top -= 1
            k = stack[top]
            order[n_order] = k
            n_order += 1
            for child in range(np.int64(left[k]), np.int64(left[k]) + 2):
                if left[child] != child:
                    stack[top] = child
                    top += 1
        n_leaves, slots = 0, 0
        for i in range(n_order - 1, -1, -1):
            k = order[i]
            test = tests[size]
            test[0], test[1] = feature[k], codes[k]
            for side in range(2):
                below = np.int64(left[k]) + side
                if left[below] != below:
                    test[2] += 1 << side
                    slots -= 1
                else:
                    leaves[t, n_leaves] = value[below]
                    test[4 + side] = n_leaves
                    n_leaves += 1
            test[3] = slots
            slots += 1
            size += 1
        ends[t] = size
    return tests[:size].copy(), ends, leaves


@njit(cache=True, nogil=True)
def find_cells(x: FloatArray, scale: float, offset: float, cells: int, out: IndexArray) -> None:
    """The cell of each value of ``x``, into ``out``."""
    top = cells - 1.0
    for i in range(x.size):
        out[i] = np.int32(min(max(x[i] * scale - offset, 0.0), top))


@njit(cache=True, nogil=True)
def encode(
    x: FloatArray,
    edges: FloatArray,
    scale: float,
    offset: float,
    below: NDArray[np.uint16],
    step: int,
    code: NDArray[np.uint16],
    guess: IndexArray,
) -> None:
    """Count the ``edges`` below each value of ``x``, into ``code``; ``guess`` is scratch."""
    find_cells(x, scale, offset, below.size, guess)
    for i in range(x.size):
        guess[i] = below[guess[i]]
    stride = np.uint32(step)
    while stride > 0:
        for i in range(x.size):
            at = guess[i]
            guess[i] = at + stride * np.uint32(edges[at + stride - np.uint32(1)] < x[i])
        stride >>= np.uint32(1)
    for i in range(x.size):
        code[i] = guess[i]


# The four ways of merging. The new number passes through a variable of its own: that is what lets
# the compiler see a select, and so vectorise, where a conditional store would branch.


@njit(cache=True, nogil=True)
def merge_leaves(x: Codes, code: np.int8, slot: Leaves, a: np.uint8, b: np.uint8) -> None:
    """``slot = b if x > code else a`` for two leaves."""
    for i in range(x.size):
        new = b if x[i] > code else a
        slot[i] = new


@njit(cache=True, nogil=True)
def merge_right_leaf(x: Codes, code: np.int8, slot: Leaves, b: np.uint8) -> None:
    """``slot = b if x > code else slot``."""
    for i in range(x.size):
        old = slot[i]
        new = b if x[i] > code else old
        slot[i] = new


@njit(cache=True, nogil=True)
def merge_left_leaf(x: Codes, code: np.int8, slot: Leaves, a: np.uint8) -> None:
    """``slot = slot if x > code else a``."""
    for i in range(x.size):
        old = slot[i]
        new = old if x[i] > code else a
        slot[i] = new


@njit(cache=True, nogil=True)
def merge_slots(x: Codes, code: np.int8, slot: Leaves, right: Leaves) -> None:
    """``slot = right if x > code else slot``."""
    for i in range(x.size):
        old, other = slot[i], right[i]
        new = other if x[i] > code else old
        slot[i] = new


@njit(cache=True, nogil=True)
def score(
    X: FloatArray,
    rows: int,
    edges: FloatArray,
    first: IntArray,
    grid: FloatArray,
    below: NDArray[np.uint16],
    step: IntArray,
    narrow: Codes,
    runs: IntArray,
    tests: IntArray,
    ends: IntArray,
    leaves: FloatArray,
) -> FloatArray:
    """Sum over trees of the value of the leaf each row of ``X`` (n, d) ends in; shape (n,).

    Takes a :class:`Plan` from the third argument on; ``rows`` are taken at a time.
    """
    n, d = X.shape
    out = np.zeros(n)
    column, guess = np.empty(rows), np.empty(rows, np.uint32)
    wide = np.empty((d, rows), np.uint16)
    codes = np.empty((d, rows), np.int8)
    slots = np.empty((tests[:, 3].max() + 2 if len(tests) else 1, rows), np.uint8)
    slots[0] = 0
    for begin in range(0, n, rows):
        block, sums = X[begin : begin + rows], out[begin : begin + rows]
        m = sums.size
        for f in range(d):
            if step[f] > 0:
                for i in range(m):
                    column[i] = block[i, f]
                encode(
                    column[:m], edges[first[f] :], grid[f, 0], grid[f, 1], below[f], step[f],
                    wide[f], guess,
                )  # fmt: skip
        run = test = 0
        for t in range(ends.size):
            while run < len(runs) and runs[run, 0] == t:
                f = runs[run, 1]
                long, short, table = wide[f], codes[f], narrow[run]
                for i in range(m):
                    short[i] = table[long[i]]
                run += 1
            while test < ends[t]:
                now = tests[test]
                x, code, slot = codes[now[0], :m], np.int8(now[1]), slots[now[3]]
                a, b = np.uint8(now[4]), np.uint8(now[5])
                if now[2] == 0:
                    merge_leaves(x, code, slot, a, b)
                elif now[2] == 1:
                    merge_right_leaf(x, code, slot, b)
                elif now[2] == 2:
                    merge_left_leaf(x, code, slot, a)
                else:
                    merge_slots(x, code, slot, slots[now[3] + 1])
                test += 1
            number, values = slots[0], leaves[t]
            for i in range(m):
                sums[i] += values[number[i]]
    return out
