"""KDE: rows where the kernel density estimate is low."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing, option, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._scale import median_and_scale
from awry.kernels import gaussian as kernels


class KDE(Detector):
    """Rows where the density of the other rows is low.

    The score is -log p(x), with p the mean of Gaussian kernels around the training rows. A row that
    equals a training row counts as that one and is left out of its own density.

    Parameters
    ----------
    bandwidth : {"scott", "silverman"} or float, default="scott"
        Width of the kernels in robust standard deviations of each column: a number, or
        ``smoothing`` times m^(-1/(d + 4)) or (m (d + 2) / 4)^(-1/(d + 4)) for m kernels.
    smoothing : float, default=3.0
        How much wider than the named rule. The rules suit the bulk; anomalies lie in the tails,
        where rows are few and a kernel of that width sees none.
    max_samples : int or None, default=2000
        Rows that get a kernel, drawn at random where there are more; None for all.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the draw.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    center_, width_ : ndarray of shape (d,)
        Medians of the columns, and the width of the kernels in the columns' own units.
    points_ : ndarray of shape (m, d)
        Rows with a kernel, less the medians and over the widths.
    log_norm_ : float
        Logarithm of the integral of one kernel.

    Notes
    -----
    The contribution of column j is half the mean of (x_j - x_ij)² / width_j² over the kernels i,
    weighted by their part in the density. The base is the rest of the score: what it takes to be
    at one of the kernels' centres.

    References
    ----------
    Parzen: "On Estimation of a Probability Density Function and Mode", Ann. Math. Stat. 1962.
    Scott: "Multivariate Density Estimation", 1992, section 6.3.

    Examples
    --------
    >>> import numpy as np
    >>> angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 300)
    >>> X = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> X[11] = 0.0
    >>> int(KDE(smoothing=1).fit(X).decision_scores_.argmax())
    11
    """

    card = Card(
        name="kde",
        summary="Rows where the kernel density estimate of the others is low.",
        family="density",
        paper="Parzen, On Estimation of a Probability Density Function and Mode",
        year=1962,
        fit_cost="O(n d + n m d), m = max_samples",
        score_cost="O(n m d)",
        finds="rows in empty places, whatever the shape of the data",
        misses="anomalies where density varies much; what shows only in a few of many columns",
        pyod="kde.KDE",
        stochastic=True,
    )
    constraints = {
        "bandwidth": any_of(option("scott", "silverman"), real(0, closed="(]")),
        "smoothing": real(0, closed="(]"),
        "max_samples": any_of(nothing(), integer(2)),
        "random_state": random_state(),
    }
    chunk_rows: ClassVar[int] = 1 << 10

    def __init__(
        self,
        *,
        bandwidth: float | str = "scott",
        smoothing: float = 3.0,
        max_samples: int | None = 2000,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.bandwidth = bandwidth
        self.smoothing = smoothing
        self.max_samples = max_samples
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        n, d = X.shape
        size = min(n, self.max_samples or n)
        picks = np.sort(self._rng().choice(n, size, replace=False))
        self.center_, scale = np.array([median_and_scale(column) for column in X.T]).T.copy()
        self.width_ = scale * self._relative_width(size, d)
        self.points_ = (X[picks] - self.center_) / self.width_
        self.log_norm_ = float(d / 2 * np.log(2 * np.pi) + np.log(self.width_).sum())

    def _relative_width(self, m: int, d: int) -> float:
        if not isinstance(self.bandwidth, str):
            return float(self.bandwidth)
        rows = m if self.bandwidth == "scott" else m * (d + 2) / 4
        return float(self.smoothing * rows ** (-1 / (d + 4)))

    def _score(self, X: FloatArray) -> FloatArray:
        logs, others = self._kernels((X - self.center_) / self.width_)
        return self.log_norm_ + np.log(others) - kernels.log_sum_exp(logs)

    def _kernels(self, Z: FloatArray) -> tuple[FloatArray, IntArray]:
        """Logs of the kernels at rows ``Z``, (n, m), without their own, and how many, (n,)."""
        logs = kernels.log_kernel(Z, self.points_)
        return logs, len(self.points_) - kernels.leave_out_self(logs).astype(np.int64)

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        values, total = np.empty(X.shape), self._score_chunks(X)
        for start in range(0, len(X), self.chunk_rows):
            Z = (X[start : start + self.chunk_rows] - self.center_) / self.width_
            shares, _ = self._kernels(Z)
            kernels.log_sum_exp(shares)
            shares /= shares.sum(axis=1, keepdims=True)
            mean = shares @ self.points_
            # Mean square about a point as that about the mean plus the square of the way to it.
            spread = np.maximum(shares @ self.points_**2 - mean**2, 0.0)
            values[start : start + self.chunk_rows] = ((Z - mean) ** 2 + spread) / 2
        return values, total - values.sum(axis=1)
