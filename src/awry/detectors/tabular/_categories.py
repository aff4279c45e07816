"""Columns that hold codes of categories, for network detectors with embeddings for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.params import ParameterError, any_of, instance, integer, listing, nothing

if TYPE_CHECKING:
    from awry.nn.mixed import MixedColumns

#: Codes up to this one are told apart in single precision.
_MOST = 1 << 24
CATEGORIES = any_of(nothing(), listing(any_of(integer(0), instance(str))))


def learn_levels(detector: Any, X: FloatArray) -> None:
    """Set ``categories_``, ``levels_`` and, so that codes stay as they are, the scaling."""
    detector.categories_ = places = _places(detector)
    detector.levels_ = [np.unique(X[:, j]) for j in places]
    for j, levels in zip(places, detector.levels_, strict=True):
        if (levels != np.round(levels)).any() or np.abs(levels).max() >= _MOST:
            raise ValueError(
                f"{type(detector).__name__}: a column of categories must hold whole numbers below "
                f"{_MOST}, column {j} holds {levels[0]!r} to {levels[-1]!r}"
            )
    detector.center_[places], detector.scale_[places] = 0.0, 1.0


def mixed_columns(detector: Any, d: int) -> MixedColumns | None:
    """How a network takes in the columns of ``detector``; None where all are numbers."""
    if not len(detector.categories_):
        return None
    from awry.nn.mixed import MixedColumns

    levels = zip(detector.categories_.tolist(), detector.levels_, strict=True)
    return MixedColumns(d, dict(levels))


def _places(detector: Any) -> IntArray:
    """Where the columns named by ``categories`` are, ascending."""
    names = list(getattr(detector, "feature_names_in_", []))
    found = set()
    for column in detector.categories or ():
        if isinstance(column, str) and column in names:
            found.add(names.index(column))
        elif not isinstance(column, str) and column < detector.n_features_in_:
            found.add(int(column))
        else:
            raise ParameterError(
                f"{type(detector).__name__}: categories must name columns of X, got {column!r}"
            )
    return np.array(sorted(found), dtype=np.int64)
