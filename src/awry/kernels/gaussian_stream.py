"""Mahalanobis distances from an exponentially weighted mean and covariance, row after row."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def run(x, mean, root, seen, weight, prior, ridge, clip, learn, out):  # type: ignore[no-untyped-def]
    """Write squared distances to ``out`` (n,).

    Parameters
    ----------
    x : (n, d)
    mean : (d,)
    root : (d, d) lower triangular L, the covariance being L L'
    seen : (1,) rows learnt
    weight : of the newest row in the long run; before, rows weigh as in a mean
    prior : rows that the first covariance counts for
    ridge : share of the unit matrix that the covariance tends to have
    clip : distance beyond which a row pulls no more than at it
    learn : whether each row is learnt before the next is scored
    """
    scratch = np.zeros((3, len(mean)))
    for i in range(x.shape[0]):
        out[i] = _step(
            x[i], mean, root, seen, weight, prior, ridge, clip, learn, scratch
        )  # fmt: skip


@njit(cache=True, nogil=True)
def run_each(x, slots, center, scale, far, mean, root, seen, weight, prior, ridge, clip, out):  # type: ignore[no-untyped-def]
    """The same for rows of many states, each row standardised and learnt by its own.

    Parameters
    ----------
    x : (n, d) not standardised
    slots : (n,) whose state a row belongs to: the place in the arrays that follow
    center, scale, mean : (s, d)
    far : bound of a standardised value
    root : (s, d, d)
    seen : (s, 1)
    """
    row, scratch = np.empty(x.shape[1]), np.zeros((3, x.shape[1]))
    for i in range(x.shape[0]):
        at = slots[i]
        for j in range(x.shape[1]):
            row[j] = min(max((x[i, j] - center[at, j]) / scale[at, j], -far), far)
        out[i] = _step(
            row, mean[at], root[at], seen[at], weight, prior, ridge, clip, True, scratch
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _step(x, mean, root, seen, weight, prior, ridge, clip, learn, scratch):  # type: ignore[no-untyped-def]
    """The squared distance of a row ``x``, which is then learnt; ``scratch[2]`` is 0 throughout."""
    d, gap, solved, ones = len(mean), scratch[0], scratch[1], scratch[2]
    for j in range(d):
        gap[j] = x[j] - mean[j]
    _solve(root, gap, solved)
    square = 0.0
    for j in range(d):
        square += solved[j] * solved[j]
    if not learn:
        return square
    share = max(weight, 1.0 / (seen[0] + prior + 1.0))
    pull = 1.0 if square <= clip * clip else clip / np.sqrt(square)
    kept = np.sqrt(1.0 - share)
    for j in range(d):
        gap[j] *= pull
        mean[j] += share * gap[j]
        for k in range(j + 1):
            root[j, k] *= kept
    for j in range(d):
        gap[j] *= np.sqrt(share * (1.0 - share))
    _add(root, gap, 0)
    # The unit matrix is put in a diagonal element at a time; all of it would cost d^3.
    turn = seen[0] % d
    ones[turn] = np.sqrt(share * ridge * d)
    _add(root, ones, turn)
    ones[:] = 0.0
    seen[0] += 1
    return square


@njit(cache=True, nogil=True)
def _solve(root, b, out):  # type: ignore[no-untyped-def]
    """Solve ``root @ out = b``."""
    for j in range(len(b)):
        rest = b[j]
        for k in range(j):
            rest -= root[j, k] * out[k]
        out[j] = rest / root[j, j]


@njit(cache=True, nogil=True)
def _add(root, v, first):  # type: ignore[no-untyped-def]
    """Make ``root`` the Cholesky factor of ``root root' + v v'``; ``v`` is used up.

    ``v`` is zero before ``first``. Plane rotations, as in Golub & Van Loan, section 6.5.4.
    """
    for k in range(first, len(v)):
        r = np.hypot(root[k, k], v[k])
        c, s = r / root[k, k], v[k] / root[k, k]
        root[k, k] = r
        for j in range(k + 1, len(v)):
            root[j, k] = (root[j, k] + s * v[j]) / c
            v[j] = c * v[j] - s * root[j, k]
