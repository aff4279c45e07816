"""Whether a detector in use still does what it did: by its scores, and by what people said of it.

Functions on arrays, for a service or a stream to call on what it has kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from awry.core.errors import DataError
from awry.core.inputs import FloatArray
from awry.drift.base import adjust
from awry.drift.ordered import KolmogorovSmirnov


class RateChange(NamedTuple):
    """A share before and now, and how likely so large a difference is by chance.

    Attributes
    ----------
    name : str
    before, now : float
        NaN where there is nothing to take a share of.
    p_value : float
        Of Fisher's exact test; of a change for the worse where the name says which that is.
    drifted : bool
        Significant, and at least ``min_effect`` apart.
    """

    name: str
    before: float
    now: float
    p_value: float
    drifted: bool


class ScoreDrift(NamedTuple):
    """How the distribution of scores moved.

    Attributes
    ----------
    gap, p_value : float
        Largest gap between the distributions, and the Kolmogorov-Smirnov p-value.
    median_before, median_now : float
    flagged : RateChange or None
        Share of scores above the threshold, where one is given.
    drifted : bool
        Whether the distribution or the share moved.
    """

    gap: float
    p_value: float
    median_before: float
    median_now: float
    flagged: RateChange | None
    drifted: bool


def score_drift(
    reference: Any,
    current: Any,
    *,
    threshold: float | None = None,
    alpha: float = 0.05,
    min_effect: float = 0.1,
    min_rate_change: float = 0.01,
) -> ScoreDrift:
    """Compare the scores of new data with those of the reference.

    Anomalies are the tail, which hardly moves the distribution; so where a ``threshold`` is given,
    the share above it is compared by itself, each of the two at half of ``alpha``.

    Parameters
    ----------
    reference, current : array-like of shape (n,), (m,)
    threshold : float, optional
    alpha : float, default=0.05
    min_effect : float, default=0.1
        Gap between the distributions below which a move does not matter.
    min_rate_change : float, default=0.01
        Change of the share flagged below which it does not matter.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = score_drift(rng.normal(size=2000), rng.normal(0.5, 1, 2000), threshold=2.0)
    >>> found.drifted, found.flagged.drifted
    (True, True)
    """
    level = alpha if threshold is None else alpha / 2
    before, now = (
        np.ravel(np.asarray(scores, dtype=np.float64)) for scores in (reference, current)
    )
    test = KolmogorovSmirnov(alpha=level, min_effect=min_effect).fit(before)
    moved = test.test(now)
    flagged = None
    if threshold is not None:
        was, became = (
            (int((s >= threshold).sum()), int(np.isfinite(s).sum())) for s in (before, now)
        )
        flagged = _changes([("flagged", was, became, "two-sided")], level, min_rate_change)[0]
    return ScoreDrift(
        float(moved.statistic[0]), float(moved.p_value[0]),
        float(np.nanmedian(before)), float(np.nanmedian(now)),
        flagged, bool(moved) or (flagged is not None and flagged.drifted),
    )  # fmt: skip


def performance_drift(
    reference_truth: Any,
    reference_flags: Any,
    truth: Any,
    flags: Any,
    *,
    alpha: float = 0.05,
    min_effect: float = 0.05,
) -> list[RateChange]:
    """Whether feedback says that a detector has become worse.

    Items without a verdict are left out beforehand. Where people only see what was flagged, recall
    and false alarms per normal item are of those they saw, and ``precision`` is what counts.

    Parameters
    ----------
    reference_truth, reference_flags : array-like of shape (n,)
        What items were and whether they were flagged, 1 or 0, while all was well.
    truth, flags : array-like of shape (m,)
        The same of late.
    alpha : float, default=0.05
        Level, after Benjamini and Hochberg's correction for the four shares.
    min_effect : float, default=0.05
        Change below which it does not matter.

    Returns
    -------
    list of RateChange
        ``errors`` and ``false_alarms`` (of normal items), whose rise is drift; ``recall`` and
        ``precision``, whose fall is.

    Examples
    --------
    >>> good, bad = np.tile([1, 0, 0, 0], 50), np.tile([0, 1, 0, 0], 50)
    >>> [c.name for c in performance_drift(good, good, good, bad) if c.drifted]
    ['errors', 'false_alarms', 'recall', 'precision']
    """
    sides = [_shares(reference_truth, reference_flags), _shares(truth, flags)]
    asked = [
        (name, sides[0][name], sides[1][name], "less" if rises else "greater")
        for name, rises in (
            ("errors", True), ("false_alarms", True), ("recall", False), ("precision", False),
        )
    ]  # fmt: skip
    return _changes(asked, alpha, min_effect)


def _shares(truth: Any, flags: Any) -> dict[str, tuple[int, int]]:
    """Each share as what it counts and what it is of."""
    is_odd, flagged = (np.ravel(np.asarray(v)).astype(bool) for v in (truth, flags))
    if len(is_odd) != len(flagged):
        raise DataError(f"there are {len(is_odd)} verdicts and {len(flagged)} flags; "
                        "each item needs both")  # fmt: skip
    found = int((is_odd & flagged).sum())
    return {
        "errors": (int((is_odd != flagged).sum()), len(is_odd)),
        "false_alarms": (int((~is_odd & flagged).sum()), int((~is_odd).sum())),
        "recall": (found, int(is_odd.sum())),
        "precision": (found, int(flagged.sum())),
    }


def _changes(
    asked: list[tuple[str, tuple[int, int], tuple[int, int], str]], alpha: float, least: float
) -> list[RateChange]:
    p_values = np.array([_fisher(before, now, side) for _, before, now, side in asked])
    adjusted = adjust(p_values, "benjamini_hochberg")
    out = []
    for (name, before, now, _), p, corrected in zip(asked, p_values, adjusted, strict=True):
        was, became = (k / n if n else float("nan") for k, n in (before, now))
        drifted = bool(corrected < alpha and abs(became - was) >= least)
        out.append(RateChange(name, was, became, float(p), drifted))
    return out


def _fisher(before: tuple[int, int], now: tuple[int, int], side: str) -> float:
    """The exact p-value that two shares are one; ``side`` is how ``before`` compares with now."""
    table: FloatArray = np.array([[k, n - k] for k, n in (before, now)])
    if not table.sum(axis=1).all():
        return 1.0
    return float(stats.fisher_exact(table, alternative=side).pvalue)
