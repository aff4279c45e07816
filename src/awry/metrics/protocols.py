"""What to train on and what to test on: the field's protocols, as row numbers.

===================  ====================================  =====================================
protocol             trained on                            tested on
===================  ====================================  =====================================
transductive         all rows, labels unseen               the same rows
train_on_normal      half of the normal rows               the other half and all anomalies
one_vs_rest          half of one class, in turn            its other half and all other classes
leave_one_class_out  half of all classes but one, in turn  their other half and the class left out
===================  ====================================  =====================================

Where training and test rows differ, equal rows always fall on one side: no row tested was trained
on. Halves are of the distinct normal rows, shuffled by the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from awry.core.errors import DataError
from awry.core.inputs import IntArray
from awry.metrics.ranking import evaluate


@dataclass(frozen=True)
class Split:
    """Rows to train on, rows to test on and the labels of those (1 anomaly, 0 normal)."""

    protocol: str
    case: str  # the class in turn; empty where there is none
    seed: int
    train: IntArray
    test: IntArray
    y_test: IntArray


def transductive(y: Any, seeds: Iterable[int] = (0,), max_rows: int | None = None) -> list[Split]:
    """Fit on all rows and score the same; a seeded sample of ``max_rows`` where there are more."""
    labels = _binary(y)
    splits = []
    for seed in seeds:
        rows = np.arange(len(labels))
        if max_rows is not None and len(labels) > max_rows:
            rows = np.sort(np.random.default_rng(seed).choice(rows, max_rows, replace=False))
        splits.append(Split("transductive", "", seed, rows, rows, labels[rows]))
    return splits


def train_on_normal(X: Any, y: Any, seeds: Iterable[int] = (0,)) -> list[Split]:
    """Train on half of the normal rows, test on the other half and the anomalies.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Looked at only to see which rows are equal.
    y : array-like of shape (n,)
        1 anomaly, 0 normal.
    seeds : iterable of int, default=(0,)
    """
    labels = _binary(y)
    return list(_halves("train_on_normal", "", _groups(X, len(labels)), labels, seeds))


def one_vs_rest(X: Any, classes: Any, seeds: Iterable[int] = (0,)) -> list[Split]:
    """Each class in turn is normal, all others are anomalies."""
    return _in_turn("one_vs_rest", X, classes, seeds, lambda c, one: c != one)


def leave_one_class_out(X: Any, classes: Any, seeds: Iterable[int] = (0,)) -> list[Split]:
    """Each class in turn is the anomaly, all others are normal."""
    return _in_turn("leave_one_class_out", X, classes, seeds, lambda c, one: c == one)


def run(make: Callable[[int], Any], X: Any, splits: Sequence[Split]) -> list[dict[str, Any]]:
    """Fit and measure one detector on each split: one row of a tidy table each.

    Parameters
    ----------
    make : callable
        Takes a seed, returns an unfitted detector. Where a split tests the rows it trained on,
        its ``decision_scores_`` are measured, else its ``decision_function``.
    X : array-like of shape (n, d)
    splits : sequence of Split

    Returns
    -------
    list of dict
        ``protocol, case, seed, n_train, n_test, n_anomalies`` and the metrics of
        :func:`~awry.metrics.ranking.evaluate`.
    """
    X = np.asarray(X)
    rows = []
    for split in splits:
        detector = make(split.seed).fit(X[split.train])
        same = split.test is split.train
        scores = detector.decision_scores_ if same else detector.decision_function(X[split.test])
        rows.append(
            {
                "protocol": split.protocol,
                "case": split.case,
                "seed": split.seed,
                "n_train": len(split.train),
                "n_test": len(split.test),
                "n_anomalies": int(split.y_test.sum()),
                **evaluate(split.y_test, scores).to_dict(),
            }
        )
    return rows


def summarise(
    rows: Sequence[dict[str, Any]], by: Sequence[str] = ("protocol", "case")
) -> list[dict[str, Any]]:
    """Mean and standard deviation of each metric over the rows alike in ``by``.

    Returns
    -------
    list of dict
        ``by``, ``runs`` and for each metric ``name`` the mean and ``name_std`` the sample standard
        deviation over runs, 0 for a single one.
    """
    outside = {"protocol", "case", "seed", "n_train", "n_test", "n_anomalies"}
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    table = []
    for key, alike in groups.items():
        line = dict(zip(by, key, strict=True)) | {"runs": len(alike)}
        for name in (n for n in alike[0] if n not in outside):
            values = np.array([row[name] for row in alike], dtype=np.float64)
            line[name] = float(values.mean())
            line[f"{name}_std"] = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        table.append(line)
    return table


def _in_turn(
    protocol: str, X: Any, classes: Any, seeds: Iterable[int], odd: Callable[[Any, Any], Any]
) -> list[Split]:
    kinds = np.asarray(classes)
    names = np.unique(kinds)
    if kinds.ndim != 1 or len(names) < 2:
        raise DataError(f"{protocol}: classes must name at least two, got {len(names)}")
    groups, seeds = _groups(X, len(kinds)), list(seeds)
    return [
        split
        for name in names
        for split in _halves(protocol, str(name), groups, odd(kinds, name).astype(np.int64), seeds)
    ]


def _halves(
    protocol: str, case: str, groups: IntArray, labels: IntArray, seeds: Iterable[int]
) -> Iterator[Split]:
    normal = np.unique(groups[labels == 0])
    if len(normal) < 2:
        raise DataError(
            f"{protocol}: needs at least two distinct normal rows"
            + (f" for class {case}" if case else "")
        )
    for seed in seeds:
        learnt = np.zeros(groups.max() + 1, dtype=bool)
        learnt[np.random.default_rng(seed).permutation(normal)[: len(normal) // 2]] = True
        # An anomaly equal to a row trained on is left out: to test it is to test that row.
        test = np.flatnonzero(~learnt[groups])
        train = np.flatnonzero(learnt[groups] & (labels == 0))
        yield Split(protocol, case, seed, train, test, labels[test])


def _groups(X: Any, n: int) -> IntArray:
    """The number of the distinct row that each row is, shape (n,)."""
    X = np.asarray(X)
    if X.ndim != 2 or len(X) != n:
        raise DataError(f"X must be (n, d) with a label for each row, got {X.shape} and {n} labels")
    return np.unique(X, axis=0, return_inverse=True)[1].ravel()


def _binary(y: Any) -> IntArray:
    labels = np.asarray(y)
    if labels.ndim != 1 or not np.isin(labels, (0, 1)).all():
        raise DataError("labels must be a vector of 1 (anomaly) and 0 (normal)")
    for value, what in ((0, "normal rows (0)"), (1, "anomalies (1)")):
        if not (labels == value).any():
            raise DataError(f"the labels hold no {what}", remedy="the protocol needs both")
    return labels.astype(np.int64)
