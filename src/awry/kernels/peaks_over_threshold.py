"""Peaks over a threshold in a stream (SPOT), one pass; the state is changed in place."""

from __future__ import annotations

import numpy as np
from numba import njit

from awry.core import tail

#: The same code as for thresholds, compiled.
fit_pareto = njit(cache=True)(tail.fit_pareto)
pareto_isf = njit(cache=True)(tail.pareto_isf)

#: Scores above this, in decimal digits of the tail probability, go on in a straight line.
DEEPEST = 16.0


@njit(cache=True)
def spot(  # type: ignore[no-untyped-def]
    x, signs, most, prior,
    known, window, sums, drift, start, typical, law, seen, peaks, excesses, out,
):  # fmt: skip
    """Decimal digits of the probability that a point lies as far out; then learn the point.

    Parameters
    ----------
    x, out : (T, d)
    signs : (s,), +1 for the upper tail and -1 for the lower
    most : score above which a point is not learnt
    prior : standard deviation of the prior on the shape, infinite for none
    known : (1,), points to come that have been learnt already
    window, sums, drift : (d, w), (d,), (d,)
        The last normal points, their sum, and how many went in; w = 0 is SPOT without drift.
    start, typical : (s, d), threshold of the peaks, and how far below it the median lies
    law : (s, d, 2), shape and scale of the excesses
    seen, peaks : (d,) and (s, d), normal points and peaks so far
    excesses : (s, d, m), the last of them
    """
    for t in range(x.shape[0]):
        learn = known[0] == 0
        known[0] = max(known[0] - 1, 0)
        for j in range(x.shape[1]):
            value = x[t, j]
            if np.isnan(value):
                out[t, j] = np.nan
                continue
            size = window.shape[1]
            held = min(drift[j], size)
            if size > 0 and held == 0:
                out[t, j] = np.nan
                _shift(window[j], sums, drift, j, value)
                continue
            offset = value - (sums[j] / held if size > 0 else 0.0)
            score = 0.0
            for s in range(len(signs)):
                share = peaks[s, j] / seen[j]
                beyond = signs[s] * offset - start[s, j]
                shape, scale = law[s, j]
                score = max(score, _digits(beyond, typical[s, j], share, shape, scale))
            out[t, j] = score
            if score > most:
                continue
            if size > 0:
                _shift(window[j], sums, drift, j, value)
            if not learn:
                continue
            seen[j] += 1
            for s in range(len(signs)):
                beyond = signs[s] * offset - start[s, j]
                if beyond > 0:
                    excesses[s, j, peaks[s, j] % excesses.shape[2]] = beyond
                    peaks[s, j] += 1
                    held = min(peaks[s, j], excesses.shape[2])
                    law[s, j, 0], law[s, j, 1] = fit_pareto(excesses[s, j, :held], prior)


@njit(cache=True)
def _shift(window, sums, drift, j, value):  # type: ignore[no-untyped-def]
    """Put ``value`` in the place of the oldest of ``window`` and keep the sum."""
    at = drift[j] % len(window)
    sums[j] += value - (window[at] if drift[j] >= len(window) else 0.0)
    window[at] = value
    drift[j] += 1
    if at == len(window) - 1:
        # Once a round the sum is made anew, so that rounding does not pile up.
        sums[j] = window.sum()


@njit(cache=True)
def _digits(beyond, typical, share, shape, scale):  # type: ignore[no-untyped-def]
    """``-log10 P(X > x)`` for ``x`` that lies ``beyond`` the threshold, which ``share`` exceed.

    Up to the threshold it rises in a straight line from 0 at the median, ``typical`` below it;
    where most points are one value the two may be the same. A bounded law leaves nothing beyond its
    end; from ``DEEPEST`` on, where that matters, the score grows with the distance alone.
    """
    digits = -np.log10(share)
    if beyond <= 0:
        return digits * max(1.0 + beyond / typical, 0.0) if typical > 0 else 0.0
    z = beyond / scale
    if abs(shape) < 1e-9:
        digits += z / np.log(10.0)
    elif 1.0 + shape * z > 0:
        digits += np.log1p(shape * z) / shape / np.log(10.0)
    else:
        digits = np.inf
    if digits < DEEPEST:
        return digits
    return DEEPEST * beyond / pareto_isf(10.0**-DEEPEST / share, shape, scale)
