"""The distribution of anomaly scores: a body, a tail, and sometimes a group beyond it.

Thresholds and probabilities both ask one question: how often does a *normal* row score this high?
:class:`ScoreTail` answers it. Scores enter only as differences divided by a scale, so shifting or
rescaling them changes no answer. ``benchmarks/thresholds.py`` measures it on real scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr

from awry.core.inputs import FloatArray

_FEW = 50  # below this many scores a tail cannot be fitted, only assumed
_PRIOR = 0.25  # standard deviation of what is expected of a tail's shape, around exponential
_TINY = float(np.finfo(float).tiny)
_FAR = 1e150  # beyond it squares are infinite


def check_scores(scores: ArrayLike, name: str = "scores") -> FloatArray:
    """Return ``scores`` as a float vector; empty, two-dimensional or not finite is refused."""
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"{name} must be finite, got {values[bad[0]]} at position {bad[0]} "
            f"({len(bad)} of {len(values)} are not finite)"
        )
    return values


def fit_pareto(excesses: ArrayLike, prior: float | None = None) -> tuple[float, float]:
    """Shape and scale of the generalised Pareto distribution of ``excesses``.

    Maximum likelihood by Grimshaw's reduction (Technometrics 35, 1993; the trick of SPOT, Siffer et
    al., KDD 2017): with ``theta = shape / scale`` the best shape is the mean of
    ``log(1 + theta y)``, which leaves a curve over ``theta`` alone. Siffer et al. look for its
    stationary points by root finding; here the curve is read off on a grid in
    ``log(1 + theta max(y))`` and its best cell refined, which needs no starting point and does not
    stop at a local maximum. Below shape -1 (the uniform law) the likelihood has no bound, above 2
    no use, so the shape stays between.

    Parameters
    ----------
    excesses : (m,) array of numbers > 0, m >= 1.
    prior : standard deviation of a normal prior on the shape around 0 (exponential), which keeps
        fits to a few dozen excesses sane. None for plain maximum likelihood.
    """
    y = np.asarray(excesses, dtype=np.float64)
    unit, top = y.mean(), y.max()
    low, high = -16.0, float(np.log1p(1e4 * (top / unit)))
    best = (-np.inf, 0.0, unit)
    for _ in range(4):
        knots = np.linspace(low, high, 41)
        for knot in knots[np.abs(knots) > 1e-7]:
            theta = np.expm1(knot) / top
            shape = np.log1p(theta * y).mean()
            if not -1 <= shape <= 2:
                continue
            value = np.log(theta / shape) - 1 - shape
            if prior is not None:
                value -= (shape / prior) ** 2 / (2 * len(y))
            if value > best[0]:
                best, centre = (value, float(shape), float(shape / theta)), knot
        if np.isinf(best[0]):
            break
        step = knots[1] - knots[0]
        low, high = centre - step, centre + step
    return best[1], float(best[2])


def pareto_sf(y: ArrayLike, shape: float, scale: float) -> FloatArray:
    """Probability that a generalised Pareto variable exceeds ``y`` (>= 0)."""
    z = np.asarray(y, dtype=float) / scale
    if abs(shape) < 1e-9:
        return np.exp(-z)
    with np.errstate(divide="ignore"):
        return np.exp(-np.log(np.maximum(1 + shape * z, 0.0)) / shape)


def pareto_isf(p: float, shape: float, scale: float) -> float:
    """The excess that is exceeded with probability ``p`` (0 < p <= 1)."""
    if abs(shape) < 1e-9:
        return -scale * float(np.log(p))
    return scale / shape * float(np.expm1(-shape * np.log(p)))


@dataclass(frozen=True)
class ScoreTail:
    """How often a normal row scores this high: counted in the body, a Pareto law in the tail.

    Attributes are floats and arrays only, so ``vars(tail)`` can be stored and ``ScoreTail(**vars)``
    brings it back.
    """

    knots: FloatArray  # (k,) increasing scores of the body; the last one is where the tail starts
    body: FloatArray  # (k,) share of normal rows that score at least the knot, > 0
    share: float  # of normal rows in the tail
    shape: float
    scale: float
    group_share: float = 0.0  # of all rows, in a separate group of high scores; 0 if there is none
    group_mean: float = 0.0
    group_std: float = 1.0

    @classmethod
    def fit(cls, scores: FloatArray, group: bool = True, max_share: float = 0.35) -> ScoreTail:
        """Fit to ``scores`` (n,), with ``group`` leaving out what :func:`find_group` finds."""
        s = np.sort(scores)
        n = len(s)
        found = find_group(s, max_share) if group else None
        if found is not None:
            return found
        start = s[(n - 1) // 2]
        excesses = s[s > start] - start
        if n < _FEW and len(excesses):
            # An exponential tail through the median excess: one wild score in five cannot hide
            # itself, as it would if it had a say in the scale. The fewer, the more generous.
            scale = excesses[(len(excesses) - 1) // 2] / np.log(2) * (1 + 10 / n)
            return cls(*_body(s, start), len(excesses) / n, 0.0, float(scale))
        peaks = max(int(np.ceil(0.1 * n)), min(n // 2, 30))
        start = s[n - 1 - min(peaks, n - 1)]
        excesses = s[s > start] - start
        if len(excesses) == 0:
            scale = max(start - s[n // 2], start - s[0], abs(start) * 1e-12, _TINY)
            return cls(*_body(s, start), 1 / (n + 1), 0.0, float(scale))
        shape, scale = fit_pareto(excesses[:: max(1, len(excesses) // 2000)], prior=_PRIOR)
        # Counting is exact where 20 rows remain to be counted; the law takes over beyond. A Pareto
        # law cut off higher up is one again, of the same shape. How soon the tail ends, though, 20
        # rows do not tell, so an end close by is not believed.
        later = s[n - 1 - min(peaks, 20, n - 1)]
        scale = max(scale + shape * (later - start), 1e-9 * scale)
        share = np.mean(s > later) or 1 / (n + 1)
        return cls(*_body(s, later), float(share), max(shape, -0.15), float(scale))

    @property
    def start(self) -> float:
        return float(self.knots[-1])

    def sf(self, scores: ArrayLike) -> FloatArray:
        """Share of normal rows that score as high, per score: falls with the score, never 0."""
        s = np.asarray(scores, dtype=float)
        p = np.interp(s, self.knots, self.body)
        high = s > self.start
        p[high] = self.share * pareto_sf(s[high] - self.start, self.shape, self.scale)
        return np.asarray(np.maximum(p, _TINY))

    def isf(self, p: float) -> float:
        """The score that a share of at most ``p`` of the normal rows exceeds."""
        if p >= self.share:
            return float(np.interp(p, self.body[::-1], self.knots[::-1]))
        return self.start + pareto_isf(p / self.share, self.shape, self.scale)

    def posterior(self, scores: ArrayLike) -> FloatArray:
        """Probability that a row belongs to the group, by Bayes' rule, per score."""
        s = np.maximum(np.asarray(scores, dtype=float), self.start)
        inside = np.maximum(1 + self.shape * (s - self.start) / self.scale, _TINY)
        normal = -(1 + 1 / (self.shape or 1e-9)) * np.log(inside) - np.log(self.scale)
        normal += np.log(self.share * (1 - self.group_share))
        group = _log_cut_normal(s, self.group_mean, self.group_std, self.start)
        return np.asarray(np.exp(-np.logaddexp(0, normal - group - np.log(self.group_share))))


