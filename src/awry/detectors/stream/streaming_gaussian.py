"""Mahalanobis distance from an exponentially weighted Gaussian."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import StreamDetector
from awry.core.params import any_of, integer, nothing, real
from awry.core.series import robust_moments
from awry.core.threshold import Threshold
from awry.kernels import gaussian_stream as kernels

#: Standardised values are cut off here; their squares must not overflow.
_FAR = 1e100


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    mean: FloatArray
    root: FloatArray
    seen: NDArray[np.int64]


class StreamingGaussian(StreamDetector):
    """Rows far from the recent mean, in units of the recent covariance.

    The score is the squared Mahalanobis distance ``δ' Σ^-1 δ`` of ``δ = x - μ``; about the
    chi-squared law of d degrees of freedom where rows are Gaussian. Then ``μ += w δ`` and
    ``Σ = (1 - w) (Σ + w δ δ')``, the weighted moments of West and, for vectors, of Hawkins and
    Maboudou-Tchao; in the first rows w is 1/n, so that they count alike.

    Parameters
    ----------
    weight : float, default=0.005
        Weight w of the newest row; about 1 / w rows are remembered.
    clip : float or None, default=3.0
        Distance, in units of sqrt(d), beyond which a row pulls no more than one at that distance,
        so that single anomalies teach little. None: no limit.
    ridge : float, default=1e-6
        Share of the features' own variances that Σ keeps, so that features which stand still or
        copy one another leave it invertible.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``center`` and ``scale`` (d,) that standardise the rows, then ``mean`` (d,), the Cholesky
        ``root`` (d, d) of Σ and the rows ``seen``.

    Notes
    -----
    Departures: ``clip`` and ``ridge``, and the start: median and median absolute deviation of the
    training rows stand for d + 1 rows that would have gone before.

    A feature's share of the score is ``δ_j (Σ^-1 δ)_j``, below zero where the others make up for
    its deviation.

    References
    ----------
    West: "Updating mean and variance estimates: an improved method", CACM 1979. Hawkins &
    Maboudou-Tchao: "Multivariate Exponentially Weighted Moving Covariance Matrix", Technometrics
    2008.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=500)
    >>> detector = StreamingGaussian().fit(np.column_stack([x, x + 0.1 * np.cos(x * 9)]))
    >>> bool(detector.score_one([1.0, -1.0]) > 10 * detector.score_one([3.0, 3.0]))
    True
    """

    card = Card(
        name="streaming_gaussian",
        summary="Rows far from the recent mean in units of the recent covariance.",
        modality="stream",
        family="distance",
        paper="Hawkins & Maboudou-Tchao, Multivariate Exponentially Weighted Moving Covariance",
        year=2008,
        fit_cost="O(n d²)",
        score_cost="O(d²)",
        finds="rows that break the correlations of late, or lie far out",
        misses="what lies between several groups",
        aliases=("ew_mahalanobis",),
        online=True,
    )

    constraints = {
        "weight": real(0.0, 1.0, "()"),
        "clip": any_of(nothing(), real(0.0, None, "()")),
        "ridge": real(0.0, 1.0, "(]"),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        weight: float = 0.005,
        clip: float | None = 3.0,
        ridge: float = 1e-6,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.weight = weight
        self.clip = clip
        self.ridge = ridge
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        d = X.shape[1]
        return _State(*robust_moments(X), np.zeros(d), np.eye(d), np.zeros(1, dtype=np.int64))

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        out = np.empty(len(X))
        kernels.run(
            self._standard(state, X), state.mean, state.root, state.seen,
            *self._settings(X.shape[1]), learn, out,
        )  # fmt: skip
        return out

    def _advance_each(self, states: _State, slots: IntArray, X: FloatArray) -> FloatArray:
        out = np.empty(len(X))
        kernels.run_each(
            X, slots, states.center, states.scale, _FAR, states.mean, states.root, states.seen,
            *self._settings(X.shape[1]), out,
        )  # fmt: skip
        return out

    def _settings(self, d: int) -> tuple[float, float, float, float]:
        clip = np.inf if self.clip is None else self.clip * np.sqrt(d)
        return self.weight, float(d), self.ridge, float(clip)

    def _standard(self, state: _State, X: FloatArray) -> FloatArray:
        scaled = (X - state.center) / state.scale
        return np.ascontiguousarray(np.clip(scaled, -_FAR, _FAR))

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        gap = self._standard(self.state_, X) - self.state_.mean
        return gap * cho_solve((self.state_.root, True), gap.T).T, 0.0
