"""How well scores rank anomalies above normal rows, and how well a threshold cuts. No accuracy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray


def auroc(y: Any, scores: Any) -> float:
    """Area under the ROC curve: how often an anomaly scores above a normal row, ties half.

    Examples
    --------
    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    from scipy.stats import rankdata

    labels, values = check(y, scores)
    odd = int(labels.sum())
    ranks = rankdata(values)[labels == 1].sum()
    return float((ranks - odd * (odd + 1) / 2) / (odd * (len(labels) - odd)))


def auprc(y: Any, scores: Any) -> float:
    """Average precision: precision at each threshold, weighted by the recall it adds.

    Examples
    --------
    >>> round(auprc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    hits, false, odd = _sweep(*check(y, scores))
    precision = hits / (hits + false)
    return float((np.diff(hits, prepend=0.0) / odd) @ precision)


def precision_at_k(y: Any, scores: Any, k: int | None = None) -> float:
    """Share of anomalies among the ``k`` highest scores, as many as there are anomalies by default.

    Scores tied at the k-th place count by their average.
    """
    labels, values = check(y, scores)
    k = int(labels.sum()) if k is None else k
    if not 1 <= k <= len(labels):
        raise ValueError(f"k must be an integer from 1 to {len(labels)}, got {k!r}")
    cut = np.partition(values, -k)[-k]
    above, tied = values > cut, values == cut
    room = (k - above.sum()) / tied.sum()
    return float((labels[above].sum() + room * labels[tied].sum()) / k)


def recall_at_fpr(y: Any, scores: Any, fpr: float = 0.05) -> float:
    """Highest recall whose false positive rate is at most ``fpr``."""
    labels, values = check(y, scores)
    hits, false, odd = _sweep(labels, values)
    allowed = false <= fpr * (len(labels) - odd)
    return float(hits[allowed].max() / odd) if allowed.any() else 0.0


def best_f(y: Any, scores: Any, beta: float = 1.0) -> tuple[float, float]:
    """The best F-score over all thresholds, and the lowest score it flags."""
    labels, values = check(y, scores)
    hits, false, odd = _sweep(labels, values)
    f = (1 + beta**2) * hits / (hits + false + beta**2 * odd)
    best = int(np.argmax(f))
    return float(f[best]), float(np.unique(values)[::-1][best])


@dataclass(frozen=True)
class Decision:
    """How a threshold cuts: counts and what follows from them."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @classmethod
    def of(cls, y: Any, flagged: Any) -> Decision:
        """Counts for labels (n,) and decisions (n,), both 0 or 1."""
        labels, flags = np.asarray(y) == 1, np.asarray(flagged) == 1
        return cls(
            int((labels & flags).sum()),
            int((~labels & flags).sum()),
            int((labels & ~flags).sum()),
            int((~labels & ~flags).sum()),
        )

    @property
    def precision(self) -> float:
        """Share of the flagged rows that are anomalies; 0 where none is flagged."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the anomalies that are flagged."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def false_positive_rate(self) -> float:
        """Share of the normal rows that are flagged."""
        return _ratio(self.false_positives, self.false_positives + self.true_negatives)

    def f(self, beta: float = 1.0) -> float:
        """F-score in which recall counts ``beta`` times as much as precision."""
        weighted = (1 + beta**2) * self.true_positives
        return _ratio(weighted, weighted + beta**2 * self.false_negatives + self.false_positives)


@dataclass(frozen=True)
class Report:
    """All ranking metrics, and those of a threshold where one is given."""

    auroc: float
    auprc: float
    best_f1: float
    precision_at_k: float
    recall_at_1_fpr: float
    recall_at_5_fpr: float
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    f2: float | None = None
    false_positive_rate: float | None = None
    true_positives: int | None = None
    false_positives: int | None = None
    false_negatives: int | None = None
    true_negatives: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The metrics that are known, by name."""
        return {k: v for k, v in asdict(self).items() if v is not None}


def evaluate(y: Any, scores: Any, threshold: float | None = None) -> Report:
    """Measure scores, and the decisions of ``threshold`` where it is given.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 anomaly, 0 normal; both must occur.
    scores : array-like of shape (n,)
        Higher = more anomalous.
    threshold : float, optional
        Scores above it are flagged.

    Examples
    --------
    >>> report = evaluate([0, 0, 1], [0.1, 0.2, 0.9], threshold=0.5)
    >>> report.auroc, report.f1, report.false_positives
    (1.0, 1.0, 0)
    """
    labels, values = check(y, scores)
    decided: dict[str, Any] = {}
    if threshold is not None:
        decision = Decision.of(labels, values > threshold)
        decided = asdict(decision) | {
            "precision": decision.precision,
            "recall": decision.recall,
            "f1": decision.f(),
            "f2": decision.f(2.0),
            "false_positive_rate": decision.false_positive_rate,
        }
    return Report(
        auroc=auroc(labels, values),
        auprc=auprc(labels, values),
        best_f1=best_f(labels, values)[0],
        precision_at_k=precision_at_k(labels, values),
        recall_at_1_fpr=recall_at_fpr(labels, values, 0.01),
        recall_at_5_fpr=recall_at_fpr(labels, values, 0.05),
        **decided,
    )


def check(y: Any, scores: Any) -> tuple[IntArray, FloatArray]:
    """Labels and scores as vectors of one length, with both classes and finite scores."""
    labels, values = np.asarray(y), np.asarray(scores, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != values.shape:
        raise DataError(
            f"labels and scores must be vectors of one length, got {labels.shape}, {values.shape}"
        )
    if not np.isin(labels, (0, 1)).all():
        raise DataError("labels must be 1 (anomaly) or 0 (normal)")
    for value, what in ((0, "normal rows (0)"), (1, "anomalies (1)")):
        if not (labels == value).any():
            raise DataError(f"the labels hold no {what}", remedy="metrics need both classes")
    if not np.isfinite(values).all():
        raise DataError("scores must be finite")
    return labels.astype(np.int64), values


def _sweep(labels: IntArray, values: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Anomalies and normal rows at or above each distinct score, highest first, and anomalies."""
    order = np.argsort(-values, kind="stable")
    ordered, odd = values[order], labels[order]
    last = np.flatnonzero(np.append(ordered[1:] < ordered[:-1], True))
    hits = np.cumsum(odd)[last].astype(np.float64)
    return hits, last + 1 - hits, int(odd.sum())


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