def _body(
    s: FloatArray, start: float, normal: float | None = None
) -> tuple[FloatArray, FloatArray]:
    """Up to 1000 knots of sorted ``s`` not above ``start``, densest at the top, and their share."""
    n = len(s)
    count = int(np.searchsorted(s, start, "right"))
    above = n - count
    ranks = np.unique(np.geomspace(max(above, 1), n, 1000).astype(int))
    knots = np.unique(np.r_[s[np.clip(n - ranks, 0, count - 1)], start])
    below = np.searchsorted(s, knots, "left")
    return knots, np.maximum(1 - below / (normal or n), _TINY)


def find_group(s: FloatArray, max_share: float = 0.35) -> ScoreTail | None:
    """Look for a separate group of high scores in sorted ``s``; None if nothing speaks for one.

    Above the median, a normal tail (generalised Pareto) is compared by likelihood with a mixture of
    such a tail and a cut-off normal distribution, fitted by EM from several splits. The tails of
    one population are convex or concave on the log scale throughout; a group makes them steep, flat
    and steep again, which no Pareto law can follow. The group is believed only if

    - the gain in log-likelihood beats BIC's ``1.5 log n`` for three more parameters by a hundredth
      a score, since no real tail is a Pareto law to the last digit;
    - its centre lies where the normal tail is rare (5 % of the scores above the median);
    - it holds at most ``max_share`` of all scores: the many are not anomalies.
    """
    n = len(s)
    start = s[(n - 1) // 2]
    y = s[s > start] - start
    if n < _FEW or len(np.unique(y[:: max(1, len(y) // 300)])) < 10:
        return None
    above = len(y) / n
    m = min(len(y), 200)  # evenly spaced order statistics carry what the fit needs
    y = y[((np.arange(m) + 0.5) / m * len(y)).astype(int)]
    unit = float(np.median(y))
    y = y / unit
    coarse = _pareto_table(y, np.arange(-0.6, 0.61, 0.1), np.arange(-4, 2.6, 0.15))
    shape, scale = fit_pareto(y)
    alone = -np.log(scale) - (1 + shape)
    floor = alone + 1.5 * np.log(n) / (above * n) + 0.01
    best: _Mixture | None = None
    for split in (0.3, 0.5, 0.7, 0.85, 0.93, 0.97):
        found, member = _mixture(y, coarse, (np.arange(m) >= split * m).astype(float))
        if found.value < floor - 0.02:  # more than a finer grid could add
            continue
        shapes = found.shape + np.linspace(-0.1, 0.1, 9)
        logs = np.log(found.scale) + np.linspace(-0.15, 0.15, 11)
        found, _ = _mixture(y, _pareto_table(y, shapes, logs), member)
        rare = (1 - found.share) * pareto_sf(found.mean, found.shape, found.scale)
        if found.value > floor and rare < 0.05 and found.share * above <= max_share:
            best, floor = found, found.value
    if best is None:
        return None
    group = best.share * above
    return ScoreTail(
        *_body(s, start, n * (1 - group)),
        share=(above - group) / (1 - group),
        shape=best.shape,
        scale=best.scale * unit,
        group_share=group,
        group_mean=float(start + best.mean * unit),
        group_std=best.std * unit,
    )


def _log_cut_normal(y: FloatArray, mean: float, std: float, low: float = 0.0) -> FloatArray:
    """Log density at ``y`` of a normal distribution cut off below ``low``."""
    log_mass = np.log(std * np.sqrt(2 * np.pi)) + log_ndtr((mean - low) / std)
    return np.asarray(-0.5 * ((y - mean) / std) ** 2 - log_mass)


def _pareto_table(
    y: FloatArray, shapes: FloatArray, logs: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shapes (k,), scales (k,) and log densities (k, m) at ``y`` of all pairs of Pareto laws."""
    shape, scale = (grid.ravel() for grid in np.meshgrid(shapes + 1e-6, np.exp(logs)))
    inside = 1 + np.outer(shape / scale, y)
    log_density = -(1 + 1 / shape)[:, None] * np.log(np.maximum(inside, 1e-12))
    log_density -= np.log(scale)[:, None] + ((shape / _PRIOR) ** 2 / (2 * len(y)))[:, None]
    return shape, scale, np.where(inside > 1e-12, log_density, -50.0)


class _Mixture(NamedTuple):
    """A Pareto law and a normal law for excesses, and their mean log-likelihood ``value``."""

    value: float
    share: float  # of the normal law
    mean: float
    std: float
    shape: float
    scale: float


def _mixture(
    y: FloatArray, table: tuple[FloatArray, FloatArray, FloatArray], member: FloatArray
) -> tuple[_Mixture, FloatArray]:
    """EM for a Pareto law of ``table`` and a cut-off normal law, and who belongs to the latter.

    ``member`` (m,) is the first guess of the probability that each excess is of the normal law.
    """
    shapes, scales, densities = table
    y = np.minimum(y, _FAR)
    found = _Mixture(-np.inf, 0.0, 0.0, 1.0, 0.0, 1.0)
    for _ in range(100):
        total = float(member.sum())
        if total < 1:  # less than one row is no group
            return found._replace(value=-np.inf), member
        share = min(total / len(y), 0.999)
        i = int(np.argmax(densities @ (1 - member)))
        mean = float(member @ y) / total
        std = max(float(member @ (y - mean) ** 2 / total) ** 0.5, 0.1)
        group = _log_cut_normal(y, mean, std) + np.log(share)
        both = np.logaddexp(np.log1p(-share) + densities[i], group)
        member = np.exp(group - both)
        before, value = found.value, float(both.mean())
        found = _Mixture(value, share, mean, std, float(shapes[i]), float(scales[i]))
        if value - before < 1e-5:
            break
    return found, member
