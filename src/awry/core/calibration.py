"""From scores to probabilities: how rare a score is, and how likely it is an anomaly."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import erf, expit, logit
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
    """The probability that a row with this score is an anomaly; it never falls with the score.

    Without labels, Bayes' rule over what :class:`~awry.core.tail.ScoreTail` found, which is one
    minus Efron's local false discovery rate: where the scores have a separate group of high ones,
    the group's density against the normal tail's. Where they have none, nothing says how anomalies
    score, only that they score high: their tail probabilities ``p`` are given the densities
    ``xi p**(xi - 1)`` of Sellke, Bayarri & Berger, not with the ``xi`` that suits each score best,
    which would be a bound, but averaged over ``xi`` from 0 to 1, and odds of ``prior`` beforehand.
    That is 4 % at ``p = 0.01``, 54 % at 0.0001.

    With labels, isotonic regression of the labels on the scores from 50 rows of each class on, and
    Platt's sigmoid, with his corrected targets, for fewer.

    Parameters
    ----------
    prior : float in (0, 1), default=0.01
        Share of anomalies to expect where the scores show no group of them.

    Attributes
    ----------
    knots_, values_ : ndarrays of shape (k,)
        Scores and their probabilities, linear between.

    References
    ----------
    Efron: "Large-Scale Simultaneous Hypothesis Testing", JASA 99, 2004, section 2. Sellke, Bayarri,
    Berger: "Calibration of p Values for Testing Precise Null Hypotheses", The American Statistician
    55, 2001, section 3. Platt: "Probabilistic Outputs for Support Vector Machines", 1999.
    Zadrozny, Elkan: "Transforming Classifier Scores into Accurate Multiclass Probability
    Estimates", KDD 2002.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = np.r_[rng.normal(0, 1, 900), rng.normal(8, 1, 100)]
    >>> AnomalyProbability().fit(scores).transform([0.0, 8.0]).round(2)
    array([0., 1.])
    """

    constraints = {"prior": real(0.0, 1.0, "()")}

    def __init__(self, prior: float = 0.01) -> None:
        self.prior = prior

    def fit(self, scores: Any, y: Any = None) -> Self:
        """Learn from training scores (n,) and, where they hold both 0 and 1, labels (n,)."""
        self.check_params()
        values = check_scores(scores)
        labels = np.full(len(values), UNLABELLED) if y is None else np.asarray(y)
        odd, normal = values[labels == 1], values[labels == 0]
        if not (len(odd) and len(normal)):
            self.knots_, self.values_ = self._without_labels(values)
        elif min(len(odd), len(normal)) >= 50:
            self.knots_, self.values_ = _isotonic(normal, odd)
        else:
            self.knots_, self.values_ = _sigmoid(normal, odd)
        return self

    def transform(self, scores: Any) -> FloatArray:
        """The probability of each score, shape (n,)."""
        s = np.asarray(scores, dtype=np.float64)
        return np.asarray(np.interp(s, self.knots_, self.values_))

    def _without_labels(self, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        tail = ScoreTail.fit(scores)
        if tail.group_share > 0:
            near = tail.group_mean + tail.group_std * np.linspace(-6, 6, 200)
            knots = np.unique(np.r_[near[near > tail.start], tail.start, scores.max()])
            odd = tail.posterior(knots)
            odd[0] = 0.0
        else:
            beyond = [tail.isf(tail.share * p) for p in np.geomspace(1, 1e-12, 200)]
            knots = np.unique(np.r_[tail.knots, beyond])
            depth = np.maximum(-np.log(tail.sf(knots)), 1e-3)
            # The integral of xi p**(xi - 1) over xi, as log p = -depth has it.
            likelihood = (np.expm1(depth) - depth) / depth**2
            odd = 1 / (1 + (1 - self.prior) / self.prior / likelihood)
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
        return np.asarray(np.clip((scores - low) / (high - low if high > low else 1.0), 0.0, 1.0))
    if method == "unify":
        spread = float(reference.std()) or 1.0
        pulled = erf((scores - reference.mean()) / (spread * np.sqrt(2)))
        return np.asarray(np.clip(pulled, 0.0, 1.0))
    raise ValueError(f"method must be 'calibrated', 'linear' or 'unify', got {method!r}")


def _isotonic(normal: FloatArray, odd: FloatArray) -> tuple[FloatArray, FloatArray]:
    knots, at = np.unique(np.r_[normal, odd], return_inverse=True)
    weight = np.bincount(at).astype(np.float64)
    hits = np.bincount(at, np.repeat([0.0, 1.0], [len(normal), len(odd)]))
    # An anomaly is added at the low end and a normal row at the high one: nothing is ever certain.
    weight[[0, -1]] += 1
    hits[0] += 1
    return knots, np.asarray(isotonic_regression(hits / weight, sample_weight=weight))


def _sigmoid(normal: FloatArray, odd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Platt's sigmoid by Newton's method, as knots."""
    scores = np.r_[normal, odd]
    targets = np.repeat(
        [1 / (len(normal) + 2), (len(odd) + 1) / (len(odd) + 2)], [len(normal), len(odd)]
    )
    centre, unit = scores.mean(), scores.std() or 1.0
    X = np.column_stack([(scores - centre) / unit, np.ones_like(scores)])
    w = np.array([0.0, logit(targets.mean())])
    for _ in range(50):
        p = expit(X @ w)
        # The ridge keeps steps finite; the targets keep the optimum so.
        curvature = X.T @ (X * (p * (1 - p))[:, None]) + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, X.T @ (targets - p))
        w += step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-8:
            break
    if w[0] < 1e-6:  # anomalies do not score higher: the score says nothing
        return np.array([centre]), np.array([targets.mean()])
    logits = np.linspace(-12, 12, 400)
    return centre + unit * (logits - w[1]) / w[0], expit(logits)
