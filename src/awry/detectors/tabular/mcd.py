"""MCD: robust Mahalanobis distance by the minimum covariance determinant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import gammainc, gammaincinv
from threadpoolctl import threadpool_limits

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, nothing, random_state, real
from awry.core.threshold import Threshold
from awry.detectors.tabular._scale import median_and_scale
from awry.detectors.tabular.gaussian import Gaussian, squared_distances, whitening

#: Sizes of Rousseeuw & Van Driessen, section 3: trial subsets, estimates kept, rows of a group,
#: groups at most.
_TRIALS, _KEEP, _GROUP, _MAX_GROUPS = 100, 10, 300, 5
#: Steps at most to convergence; it takes about ten.
_MAX_STEPS = 100
#: Rows closer than this quantile of the χ² law count as good in the reweighting, section 5.
_GOOD = 0.975
#: Rows a column's resolution is read from.
_RESOLUTION_ROWS = 10_000


class MCD(Gaussian):
    """Rows far from the bulk, in terms of the spread of the bulk.

    As :class:`~awry.detectors.Gaussian`, but mean and covariance are those of the share of the rows
    whose covariance has the smallest determinant (FAST-MCD), made consistent for normal data and
    then reweighted, so that up to ``1 - support_fraction`` of the rows, however far out, move
    neither.

    Parameters
    ----------
    support_fraction : float or None, default=None
        Share of the rows that must be good. None takes 2/3; 0.5 withstands the most anomalies, more
        is steadier where they are few.
    max_samples : int or None, default=50_000
        Rows to estimate from, drawn at random where there are more; None for all.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the trial subsets.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    location_, covariance_, whitening_ : ndarray of shape (d,), (d, d), (d, d)
        The reweighted estimates, and W with W Wᵀ the inverse of ``covariance_``.
    raw_location_, raw_covariance_ : ndarray of shape (d,), (d, d)
        The estimates before reweighting, consistent for normal data.

    Notes
    -----
    Departures from the paper. To each column is added the variance of its rounding, δ²/12 for
    values δ apart (Sheppard), at least a ten-thousandth of its robust variance: so no subset has
    determinant 0, whatever columns are constant, collinear, discrete or more than the rows, and
    the steps still lower the determinant (Boudt et al., theorem 1). To the random starts are added
    two that anomalies far out do not reach: the half of the rows nearest to the medians, and
    the spatial sign covariance (Hubert et al., section 2); with these, 100 random starts find what
    the paper's 500 do. The last step is made consistent as well (Croux & Haesbroeck).

    References
    ----------
    Rousseeuw & Van Driessen: "A Fast Algorithm for the Minimum Covariance Determinant Estimator",
    Technometrics 1999. Croux & Haesbroeck: "Influence function and efficiency of the MCD scatter
    matrix estimator", J. Multivariate Analysis 1999. Hubert, Rousseeuw, Verdonck: "A Deterministic
    Algorithm for Robust Location and Scatter", JCGS 2012. Boudt, Rousseeuw, Vanduffel, Verdonck:
    "The minimum regularized covariance determinant estimator", Statistics and Computing 2020.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> X[:50] += 20
    >>> detector = MCD(random_state=0).fit(X)
    >>> bool(np.abs(detector.location_).max() < 0.3)
    True
    """

    card = Card(
        name="mcd",
        summary="Rows far from the bulk of the data in terms of the bulk's covariance.",
        family="statistical",
        paper="Rousseeuw & Van Driessen, FAST-MCD, Technometrics",
        year=1999,
        fit_cost="O(n d + m d^2), m = max_samples",
        score_cost="O(n d^2)",
        finds="rows that break linear relations between columns, even where they are many",
        misses="anomalies in clustered or curved data",
        aliases=("robust_covariance", "elliptic_envelope"),
        pyod="mcd.MCD",
        stochastic=True,
    )
    constraints = {
        "support_fraction": any_of(nothing(), real(0.5, 1)),
        "max_samples": any_of(nothing(), integer(2)),
        "random_state": random_state(),
    }

    def __init__(
        self,
        *,
        support_fraction: float | None = None,
        max_samples: int | None = 50_000,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.support_fraction = support_fraction
        self.max_samples = max_samples
        self.random_state = random_state
        self.contamination = contamination

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        rng, (n, d) = self._rng(), X.shape
        center, scale = np.array([median_and_scale(column) for column in X.T]).T
        size = min(n, self.max_samples or n)
        Z = ((X if size == n else X[rng.choice(n, size, replace=False)]) - center) / scale
        ridge = np.diag(_rounding(Z[:_RESOLUTION_ROWS]))
        # Products this small cost several times as much when threads share them.
        with threadpool_limits(1):
            best = fast_mcd(Z, self.support_fraction or 2 / 3, ridge, rng)
        distances = squared_distances(Z, best.location, whitening(best.covariance))
        factor = np.median(distances) / _chi2_quantile(0.5, d) or 1.0
        good = Z[distances <= factor * _chi2_quantile(_GOOD, d)]
        last = _estimate(good, ridge)
        consistent = _GOOD / gammainc(d / 2 + 1, _chi2_quantile(_GOOD, d) / 2)
        self.raw_location_ = center + scale * best.location
        self.raw_covariance_ = factor * best.covariance * np.outer(scale, scale)
        self._set_ellipse(
            center + scale * last.location, consistent * last.covariance * np.outer(scale, scale)
        )


class Estimate(NamedTuple):
    """A location (d,), a covariance (d, d) and the logarithm of its determinant."""

    log_det: float
    location: FloatArray
    covariance: FloatArray


def fast_mcd(
    Z: FloatArray, support_fraction: float, ridge: FloatArray, rng: np.random.Generator
) -> Estimate:
    """The location and covariance of smallest determinant: FAST-MCD, section 3.3 of the paper.

    Parameters
    ----------
    Z : ndarray of shape (n, d)
        Rows, columns centred at their medians and of comparable scale.
    support_fraction : float
        Share of the rows whose covariance counts.
    ridge : ndarray of shape (d, d)
        Positive definite, added to each covariance.
    rng : numpy.random.Generator
    """

    def search(
        rows: FloatArray, starts: Iterable[Estimate], steps: int, keep: int
    ) -> list[Estimate]:
        size = int(np.ceil(support_fraction * len(rows)))
        found = [_concentrate(rows, start, size, ridge, steps) for start in starts]
        return sorted(found, key=lambda e: e.log_det)[:keep]

    n = len(Z)
    groups = np.clip(n // _GROUP, 1, _MAX_GROUPS)
    picked = rng.permutation(n)[: max(2 * _GROUP, groups * _GROUP)]
    candidates: list[Estimate] = []
    for members in np.array_split(picked, groups):
        starts = _random_starts(Z[members], _TRIALS // groups, ridge, rng)
        candidates += search(Z[members], starts, 2, _KEEP)
    if groups > 1:
        candidates = search(Z[picked], candidates, 2, _KEEP)
    candidates = search(Z, [*candidates, *_far_reaching_starts(Z, ridge)], 2, 2)
    return search(Z, candidates, _MAX_STEPS, 1)[0]


def _random_starts(
    rows: FloatArray, count: int, ridge: FloatArray, rng: np.random.Generator
) -> Iterator[Estimate]:
    size = min(rows.shape[1] + 1, len(rows))
    for _ in range(count):
        yield _estimate(rows[rng.choice(len(rows), size, replace=False)], ridge)


def _far_reaching_starts(Z: FloatArray, ridge: FloatArray) -> Iterator[Estimate]:
    squares = np.einsum("ij,ij->i", Z, Z)
    yield _estimate(Z[np.argsort(squares, kind="stable")[: (len(Z) + 1) // 2]], ridge)
    signs = Z / np.sqrt(np.where(squares > 0, squares, 1.0))[:, None]
    covariance = Z.shape[1] / len(Z) * (signs.T @ signs) + ridge
    yield Estimate(_log_det(covariance), np.zeros(Z.shape[1]), covariance)


def _concentrate(
    rows: FloatArray, start: Estimate, size: int, ridge: FloatArray, steps: int
) -> Estimate:
    """C-steps: estimate from the ``size`` rows nearest to the last, until that shrinks no more."""
    estimate = start
    for step in range(steps):
        distances = squared_distances(rows, estimate.location, whitening(estimate.covariance))
        nearest = np.argpartition(distances, size - 1)[:size]
        last, estimate = estimate, _estimate(rows[nearest], ridge)
        # The start is not the estimate of ``size`` rows, so the first step may raise it.
        if step and estimate.log_det > last.log_det - 1e-9:
            break
    return estimate


def _estimate(rows: FloatArray, ridge: FloatArray) -> Estimate:
    location = rows.mean(axis=0)
    deviations = rows - location
    covariance = deviations.T @ deviations / len(rows) + ridge
    return Estimate(_log_det(covariance), location, covariance)


def _log_det(covariance: FloatArray) -> float:
    return float(np.linalg.slogdet(covariance)[1])


def _rounding(Z: FloatArray) -> FloatArray:
    """Variance of the rounding of each column of ``Z`` (n, d), between 1e-4 and 1, shape (d,)."""
    gaps = [np.diff(np.unique(column)) for column in Z.T]
    return np.array([np.clip(np.median(g) ** 2 / 12, 1e-4, 1.0) if len(g) else 1.0 for g in gaps])


def _chi2_quantile(p: float, d: int) -> float:
    return float(2 * gammaincinv(d / 2, p))
