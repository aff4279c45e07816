"""Recursive least squares for autoregression, one pass over the points, state in place."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True)
def autoregress(x, order, period, forgetting, ridge, clip, past, head, coef, cov, scale, out):  # type: ignore[no-untyped-def]
    """Predict each value of each channel from its lags, then learn it.

    ``x`` (T, d). State: ``past`` (L, d), the last values in a ring, the oldest at ``head`` (1,);
    ``coef`` (d, k); ``cov`` (d, k, k), the inverse of the weighted Gram matrix; ``scale`` (d,).
    ``out`` (3, T, d): prediction, scale before the point, score. k = order + 1, one more where
    ``period`` > 0. A missing value scores NaN and its prediction stands in for it as a lag.
    """
    d, k, length = x.shape[1], coef.shape[1], past.shape[0]
    u, gain = np.empty(k), np.empty(k)
    for t in range(x.shape[0]):
        for j in range(d):
            u[0] = 1.0
            for i in range(order):
                u[1 + i] = past[(head[0] - 1 - i) % length, j]
            if period > 0:
                u[k - 1] = past[(head[0] - period) % length, j]
            expected = 0.0
            for i in range(k):
                expected += coef[j, i] * u[i]
            value = x[t, j]
            out[0, t, j], out[1, t, j] = expected, scale[j]
            seen = value
            if np.isnan(value):
                out[2, t, j] = np.nan
                seen = expected
            else:
                error = value - expected
                out[2, t, j] = abs(error) / scale[j]
                # Huber's weight: an odd value moves the coefficients no more than one at the limit.
                weight = min(1.0, clip * scale[j] / max(abs(error), 1e-300))
                bottom = forgetting / weight
                for i in range(k):
                    gain[i] = 0.0
                    for m in range(k):
                        gain[i] += cov[j, i, m] * u[m]
                    bottom += gain[i] * u[i]
                trace = 0.0
                for i in range(k):
                    coef[j, i] += gain[i] / bottom * error
                for i in range(k):
                    for m in range(i + 1):
                        cov[j, i, m] = (cov[j, i, m] - gain[i] * gain[m] / bottom) / forgetting
                        cov[j, m, i] = cov[j, i, m]
                    trace += cov[j, i, i]
                # Without news forgetting inflates the covariance for ever.
                if trace > k / ridge:
                    for i in range(k):
                        for m in range(k):
                            cov[j, i, m] *= k / ridge / trace
                bounded = min(abs(error), clip * scale[j])
                scale[j] = math.sqrt(forgetting * scale[j] ** 2 + (1.0 - forgetting) * bounded**2)
                scale[j] = max(scale[j], 1e-9 * abs(expected), 1e-150)
                # What an outlier did to the lags must not make the next points odd.
                if abs(error) > clip * scale[j]:
                    seen = expected + math.copysign(clip * scale[j], error)
            past[head[0], j] = seen
        head[0] = (head[0] + 1) % length
