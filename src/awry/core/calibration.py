"""From scores to probabilities: how rare a score is, and how likely it is an anomaly."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import erf
from sklearn.isotonic import isotonic_regression

from awry.core.inputs import UNLABELLED, FloatArray, IntArray
from awry.core.params import Configurable, real
from awry.core.tail import ScoreTail, check_scores


class TailProbability(Configurable):
    """The share of normal rows that score as high: a p-value that falls with the score, never 0.

    Counted in the body of the training scores; beyond, a Pareto law fitted without the anomalies
    where these form a group of their own, see :class:`~awry.core.tail.ScoreTail`.

    Examples
    --------
    >>> scores = np.random.default_rng(0).exponential(size=5000)
    >>> p = TailProbability().fit(scores).transform(np.array([0.0, 2.3, 30.0]))
    >>> p.round(1), bool(0 < p[2] < 1e-6)
    (array([1. , 0.1, 0. ]), True)
    """

    def fit(self, scores: Any) -> Self:
        """Learn from training scores (n,)."""
        self.tail_ = dict(vars(ScoreTail.fit(check_scores(scores))))
        return self

    def transform(self, scores: Any) -> FloatArray:
        """The tail probability of each score, shape (n,)."""
        return ScoreTail(**self.tail_).sf(scores)


class AnomalyProbability(Configurable):
    """The posterior probability that a row with this score is an anomaly.

    With labels, isotonic regression of the labels on the scores. Without, a local false discovery
    rate: ``1 - pi0 f0(s) / f(s)``, where ``pi0 f0 / f`` is read off the tails, from the expected
    number of normal rows among those that score higher, and made to rise with the score. Where the
    scores have a separate group of high ones, its mixture's posterior is used instead.

    Parameters
    ----------
    prior : float in (0, 1), default=0.005
        Share of anomalies where the scores speak for none: how far a far score is believed.

    References
    ----------
    Efron: "Large-Scale Simultaneous Hypothesis Testing", JASA 2004, section 2. Zadrozny & Elkan:
    "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002.
    """

    constraints = {"prior": real(0.0, 1.0, "()")}

    def __init__(self, prior: float = 0.005) -> None:
        self.prior = prior

    def fit(self, scores: Any, y: Any = None) -> Self:
        """Learn from training scores (n,) and, if there are any, labels (n,)."""
        self.check_params()
        values = check_scores(scores)
        labels = None if y is None else np.asarray(y)
        if labels is not None and {0, 1} <= set(np.unique(labels).tolist()):
            self.knots_, self.values_ = _isotonic(values, labels)
        else:
            self.knots_, self.values_ = self._without_labels(values)
        return self

    def transform(self, scores: Any) -> FloatArray:
        """The probability of each score, between 0 and 1, never falling with the score."""
        s = np.asarray(scores, dtype=np.float64)
        return np.clip(np.interp(s, self.knots_, self.values_), 0.0, 1.0)

    def _without_labels(self, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        tail = ScoreTail.fit(scores)
        ordered = np.unique(scores)
        if len(ordered) > 4000:
            body = ordered[:: len(ordered) // 2000]
            ordered = np.union1d(body, ordered[-2000:])
        # Beyond the training scores the tail goes on to fall, so the knots go on, too.
        step = max(ordered[-1] - np.median(scores), 1e-300)
        knots = np.union1d(ordered, ordered[-1] + step * np.geomspace(0.01, 100, 60))
        if tail.group_share > 0:
            odd = np.where(knots > tail.start, tail.posterior(knots), 0.0)
        else:
            # A far anomaly scores anywhere out there: its own tail falls off as one over the
            # surprise, a normal row's as the fitted law does.
            p = tail.sf(knots)
            other = 1.0 / (1.0 - np.log(p))
            odd = self.prior * other / (self.prior * other + (1 - self.prior) * p)
        return knots, np.maximum.accumulate(odd)


def probability(
    reference: FloatArray, scores: FloatArray, *, method: str, y: IntArray | None = None
) -> FloatArray:
    """Probabilities of ``scores`` (m,) given training scores ``reference`` (n,).

    Parameters
    ----------
    method : {"calibrated", "linear", "unify"}
        ``"calibrated"``: :class:`AnomalyProbability`. ``"linear"``: scaled to the range of the
        training scores. ``"unify"``: Gaussian scaling of Kriegel et al., SDM 2011.
    """
    if method == "calibrated":
        return AnomalyProbability().fit(reference, y).transform(scores)
    if method == "linear":
        low, high = float(reference.min()), float(reference.max())
        return np.clip((scores - low) / (high - low if high > low else 1.0), 0.0, 1.0)
    if method == "unify":
        spread = float(reference.std()) or 1.0
        return np.clip(erf((scores - reference.mean()) / (spread * np.sqrt(2))), 0.0, 1.0)
    raise ValueError(f"method must be 'calibrated', 'linear' or 'unify', got {method!r}")


def _isotonic(scores: FloatArray, y: IntArray) -> tuple[FloatArray, FloatArray]:
    judged = y != UNLABELLED
    knots, at = np.unique(scores[judged], return_inverse=True)
    counts = np.bincount(at)
    # One normal and one anomalous row are added at the ends, so that none is ever wholly certain.
    share = np.bincount(at, y[judged] == 1) / counts
    weight = counts.astype(np.float64)
    share[0], weight[0] = share[0] * weight[0] / (weight[0] + 1), weight[0] + 1
    share[-1], weight[-1] = (share[-1] * weight[-1] + 1) / (weight[-1] + 1), weight[-1] + 1
    return knots, np.asarray(isotonic_regression(share, sample_weight=weight))
