"""Bayesian run lengths since the last change, one pass over the points; state in place."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True)
def run_lengths(x, hazard, least, recent, prob, runs, mean, shape, rate, count, news, out):  # type: ignore[no-untyped-def]
    """Surprise of each value and probability of a change within the last ``recent`` points.

    ``x`` (T, d), in standard units. State of each channel, (d, K) each with ``count`` (d,) in use:
    ``prob`` and ``runs`` of the run lengths kept, and the ``mean``, ``shape`` and ``rate`` of their
    normal-gamma posteriors, whose κ is the run length plus 1. Run lengths less probable than
    ``least`` are dropped, and where K is full the least probable one. ``news`` (d,): the last
    surprise, which fades over ``recent`` points. ``out`` (2, T, d).
    """
    most = prob.shape[1]
    for t in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = x[t, j]
            if np.isnan(value):
                out[0, t, j] = out[1, t, j] = np.nan
                continue
            n = count[j]
            density = peak = 0.0
            for i in range(n):
                kappa = 1.0 + runs[j, i]
                a = shape[j, i]
                width = 2.0 * rate[j, i] * (kappa + 1.0) / kappa
                top = math.exp(math.lgamma(a + 0.5) - math.lgamma(a)) / math.sqrt(math.pi * width)
                ratio = (value - mean[j, i]) ** 2 / width
                peak += prob[j, i] * top
                prob[j, i] *= top * math.exp(-(a + 0.5) * math.log1p(ratio))
                density += prob[j, i]
            # Where every density vanishes nothing but a change explains the value.
            if density < 1e-300:
                density, n = 1e-300, 0
            news[j] = max(math.log(peak) - math.log(density), news[j] * (1.0 - 1.0 / recent))
            out[0, t, j] = news[j]
            kept = 0
            smallest = 0
            for i in range(n):
                p = prob[j, i] / density * (1.0 - hazard)
                if p < least:
                    continue
                kappa = 1.0 + runs[j, i]
                prob[j, kept] = p
                rate[j, kept] = rate[j, i] + kappa * (value - mean[j, i]) ** 2 / (2 * (kappa + 1))
                mean[j, kept] = (kappa * mean[j, i] + value) / (kappa + 1.0)
                shape[j, kept] = shape[j, i] + 0.5
                runs[j, kept] = runs[j, i] + 1
                if p < prob[j, smallest]:
                    smallest = kept
                kept += 1
            if kept == most:
                for state in (prob, mean, shape, rate):
                    state[j, smallest] = state[j, most - 1]
                runs[j, smallest] = runs[j, most - 1]
                kept -= 1
            prob[j, kept], runs[j, kept] = hazard, 0
            mean[j, kept], shape[j, kept], rate[j, kept] = 0.0, 1.0, 1.0
            kept += 1
            count[j] = kept
            total = young = 0.0
            oldest = 0
            for i in range(kept):
                total += prob[j, i]
            for i in range(kept):
                prob[j, i] /= total
                oldest = max(oldest, runs[j, i])
                if runs[j, i] <= recent:
                    young += prob[j, i]
            # In the first points of a series a change is all there can be.
            out[1, t, j] = young if oldest > recent else 0.0
