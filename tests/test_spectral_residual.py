"""Spectral and Fourier residuals against the papers' equations written out."""

from __future__ import annotations

import numpy as np

from awry.detectors.series.fourier_residual import FourierResidual
from awry.detectors.series.spectral_residual import SpectralResidual, extrapolate


def _series(n=300):
    rng = np.random.default_rng(0)
    return np.sin(np.arange(n) / 4) + rng.normal(scale=0.1, size=n)


def _paper(x, q=3, z=21, kappa=5, m=5):
    """Equations 1 to 10, point by point."""
    n = len(x)
    gradient = np.mean([(x[n - 1] - x[n - 1 - i]) / i for i in range(1, m + 1)])
    longer = np.append(x, [x[n - m] + gradient * m] * kappa)
    spectrum = np.fft.fft(longer)
    log = np.log(np.abs(spectrum))
    padded = np.concatenate([log[:1].repeat(q // 2), log, log[-1:].repeat(q // 2)])
    mean = np.array([padded[i : i + q].mean() for i in range(len(log))])
    saliency = np.abs(np.fft.ifft(np.exp(log - mean + 1j * np.angle(spectrum))))[:n]
    local = np.array([saliency[max(i - z + 1, 0) : i + 1].mean() for i in range(n)])
    return np.clip((saliency - local) / local, 0.0, None)


def test_scores_are_the_paper_s():
    x = _series()
    np.testing.assert_allclose(
        SpectralResidual().fit(x).decision_scores_, _paper(x), rtol=1e-7, atol=1e-9
    )


def test_causal_scores_are_those_of_the_last_point_of_each_window():
    x = _series()
    found = SpectralResidual(window=100, causal=True).fit(x).decision_scores_
    for t in (60, 99, 100, 250, 299):
        assert np.isclose(found[t], _paper(x[max(t - 99, 0) : t + 1])[-1], rtol=1e-7, atol=1e-9)


def test_a_straight_line_goes_on():
    np.testing.assert_allclose(extrapolate(np.arange(10.0), 3)[10:], 10.0)


def test_the_fourier_curve_takes_out_what_it_keeps():
    at = np.arange(512)
    slow, season = np.sin(2 * np.pi * 3 * at / 512), 5 * np.cos(2 * np.pi * 64 * at / 512)
    noise = np.random.default_rng(0).normal(scale=0.01, size=512)
    lowest = FourierResidual().fit(slow + noise)
    assert 0.005 < lowest.scale_[0] < 0.02
    assert FourierResidual().fit(slow + season + noise).scale_[0] > 1.0
    assert FourierResidual(keep="strongest").fit(slow + season + noise).scale_[0] < 0.02
