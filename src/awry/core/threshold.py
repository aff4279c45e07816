"""Thresholds: objects that turn scores into decisions. All serve with every detector."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from scipy.stats import norm

from awry.core.inputs import UNLABELLED, FloatArray, IntArray
from awry.core.params import Configurable, listing, real
from awry.core.tail import ScoreTail, check_scores, fit_pareto, pareto_isf

#: Names of the severities 0 to 3.
SEVERITIES = ("", "warning", "critical", "emergency")


class Threshold(Configurable):
    """Base of all rules that set a threshold on scores.

    A subclass writes ``_fit`` and sets ``threshold_``, ``stated_rate_`` and ``reason_``.

    Attributes
    ----------
    threshold_ : float
        An item is flagged when its score is above it.
    stated_rate_ : float or None
        The share of data without anomalies the rule claims to flag; None where it claims nothing.
    reason_ : str
        How the threshold was set, in words.
    """

    #: Whether ``fit`` cannot do without labels.
    needs_labels: ClassVar[bool] = False

    threshold_: float
    stated_rate_: float | None
    reason_: str

    def fit(self, scores: Any, y: Any = None) -> Self:
        """Set the threshold.

        Parameters
        ----------
        scores : array-like of shape (n,)
            Finite; higher = more anomalous.
        y : array-like of shape (n,), optional
            1 anomaly, 0 normal, -1 not judged.
        """
        self.check_params()
        values = check_scores(scores)
        labels = None if y is None else np.asarray(y)
        if labels is not None and labels.shape != values.shape:
            raise ValueError(
                f"{type(self).__name__}: y has shape {labels.shape}, scores {values.shape}"
            )
        if self.needs_labels and (labels is None or not {0, 1} <= set(np.unique(labels).tolist())):
            raise ValueError(
                f"{type(self).__name__}: the threshold needs labels y that hold both 1 (anomaly) "
                "and 0 (normal)"
            )
        self._fit(values, labels)
        return self

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        raise NotImplementedError

    def predict(self, scores: Any) -> IntArray:
        """1 where a score is above the threshold, else 0."""
        return (np.asarray(scores) > self.threshold_).astype(np.int64)


class Quantile(Threshold):
    """Flags the share ``contamination`` of the scores it is fitted on, as PyOD does.

    Parameters
    ----------
    contamination : float in (0, 0.5], default=0.1

    Examples
    --------
    >>> Quantile(0.25).fit([1.0, 2.0, 3.0, 10.0]).predict([3.0, 11.0])
    array([0, 1])
    """

    constraints = {"contamination": real(0.0, 0.5, "(]")}

    def __init__(self, contamination: float = 0.1) -> None:
        self.contamination = contamination

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        self.threshold_ = float(np.percentile(scores, 100 * (1 - self.contamination)))
        self.stated_rate_ = float(self.contamination)
        self.reason_ = f"the top {self.contamination:.4g} of the scores, as asked"


class Fixed(Threshold):
    """A threshold given outright: flags scores above ``value``."""

    constraints = {"value": real()}

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        self.threshold_, self.stated_rate_ = float(self.value), None
        self.reason_ = "the value given"


class SigmaRule(Threshold):
    """Mean + k standard deviations.

    Parameters
    ----------
    k : float > 0, default=3.0
    """

    constraints = {"k": real(0.0, None, "(]")}

    def __init__(self, k: float = 3.0) -> None:
        self.k = k

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        self.threshold_ = float(scores.mean() + self.k * scores.std())
        self.stated_rate_ = float(norm.sf(self.k))
        self.reason_ = f"the mean and {self.k:g} standard deviations of the scores"


class MAD(Threshold):
    """Median + k times 1.4826 times the median absolute deviation.

    Where that deviation vanishes, because more than half of the scores are equal, the percentile
    that a normal distribution has at k standard deviations takes its place.

    Parameters
    ----------
    k : float > 0, default=3.5

    References
    ----------
    Iglewicz & Hoaglin: "How to Detect and Handle Outliers", ASQC 1993.
    """

    constraints = {"k": real(0.0, None, "(]")}

    def __init__(self, k: float = 3.5) -> None:
        self.k = k

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        middle = float(np.median(scores))
        spread = 1.4826 * float(np.median(np.abs(scores - middle)))
        self.stated_rate_ = float(norm.sf(self.k))
        if spread > 0:
            self.threshold_ = middle + self.k * spread
            self.reason_ = f"the median and {self.k:g} scaled median absolute deviations"
        else:
            self.threshold_ = float(np.quantile(scores, norm.cdf(self.k)))
            self.reason_ = (
                f"the {norm.cdf(self.k):.2%} percentile, since the median absolute deviation is 0"
            )


class GaussianTail(Threshold):
    """The score a share ``alpha`` of a normal distribution, fitted by likelihood, lies above.

    Parameters
    ----------
    alpha : float in (0, 0.5), default=0.001
    """

    constraints = {"alpha": real(0.0, 0.5, "()")}

    def __init__(self, alpha: float = 0.001) -> None:
        self.alpha = alpha

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        self.threshold_ = float(scores.mean() + norm.isf(self.alpha) * scores.std())
        self.stated_rate_ = float(self.alpha)
        self.reason_ = f"the upper {self.alpha:g} of a normal distribution fitted to the scores"


class TargetFPR(Threshold):
    """The conformal threshold: a new normal row is flagged with probability at most ``alpha``.

    Fitted on scores of held-out normal rows (with labels: of those labelled 0). With m of them the
    threshold is the one with ``ceil((1 - alpha) (m + 1))`` scores at or below it, which bounds the
    probability whatever the scores' distribution.

    Parameters
    ----------
    alpha : float in (0, 1), default=0.01

    References
    ----------
    Laxhammar & Falkman: "Conformal prediction for distribution-independent anomaly detection in
    streaming vessel data", 2010; Vovk, Gammerman, Shafer: "Algorithmic Learning in a Random World".
    """

    constraints = {"alpha": real(0.0, 1.0, "()")}

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = alpha

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        normal = np.sort(scores if y is None else scores[y == 0])
        m = len(normal)
        if m == 0:
            raise ValueError("TargetFPR: y must hold at least one normal row (0)")
        rank = int(np.ceil((1 - self.alpha) * (m + 1) - 1e-9))
        # Too few normal rows to promise so little: their highest score is the best that can be had.
        self.threshold_ = float(normal[min(rank, m) - 1])
        self.stated_rate_ = float(max(self.alpha, 1 / (m + 1)))
        self.reason_ = f"at most {self.stated_rate_:.3g} of normal rows above it, by {m:,} of them"


class MaxF1(Threshold):
    """The threshold with the best F-score on labelled data.

    Parameters
    ----------
    beta : float > 0, default=1.0
        Recall counts ``beta`` times as much as precision.
    """

    needs_labels = True
    constraints = {"beta": real(0.0, None, "(]")}

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        cuts, hits, false, missed = _sweep(scores, y)
        weight = self.beta**2
        f = (1 + weight) * hits / ((1 + weight) * hits + weight * missed + false)
        best = int(np.argmax(f))
        self.threshold_, self.stated_rate_ = float(cuts[best]), None
        self.reason_ = f"the best F{self.beta:g} on the labelled rows, {f[best]:.3f}"


class Cost(Threshold):
    """The threshold with the least cost.

    With labels, the least total cost on the labelled rows. Without, rows whose calibrated
    probability of being an anomaly makes flagging the cheaper choice are flagged: probability
    above ``false_alarm / (false_alarm + miss)``.

    Parameters
    ----------
    false_alarm : float > 0, default=1.0
        Cost of flagging a normal row.
    miss : float > 0, default=10.0
        Cost of not flagging an anomaly.
    """

    constraints = {"false_alarm": real(0.0, None, "(]"), "miss": real(0.0, None, "(]")}

    def __init__(self, false_alarm: float = 1.0, miss: float = 10.0) -> None:
        self.false_alarm = false_alarm
        self.miss = miss

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        self.stated_rate_ = None
        costs = f"{self.false_alarm:g} a false alarm and {self.miss:g} a miss"
        if y is not None and {0, 1} <= set(np.unique(y).tolist()):
            cuts, _, false, missed = _sweep(scores, y)
            spent = self.false_alarm * false + self.miss * missed
            self.threshold_ = float(cuts[int(np.argmin(spent))])
            self.reason_ = f"the least cost on the labelled rows, at {costs}"
            return
        from awry.core.calibration import AnomalyProbability

        worth = self.false_alarm / (self.false_alarm + self.miss)
        ordered = np.unique(scores)
        probable = AnomalyProbability().fit(scores).transform(ordered) > worth
        first = int(np.argmax(probable)) if probable.any() else len(ordered)
        self.threshold_ = float(ordered[first - 1] if first else np.nextafter(ordered[0], -np.inf))
        self.reason_ = f"where flagging is the cheaper choice by calibrated probability, at {costs}"


class POT(Threshold):
    """Peaks over threshold: the score a share ``alpha`` exceeds, by extreme value theory.

    The excesses over the ``level`` quantile follow a generalised Pareto law, fitted by Grimshaw's
    reduction.

    Parameters
    ----------
    alpha : float in (0, 1), default=0.001
        The risk, q in the paper.
    level : float in (0, 1), default=0.98
        Quantile over which scores count as peaks, lowered until there are ten.

    References
    ----------
    Siffer, Fouque, Termier, Largouet: "Anomaly Detection in Streams with Extreme Value Theory",
    KDD 2017, equation 1 and section 3.3.
    """

    constraints = {"alpha": real(0.0, 1.0, "()"), "level": real(0.0, 1.0, "()")}

    def __init__(self, alpha: float = 0.001, level: float = 0.98) -> None:
        self.alpha = alpha
        self.level = level

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        ordered = np.sort(scores)
        n = len(ordered)
        start = ordered[max(min(int(self.level * n), n - 11), 0)]
        excesses = ordered[ordered > start] - start
        self.stated_rate_ = float(self.alpha)
        self.reason_ = f"exceeded by {self.alpha:g} of rows under a Pareto tail"
        share = len(excesses) / n
        if share <= self.alpha:
            self.threshold_ = float(np.quantile(ordered, 1 - self.alpha))
            return
        shape, scale = fit_pareto(excesses)
        self.threshold_ = float(start + pareto_isf(self.alpha / share, shape, scale))


class Adaptive(Threshold):
    """The default: flags what a normal row would exceed with probability ``alpha``.

    The tail of the normal rows' scores is fitted by :class:`~awry.core.tail.ScoreTail`, which first
    looks for a separate group of high scores and, where it is there, fits the tail without it. So
    clean data has about ``alpha`` flagged, and data with a group of anomalies the group.

    Parameters
    ----------
    alpha : float in (0, 0.5), default=0.01
        Share of clean data flagged. A hundredth can be looked at by a person, and is a tenth of
        what is customary.

    Attributes
    ----------
    group_share_ : float
        Share of the scores in a separate group of high ones; 0 where there is none.
    """

    constraints = {"alpha": real(0.0, 0.5, "()")}

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = alpha

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        tail = ScoreTail.fit(scores)
        self.threshold_ = float(tail.isf(self.alpha))
        self.stated_rate_ = float(self.alpha)
        self.group_share_ = float(tail.group_share)
        self.reason_ = f"exceeded by {self.alpha:.3g} of normal rows, by the tail of their scores"
        if self.group_share_ > 0:
            self.reason_ += f", less a separate group of {self.group_share_:.2%} high scores"


class Levels(Threshold):
    """Several levels at once: warning, critical and emergency.

    Parameters
    ----------
    alphas : three falling floats in (0, 0.5), default=(0.01, 0.001, 0.0001)
        Shares of normal rows that exceed each level, by the tail of :class:`Adaptive`.

    Attributes
    ----------
    cuts_ : ndarray of shape (3,)
        The thresholds, ascending; the first is ``threshold_``.

    Examples
    --------
    >>> levels = Levels().fit(np.random.default_rng(0).exponential(size=5000))
    >>> levels.severity([0.0, 5.0, 8.0, 20.0])
    array([0, 1, 2, 3])
    """

    constraints = {"alphas": listing(real(0.0, 0.5, "()"))}

    def __init__(self, alphas: Any = (0.01, 0.001, 0.0001)) -> None:
        self.alphas = alphas

    def _fit(self, scores: FloatArray, y: IntArray | None) -> None:
        alphas = [float(a) for a in self.alphas]
        if len(alphas) != 3 or sorted(alphas, reverse=True) != alphas:
            raise ValueError(f"Levels: alphas must be three falling numbers, got {self.alphas!r}")
        tail = ScoreTail.fit(scores)
        self.cuts_ = np.maximum.accumulate([tail.isf(a) for a in alphas])
        self.threshold_, self.stated_rate_ = float(self.cuts_[0]), alphas[0]
        shares = ", ".join(f"{a:g}" for a in alphas)
        self.reason_ = f"levels exceeded by {shares} of normal rows, by the tail of their scores"

    def severity(self, scores: Any) -> IntArray:
        """0 not flagged, 1 warning, 2 critical, 3 emergency, per score."""
        return np.searchsorted(self.cuts_, np.asarray(scores), side="left")


_SHORT: dict[str, tuple[type[Threshold], int]] = {
    "quantile": (Quantile, 1),
    "fixed": (Fixed, 1),
    "sigma": (SigmaRule, 1),
    "mad": (MAD, 1),
    "gaussian": (GaussianTail, 1),
    "fpr": (TargetFPR, 1),
    "f1": (MaxF1, 0),
    "fbeta": (MaxF1, 1),
    "cost": (Cost, 2),
    "pot": (POT, 2),
    "adaptive": (Adaptive, 1),
    "levels": (Levels, 3),
}


def make_threshold(spec: Any) -> Threshold:
    """An unfitted threshold.

    Parameters
    ----------
    spec : None, float, str or Threshold
        None: the default, :class:`Adaptive`. A number in (0, 0.5]: that share is flagged. A short
        form: ``"quantile:0.99"``, ``"sigma:3"``, ``"mad:3.5"``, ``"gaussian:0.001"``,
        ``"fpr:0.01"``, ``"f1"``, ``"fbeta:2"``, ``"cost:1,50"``, ``"pot:0.001"``,
        ``"adaptive:0.005"``, ``"levels:0.01,0.001,0.0001"``, ``"fixed:0.7"``. A Threshold is
        copied.

    Raises
    ------
    ValueError
        Listing what is possible.

    Examples
    --------
    >>> make_threshold("mad:3"), make_threshold(0.05)
    (MAD(k=3.0), Quantile(contamination=0.05))
    """
    if spec is None:
        return Adaptive()
    if isinstance(spec, Threshold):
        return type(spec)(**spec.get_params(deep=False))
    if isinstance(spec, (int, float, np.number)) and not isinstance(spec, bool):
        made: Threshold = Quantile(float(spec))
        _check_contamination(made, spec)
        return made
    if isinstance(spec, str):
        name, _, rest = spec.strip().lower().partition(":")
        try:
            numbers = [float(part) for part in rest.split(",")] if rest else []
            if not rest and name not in _SHORT:
                return make_threshold(float(name))
        except ValueError:
            numbers = [float("nan")]
        if name in _SHORT and len(numbers) <= _SHORT[name][1] and np.isfinite(numbers).all():
            return _make(name, numbers)
    raise ValueError(
        "the threshold must be a number in (0, 0.5] (contamination), a Threshold or one of "
        f"{', '.join(_SHORT)} with its numbers, such as 'mad:3.5' or 'cost:1,50', got {spec!r}"
    )


def _make(name: str, numbers: list[float]) -> Threshold:
    cls, _ = _SHORT[name]
    if name == "quantile" and numbers:
        numbers = [1.0 - numbers[0]]
    made = cls(numbers) if name == "levels" and numbers else cls(*numbers)  # type: ignore[call-arg]
    made.check_params()
    return made


def _check_contamination(made: Threshold, spec: Any) -> None:
    try:
        made.check_params()
    except ValueError as error:
        raise ValueError(f"contamination must be a number in (0, 0.5], got {spec!r}") from error


def _sweep(
    scores: FloatArray, y: IntArray | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Every threshold worth trying, halfway between neighbouring scores, and what it would do.

    Returns
    -------
    cuts, hits, false alarms, misses : ndarrays of shape (k,)
    """
    assert y is not None
    judged = y != UNLABELLED
    s, odd = scores[judged], y[judged] == 1
    order = np.argsort(-s, kind="stable")
    s, odd = s[order], odd[order]
    last = np.flatnonzero(np.append(s[1:] < s[:-1], True))
    hits = np.cumsum(odd)[last].astype(np.float64)
    false = last + 1 - hits
    below = np.append(s[last[:-1] + 1], s[-1] - 1.0 - abs(s[-1]))
    cuts = s[last] + (below - s[last]) / 2
    # Rounding must not lift a cut up to the score it is to lie below.
    cuts = np.where(cuts >= s[last], below, cuts)
    top = s[0]
    return (
        np.append(top, cuts),
        np.append(0.0, hits),
        np.append(0.0, false),
        odd.sum() - np.append(0.0, hits),
    )
