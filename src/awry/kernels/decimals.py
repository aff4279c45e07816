"""Decimal numbers as doubles, correctly rounded, as :class:`float` does.

References
----------
Clinger, W. D. How to read floating point numbers accurately. PLDI 1990.

Lemire, D. Number parsing at a gigabyte per second. Software: Practice and Experience 51(8), 2021,
Section 5; where the 128-bit product does not settle how to round, nothing is told.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

#: Exponents of ten whose powers are known.
_LEAST, _MOST = -326, 308
#: Up to this power of ten, and this integer, doubles are exact.
_EXACT, _WHOLE = 22, np.uint64(1 << 53)
_TENS = 10.0 ** np.arange(_EXACT + 1)
_ZERO, _ONE, _HALF, _LOW = (np.uint64(n) for n in (0, 1, 32, 0xFFFFFFFF))
_TOP, _ALL, _REST = (np.uint64(n) for n in (1 << 63, 2**64 - 1, 0x1FF))


def _powers() -> np.ndarray:
    """The first 128 bits of the powers of ten, in two halves, cut off; shape (k, 2)."""
    found = []
    for exponent in range(_LEAST, _MOST + 1):
        power = 10 ** abs(exponent)
        if exponent < 0:
            power = (1 << (power.bit_length() + 128)) // power
        power = power << 128 >> power.bit_length()
        found.append((power >> 64, power & (2**64 - 1)))
    return np.array(found, dtype=np.uint64)


_POWERS = _powers()


@njit(cache=True, nogil=True)
def _product(a, b):  # type: ignore[no-untyped-def]
    """The high and the low half of a product of 64-bit integers."""
    a1, a0, b1, b0 = a >> _HALF, a & _LOW, b >> _HALF, b & _LOW
    low = a0 * b0
    middle = a1 * b0 + (low >> _HALF)
    other = a0 * b1 + (middle & _LOW)
    return a1 * b1 + (middle >> _HALF) + (other >> _HALF), a * b


@njit(cache=True, nogil=True)
def double_of(digits, exponent):  # type: ignore[no-untyped-def]
    """The double nearest to ``digits * 10 ** exponent``; NaN where it takes a closer look.

    Parameters
    ----------
    digits : uint64
    exponent : int
    """
    if digits == _ZERO:
        return 0.0
    if digits <= _WHOLE and -_EXACT <= exponent <= _EXACT:  # Clinger's fast path
        tens = _TENS[abs(exponent)]
        return np.float64(digits) * tens if exponent >= 0 else np.float64(digits) / tens
    if not _LEAST <= exponent <= _MOST:
        return np.nan
    # So many bits lie before the point once the digits begin at the first.
    power = ((217706 * exponent) >> 16) + 64
    # The logarithm of a number just below a power of two may be rounded up to that.
    length = min(math.frexp(np.float64(digits))[1], 64)
    digits <<= np.uint64(64 - length)
    power -= 64 - length
    if digits < _TOP:
        digits <<= _ONE
        power -= 1
    high, low = _product(digits, _POWERS[exponent - _LEAST, 0])
    if high & _REST == _REST and low + digits < digits:
        more, least = _product(digits, _POWERS[exponent - _LEAST, 1])
        middle = low + more
        high += _ONE if middle < low else _ZERO
        if high & _REST == _REST and middle == _ALL and least + digits < digits:
            return np.nan
        low = middle
    first = high >> np.uint64(63)
    bits = high >> (first + np.uint64(9))  # 54 of them
    power -= 1 - np.int64(first)
    if low == _ZERO and high & _REST == _ZERO and bits & np.uint64(3) == _ONE:
        return np.nan  # exactly between two doubles
    bits = (bits + (bits & _ONE)) >> _ONE
    if not -1021 <= power <= 1021:  # close to what a double holds, or beyond
        return np.nan
    return math.ldexp(np.float64(bits), power - 52)
