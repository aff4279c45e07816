"""Spectral residual: what the spectrum of a series does not explain."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import boolean, integer
from awry.core.series import Series, SeriesDetector
from awry.core.threshold import Threshold

#: Windows transformed at a time.
_BATCH = 256


class SpectralResidual(SeriesDetector):
    """Points that stand out where the usual of the spectrum is taken away.

    The log amplitudes of the Fourier transform less their mean over ``n_frequencies`` neighbours,
    transformed back with the phases, give the saliency map S; the score is ``(S - S̄) / S̄`` with S̄
    the mean of the ``n_local`` last points (equations 1 to 8 of the paper), 0 where that is
    negative. As the map is clearest inside, ``n_ahead`` estimated points are put behind the last.

    Parameters
    ----------
    window : int, default=1440
        Points transformed together where ``causal``; ω in the paper.
    n_frequencies : int, default=3
        q in the paper.
    n_local : int, default=21
        z in the paper.
    n_ahead : int, default=5
        κ in the paper: as many points are put behind the last, at the value the mean gradient to
        the last m = 5 points leads to.
    causal : bool, default=False
        Whether a point is scored as the last of a window of the points before it, as the paper does
        for streams; else the whole series is transformed at once.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`; the paper flags
        above 3, ``"fixed:3"``.

    Attributes
    ----------
    n_features_in_ : int

    References
    ----------
    Ren et al.: "Time-Series Anomaly Detection Service at Microsoft", KDD 2019, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(400) / 5) + np.random.default_rng(0).normal(scale=0.05, size=400)
    >>> x[250] += 2
    >>> int(SpectralResidual().fit(x).decision_scores_.argmax())
    250
    """

    card = Card(
        name="spectral_residual",
        summary="Points that stand out where the usual of the spectrum is taken away.",
        modality="series",
        family="shape",
        paper="Ren et al., Time-Series Anomaly Detection Service at Microsoft, KDD",
        year=2019,
        fit_cost="O(T log T d), O(T w log w d) with causal windows of w points",
        score_cost="as fit",
        finds="spikes and sudden changes, seasons or not",
        misses="slow changes; long anomalies",
        univariate=True,
        min_rows=8,
    )

    constraints = {
        "window": integer(16),
        "n_frequencies": integer(1),
        "n_local": integer(1),
        "n_ahead": integer(0),
        "causal": boolean(),
    }

    def __init__(
        self,
        window: int = 1440,
        n_frequencies: int = 3,
        n_local: int = 21,
        n_ahead: int = 5,
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.window = window
        self.n_frequencies = n_frequencies
        self.n_local = n_local
        self.n_ahead = n_ahead
        self.causal = causal
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> None:
        """Every series is compared with its own spectrum; there is nothing to learn."""

    def _score(self, X: Series) -> FloatArray:
        values, holes = X.filled(causal=self.causal)
        measure = self._last_scores if self.causal else self._scores
        scores = np.stack([measure(np.ascontiguousarray(x)) for x in values.T], axis=1)
        return np.where(holes, np.nan, scores)

    def _last_scores(self, x: FloatArray) -> FloatArray:
        """Score of each point as the last of a window."""
        size = min(self.window, len(x))
        scores = np.empty(len(x))
        for t in range(min(self.window, len(x)) - 1):
            scores[t] = self._scores(x[: t + 1])[-1]
        cut = np.lib.stride_tricks.sliding_window_view(x, size)
        for start in range(0, len(cut), _BATCH):
            part = slice(start, start + _BATCH)
            scores[size - 1 :][part] = self._scores(cut[part])[:, -1]
        return scores

    def _scores(self, x: FloatArray) -> FloatArray:
        """Scores of the points of series ``x`` (..., n), each transformed as a whole."""
        saliency = saliency_map(extrapolate(x, self.n_ahead), self.n_frequencies)[
            ..., : x.shape[-1]
        ]
        total = np.cumsum(saliency, axis=-1)
        total[..., self.n_local :] -= total[..., : -self.n_local].copy()
        local = total / np.minimum(np.arange(1, x.shape[-1] + 1), self.n_local)
        # Of a constant series nothing is salient; rounding must not seem to be.
        floor = 1e-8 * np.abs(x).max(axis=-1, keepdims=True) + 1e-300
        return np.clip((saliency - local) / np.maximum(local, floor), 0.0, None)


def saliency_map(x: FloatArray, n_frequencies: int) -> FloatArray:
    """Of series ``x`` (..., n): equations 1 to 6 of the paper."""
    spectrum = np.fft.fft(x, axis=-1)
    amplitude = np.abs(spectrum)
    # A frequency that is absent has no logarithm; far below all others it stays absent.
    floor = 1e-12 * amplitude.max(axis=-1, keepdims=True) + 1e-300
    present = amplitude > floor
    log = np.log(np.maximum(amplitude, floor))
    residual = log - uniform_filter1d(log, n_frequencies, axis=-1, mode="nearest")
    phase = spectrum / np.where(present, amplitude, 1.0)
    return np.abs(np.fft.ifft(np.where(present, np.exp(residual) * phase, 0.0), axis=-1))


def extrapolate(x: FloatArray, n_ahead: int, m: int = 5) -> FloatArray:
    """Series ``x`` (..., n) with ``n_ahead`` estimated points behind (equations 9 and 10).

    Examples
    --------
    >>> extrapolate(np.arange(7.0), 2)
    array([0., 1., 2., 3., 4., 5., 6., 7., 7.])
    """
    m = min(m, x.shape[-1] - 1)
    if n_ahead == 0 or m < 1:
        return x
    back = np.arange(1, m + 1)
    gradient = ((x[..., -1:] - x[..., -1 - back]) / back).mean(axis=-1)
    # From the m-th last point before the new one, m steps on.
    ahead = x[..., -m] + gradient * m
    return np.concatenate([x, np.repeat(ahead[..., None], n_ahead, axis=-1)], axis=-1)
