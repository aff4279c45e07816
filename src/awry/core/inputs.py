"""What a detector accepts, checked once: shape, type, width, names and finiteness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import column_or_1d, validate_data

from awry.core.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Rows that are copied, where they have to be, before kernels take them.
_COPIED = 100_000
#: In ``y``: a row nobody has judged.
UNLABELLED = -1


def check_table(
    estimator: BaseEstimator, X: Any, *, reset: bool, min_rows: int = 1, in_place: bool = False
) -> FloatArray:
    """Return ``X`` as a finite float64 array of shape (n, d).

    Parameters
    ----------
    estimator : BaseEstimator
        Whose input it is. With ``reset`` its ``n_features_in_`` and ``feature_names_in_`` are set,
        otherwise ``X`` must agree with them.
    X : array-like of shape (n, d)
        Numbers; a DataFrame's column names are kept.
    reset : bool
        True in ``fit``.
    min_rows : int, default=1
        The fewest rows that make sense.
    in_place : bool, default=False
        Leave more than 100,000 rows where and as they are, on disk and in single precision too:
        for what takes them a batch at a time.

    Raises
    ------
    ValueError
        Where the shape, the width, the names or a value does not fit; the message says where.
    """
    left = in_place and isinstance(X, np.ndarray) and X.shape[:1] > (_COPIED,)
    try:
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=[np.float64, np.float32] if left else np.float64,
            ensure_all_finite=False,
            ensure_min_samples=min_rows,
        )
    except ValueError:
        _name_text_column(estimator, X)
        raise
    check_finite(X, type(estimator).__name__, getattr(estimator, "feature_names_in_", None))
    # For each layout, and for what is read only, kernels would be compiled anew, which takes
    # longer than a copy. What is large, and may lie on disk, is scored from where it is.
    copied = (reset and not left) or len(X) <= _COPIED
    return np.require(X, requirements=["C", "W"] if copied else [])


def check_finite(X: FloatArray, owner: str, names: Any = None) -> None:
    """Raise a :class:`DataError` that names the first NaN or infinity of ``X`` (n, d)."""
    # One pass without a temporary: a sum is finite unless a term is not (or it overflows).
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):
            return
    bad = ~np.isfinite(X)
    if not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    value = "NaN" if np.isnan(X[row, column]) else "infinity"
    label = f"column {names[column]!r}" if names is not None else f"column {column}"
    raise DataError(
        f"{owner}: input contains {value} at row {row}, {label} ({int(bad.sum())} such values); "
        "impute first, or use awry.detect, which copes with missing and infinite values"
    )


def check_labels(y: Any, n: int, owner: str) -> IntArray:
    """Return ``y`` as integers of shape (n,): 1 anomaly, 0 normal, -1 not judged.

    Larger integers, which name kinds of anomalies, become 1.
    """
    labels = column_or_1d(y)
    if len(labels) != n:
        raise DataError(f"{owner}: y has {len(labels)} labels for {n} rows; give one per row")
    try:
        whole = labels.astype(np.int64)
    except (ValueError, TypeError):
        whole = np.full(n, -2)
    wrong = labels[(whole != labels) | (whole < UNLABELLED)]
    if len(wrong):
        shown = ", ".join(map(str, wrong[:3]))
        raise DataError(
            f"{owner}: y must hold 1 (anomaly), 0 (normal) or -1 (not judged), got {shown}"
        )
    return np.minimum(whole, 1)


def _name_text_column(estimator: BaseEstimator, X: Any) -> None:
    """Name the first column of a DataFrame that is not numeric, and what to do about it."""
    for column in getattr(X, "columns", ()):
        values = X[column]
        if getattr(getattr(values, "dtype", None), "kind", "f") not in "fiub":
            raise DataError(
                f"{type(estimator).__name__}: column {column!r} is not numeric "
                f"({values.dtype}); use awry.detect, or put awry.TableEncoder before the detector"
            )
