"""Drift in a stream, seen by windows of it: ADWIN, KSWIN and MMD on exponential windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from awry.core.inputs import FloatArray
from awry.core.params import any_of, integer, nothing, real
from awry.drift.mmd import median_bandwidth
from awry.drift.online import OnlineDrift
from awry.kernels import drift_windows as kernels

#: Buckets double, so this many levels hold more items than any stream has.
_LEVELS = 48


class ADWIN(OnlineDrift):
    """Adaptive windowing: a window that is cut wherever its two parts have unlike means.

    The window is kept in buckets of doubling size, at most ``max_buckets`` of each, with sums and
    squared deviations (ADWIN2). A cut is where the means differ by more than ε_cut = sqrt(2/m σ² ln
    2/δ') + 2/(3m) ln 2/δ', m the harmonic mean of the parts' sizes and δ' = δ / ln W. What is older
    than the cut is dropped and the rest kept, as in the paper (river starts anew). The bound holds
    for values in [0, 1]; others should be scaled to about that.

    Parameters
    ----------
    delta : float, default=0.002
    clock : int, default=32
        Values from one check to the next.
    max_buckets : int, default=5
    min_samples : int, default=10
        Items in the window before any check.
    min_part : int, default=5
        Items of the smaller part.

    Attributes
    ----------
    width_ : int
        Items in the window.
    mean_ : float
        Of the window.

    References
    ----------
    A. Bifet, R. Gavaldà. Learning from time-changing data with adaptive windowing. SDM (2007).

    Examples
    --------
    >>> detector = ADWIN()
    >>> detector.update_many(np.r_[np.zeros(500), np.ones(500)])
    array([511, 543, 575])
    >>> detector.mean_ > 0.95
    True
    """

    constraints = {
        "delta": real(0, 1, "()"),
        "clock": integer(1),
        "max_buckets": integer(2),
        "min_samples": integer(2),
        "min_part": integer(1),
    }

    def __init__(
        self,
        delta: float = 0.002,
        clock: int = 32,
        max_buckets: int = 5,
        min_samples: int = 10,
        min_part: int = 5,
    ) -> None:
        self.delta = delta
        self.clock = clock
        self.max_buckets = max_buckets
        self.min_samples = min_samples
        self.min_part = min_part

    def _start(self, width: int) -> tuple[Any, ...]:
        shape = (_LEVELS, self.max_buckets + 1)
        return np.zeros(4), np.zeros(_LEVELS, dtype=np.int64), np.zeros(shape), np.zeros(shape)

    def _run(self, values: FloatArray, status: np.ndarray) -> None:
        numbers = (
            float(self.delta), float(self.clock), float(self.min_samples), float(self.min_part),
        )  # fmt: skip
        kernels.adwin(values, status, *self.state_, numbers)  # type: ignore[call-arg]

    @property
    def width_(self) -> int:
        return int(self.state_[0][1])

    @property
    def mean_(self) -> float:
        return float(self.state_[0][2] / max(1, self.width_))


class KSWIN(OnlineDrift):
    """Kolmogorov-Smirnov windowing: the newest values against a random sample of the older ones.

    At every value once the window is full; after a drift the newest values alone are kept. The
    critical distance is that of the exact law of two samples of ``recent`` values at ``alpha``, in
    place of the paper's approximation sqrt(-ln α / r), which is above its level. A test at every
    value has many more false alarms than ``alpha`` over a stream.

    Parameters
    ----------
    alpha : float, default=0.005
        Level of one test.
    window : int, default=100
    recent : int, default=30
        The newest values compared, at most half the window.
    random_state : int, default=0

    References
    ----------
    C. Raab, M. Heusinger, F.-M. Schleif. Reactive soft prototype computing for concept drift
    streams. Neurocomputing 416 (2020).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.r_[rng.normal(size=300), rng.normal(3, 1, size=300)]
    >>> KSWIN(alpha=1e-5).update_many(x)
    array([317])
    """

    constraints = {
        "alpha": real(0, 1, "()"),
        "window": integer(4),
        "recent": integer(2),
        "random_state": integer(0),
    }

    def __init__(
        self, alpha: float = 0.005, window: int = 100, recent: int = 30, random_state: int = 0
    ) -> None:
        self.alpha = alpha
        self.window = window
        self.recent = recent
        self.random_state = random_state

    def check_params(self) -> None:
        super().check_params()
        if 2 * self.recent > self.window:
            raise ValueError(
                f"KSWIN: recent must be at most half of window ({self.window}), got {self.recent}"
            )

    def _start(self, width: int) -> tuple[Any, ...]:
        held, seed = np.zeros(1, dtype=np.int64), np.array([self.random_state], dtype=np.uint64)
        return np.zeros(self.window), held, seed, critical_distance(self.recent, self.alpha)

    def _run(self, values: FloatArray, status: np.ndarray) -> None:
        window, held, seed, critical = self.state_
        kernels.kswin(values, status, window, held, seed, self.recent, critical)


def critical_distance(n: int, alpha: float) -> float:
    """The least k / n that two samples of ``n`` values differ by with a chance of at most alpha.

    By reflection of paths (Gnedenko and Koroljuk 1951): 2 Σ_j (-1)^(j+1) C(2n, n - jk) / C(2n, n).

    Examples
    --------
    >>> critical_distance(30, 0.005)
    0.4666666666666667
    """
    for k in range(1, n + 1):
        ways = sum((-1) ** (j + 1) * math.comb(2 * n, n - j * k) for j in range(1, n // k + 1))
        if 2 * ways / math.comb(2 * n, n) <= alpha:
            return k / n
    return math.inf  # n values can never differ so clearly


class MMDEW(OnlineDrift):
    """Maximum mean discrepancy on exponential windows: rows (d,) against any older stretch.

    The stream is kept in buckets of doubling size. Each keeps the sums of the kernel inside itself
    and with every older bucket, which add up when two buckets join, and log2 of its rows, drawn at
    random, against which new rows are compared: a row takes O(log² t). At every boundary between
    buckets the biased MMD of older and newer rows is held against Gretton's bound for it at α over
    the number of boundaries; what is older than a drift is dropped.

    Parameters
    ----------
    alpha : float, default=0.01
    bandwidth : float or None, default=None
        σ of exp(-‖x - y‖² / 2σ²); by default the median distance of the first ``warmup`` rows.
    warmup : int, default=100
        Rows looked at to set the bandwidth; they are compared afterwards, at once.
    random_state : int, default=0

    References
    ----------
    F. Kalinke, M. Heyden, G. Gntuni, E. Fouché, K. Böhm. Maximum mean discrepancy on exponential
    windows for online change detection. TMLR (2025), algorithms 1 and 2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = np.vstack([rng.normal(size=(500, 5)), rng.normal(2, 1, size=(500, 5))])
    >>> found = MMDEW().update_many(rows)
    >>> bool(500 < found[0] < 600)
    True
    """

    multivariate = True
    constraints = {
        "alpha": real(0, 1, "()"),
        "bandwidth": any_of(nothing(), real(0, None, "()")),
        "warmup": integer(2),
        "random_state": integer(0),
    }

    def __init__(
        self,
        alpha: float = 0.01,
        bandwidth: float | None = None,
        warmup: int = 100,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.bandwidth = bandwidth
        self.warmup = warmup
        self.random_state = random_state

    def _start(self, width: int) -> tuple[Any, ...]:
        gamma = math.nan if self.bandwidth is None else 1 / (2 * self.bandwidth**2)
        first = np.zeros((self.warmup, width)), np.zeros(1, dtype=np.int64), np.array([gamma])
        counts = [np.zeros(size, dtype=np.int64) for size in (1, _LEVELS, _LEVELS)]
        rows, sums = np.zeros((_LEVELS, _LEVELS, width)), np.zeros((_LEVELS, _LEVELS))
        seed = np.array([self.random_state], dtype=np.uint64)
        return (*first, *counts, rows, sums, sums.copy(), seed)

    def _run(self, values: FloatArray, status: np.ndarray) -> None:
        waiting, held, gamma = self.state_[:3]
        if values.shape[1] != waiting.shape[1]:
            raise ValueError(
                f"MMDEW: a row must have {waiting.shape[1]} values, got {values.shape[1]}"
            )
        first = 0
        if math.isnan(gamma[0]):
            before = int(held[0])
            first = min(self.warmup - before, len(values))
            waiting[before : before + first] = values[:first]
            held[0] += first
            if held[0] < self.warmup:
                return
            gamma[0] = 1 / (2 * median_bandwidth(waiting, self.random_state) ** 2)
            earlier = np.zeros(self.warmup, dtype=np.int8)
            self._follow(waiting, earlier)
            status[first - 1] = earlier.max()  # told when it is known
        self._follow(values[first:], status[first:])

    def _follow(self, values: FloatArray, status: np.ndarray) -> None:
        gamma = float(self.state_[2][0])
        kernels.mmdew(values, status, *self.state_[3:], gamma, self.alpha)  # type: ignore[call-arg]
