"""The Gaussian kernel between many pairs of rows, and sums of it in logarithms."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

#: Below this exp is taken as exp of this, 3e-308: still a normal number, and nothing to any sum.
_LOWEST = -708.0
#: Pairs nearer than this share of their squared lengths are measured again, by differences.
_NEAR = 1e-6
#: Values worked on at a time by the exponential: they stay in the first cache.
_BLOCK = 512
_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.6931471803691238, 1.9082149292705877e-10
#: Adding it to a number below 2^51 leaves the nearest integer in the low bits.
_ROUND = 1.5 * 2.0**52


def log_kernel(X: FloatArray, C: FloatArray) -> FloatArray:
    """Logarithm of the Gaussian kernel of unit width, -‖x - c‖² / 2.

    Computed by a matrix product, and where that would cancel by differences, so that it is 0
    exactly where x equals c and has a relative error of at most 1e-9 elsewhere.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    C : ndarray of shape (m, d)

    Returns
    -------
    ndarray of shape (n, m)
    """
    X, C = np.ascontiguousarray(X), np.ascontiguousarray(C)
    out = X @ C.T
    _finish(X, C, np.einsum("ij,ij->i", X, X) / 2, np.einsum("ij,ij->i", C, C) / 2, out)
    return out


def gaussian_kernel(X: FloatArray, C: FloatArray) -> FloatArray:
    """exp(-‖x - c‖² / 2) of the rows of ``X`` (n, d) and ``C`` (m, d), shape (n, m)."""
    out = log_kernel(X, C)
    exp_in_place(out.reshape(-1))
    return out


@njit(cache=True)
def _finish(X, C, x_half, c_half, out):
    """Turn the products ``out`` (n, m) into negative half squared distances."""
    n, m = out.shape
    for i in range(n):
        row, x = out[i], x_half[i]
        near = 0
        for j in range(m):
            row[j] -= x + c_half[j]
            near += row[j] > -_NEAR * (x + c_half[j])
        if near:
            for j in range(m):
                if row[j] > -_NEAR * (x + c_half[j]):
                    total = 0.0
                    for k in range(X.shape[1]):
                        total += (X[i, k] - C[j, k]) ** 2
                    row[j] = -0.5 * total


@njit(cache=True)
def leave_out_self(logs):
    """Set the first exact 0 of each row of ``logs`` (n, m) to -inf; return whether it had one."""
    found = np.zeros(len(logs), np.bool_)
    for i in range(len(logs)):
        for j in range(logs.shape[1]):
            if logs[i, j] == 0.0:
                logs[i, j] = -np.inf
                found[i] = True
                break
    return found


@njit(cache=True)
def log_sum_exp(logs):
    """Logarithm of the sum of the exponentials of each row of ``logs`` (n, m), shape (n,).

    Leaves in ``logs`` the exponentials over the largest of their row, which must be finite.
    """
    sums = np.empty(len(logs))
    for i in range(len(logs)):
        row = logs[i]
        top = _largest(row)
        row -= top
        exp_in_place(row)
        sums[i] = top + math.log(_sum(row))
    return sums


# Taken in lanes, always the same for a length, in place of one after the other.
@njit(cache=True, fastmath={"nnan", "reassoc"})
def _sum(v):
    total = 0.0
    for i in range(v.size):
        total += v[i]
    return total


@njit(cache=True, fastmath={"nnan", "reassoc", "nsz"})
def _largest(v):
    top = -np.inf
    for i in range(v.size):
        top = max(top, v[i])
    return top


@njit(cache=True)
def exp_in_place(v):
    """Replace the values of ``v`` (n,) by their exponentials, to one unit in the last place.

    Four times as fast as a call per value, since it compiles to vector instructions. Values below
    -708 count as -708; above 700 they are not allowed.
    """
    powers = np.empty(_BLOCK)
    for start in range(0, v.size, _BLOCK):
        part = v[start : start + _BLOCK]
        _exp_block(part, powers[: part.size], powers[: part.size].view(np.int64))


# Only rules that leave the result of each step defined: multiply-add in one, and no NaN to mind.
@njit(cache=True, fastmath={"contract", "nnan", "nsz"})
def _exp_block(v, powers, bits):
    """exp(x) = 2^k exp(r), x = k ln 2 + r, |r| <= ln 2 / 2, by the Taylor series to r^13."""
    for i in range(v.size):
        x = v[i] if v[i] > _LOWEST else _LOWEST
        k = x * _LOG2_E + _ROUND
        powers[i] = k
        k -= _ROUND
        r = (x - k * _LN2_HIGH) - k * _LN2_LOW
        p = 1 / 39916800.0 + r * (1 / 479001600.0 + r * (1 / 6227020800.0))
        p = 1 / 3628800.0 + r * p
        p = 1 / 362880.0 + r * p
        p = 1 / 40320.0 + r * p
        p = 1 / 5040.0 + r * p
        p = 1 / 720.0 + r * p
        p = 1 / 120.0 + r * p
        p = 1 / 24.0 + r * p
        p = 1 / 6.0 + r * p
        p = 0.5 + r * p
        v[i] = 1.0 + r * (1.0 + r * p)
    for i in range(v.size):
        # k in the low bits, moved to where a double keeps its exponent: the number 2^k.
        bits[i] = (bits[i] + 1023) << 52
    for i in range(v.size):
        v[i] *= powers[i]
