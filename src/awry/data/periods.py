"""How long a series takes to come round again."""

from __future__ import annotations

import numpy as np

from awry.core.inputs import FloatArray

#: Points looked at; a period that does not show in these is not looked for.
MAX_POINTS = 20_000


def autocorrelation(x: FloatArray) -> FloatArray:
    """Autocorrelation of ``x`` (n,) without NaN at lags 0 to n - 1; zeros where it is constant."""
    centred = x - x.mean()
    size = 1 << int(2 * len(x) - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    found = np.fft.irfft(power, size)[: len(x)]
    return found / found[0] if found[0] > 0 else np.zeros(len(x))


def dominant_period(x: FloatArray, *, shortest: int = 4, least: float = 0.3) -> int | None:
    """The period at which ``x`` (n,) resembles itself most, None where it does not.

    The highest peak of the autocorrelation, corrected for the shrinking overlap, of the series
    without its trend; it must reach ``least``. Of a peak and its multiples the first that comes
    near the highest counts.

    Examples
    --------
    >>> dominant_period(np.sin(np.arange(500) * 2 * np.pi / 24))
    24
    >>> dominant_period(np.random.default_rng(0).normal(size=500))
    """
    x = x[~np.isnan(x)][:MAX_POINTS]
    if len(x) < 3 * shortest:
        return None
    at = np.arange(len(x))
    x = x - np.polynomial.Polynomial.fit(at, x, 1)(at)
    # Clipping keeps a few spikes from being all that resembles itself, or does not.
    middle, spread = np.median(x), 1.4826 * np.median(np.abs(x - np.median(x)))
    if spread > 0:
        x = np.clip(x, middle - 5 * spread, middle + 5 * spread)
    most = len(x) // 2
    found = autocorrelation(x)[: most + 1]
    found = found * len(x) / (len(x) - np.arange(most + 1))
    peaks = 1 + np.flatnonzero((found[1:-1] >= found[:-2]) & (found[1:-1] > found[2:]))
    # Near lag 0 every smooth series resembles itself; periods lie beyond the first dip.
    dips = np.flatnonzero(found < 0.5 * least)
    if not len(dips):
        return None
    peaks = peaks[(peaks >= max(shortest, dips[0])) & (found[peaks] >= least)]
    if not len(peaks):
        return None
    return int(peaks[np.argmax(found[peaks] >= 0.9 * found[peaks].max())])
