"""Detectors of series: an item is a time point, a series is an array (T, d) of d channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from awry.core.detector import Detector
from awry.core.errors import DataError
from awry.core.inputs import FloatArray
from awry.core.online import Online, own_copy

BoolArray = NDArray[np.bool_]

#: Missing points in a row that are filled in; longer runs are holes, which nothing judges.
MAX_FILL = 8
#: Exponent of the norm that joins channels: close to their maximum, yet several add up.
CHANNEL_NORM = 4.0


@dataclass(frozen=True)
class Series:
    """Values at points in time.

    Attributes
    ----------
    values : ndarray of shape (T, d)
        NaN where missing.
    times : datetime64 ndarray of shape (T,) or None
        Ascending.
    """

    values: FloatArray
    times: NDArray[np.datetime64] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: slice) -> Series:
        return Series(self.values[part], None if self.times is None else self.times[part])

    def filled(self, *, causal: bool = False) -> tuple[FloatArray, BoolArray]:
        """Values without gaps, and where the gaps were too long to be filled honestly.

        Parameters
        ----------
        causal : bool, default=False
            Carry the last value forward in place of interpolating, which looks ahead. What comes
            before the first value is a hole that holds 0.

        Returns
        -------
        values : ndarray of shape (T, d)
            A channel without any value holds 0.
        holes : ndarray of bool, shape (T, d)
            Points in runs of more than ``MAX_FILL`` missing values.
        """
        missing = np.isnan(self.values)
        holes = np.zeros_like(missing)
        if not missing.any():
            return self.values, holes
        values, at = self.values.copy(), np.arange(len(self))
        for j in np.flatnonzero(missing.any(axis=0)):
            gap, known = missing[:, j], np.flatnonzero(~missing[:, j])
            holes[:, j] = _long_runs(gap, MAX_FILL, causal=causal)
            if not len(known):
                values[:, j] = 0.0
            elif causal:
                last = np.maximum.accumulate(np.where(gap, -1, at))
                values[:, j] = np.where(last < 0, 0.0, values[last, j])
                holes[: known[0], j] = True  # nothing to carry forward yet
            else:
                values[gap, j] = np.interp(at[gap], known, values[known, j])
        return values, holes


def _long_runs(flags: BoolArray, most: int, *, causal: bool) -> BoolArray:
    """Points in runs of more than ``most`` flags; when causal only those beyond the first few."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    long = np.zeros_like(flags)
    for first, end in edges.reshape(-1, 2):
        if end - first > most:
            long[first + most * causal : end] = True
    return long


def check_series(estimator: Any, X: Any, *, reset: bool, min_points: int = 1) -> Series:
    """Return ``X`` as a :class:`Series`.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose input it is, as for :func:`~awry.core.inputs.check_table`.
    X : array-like of shape (T,) or (T, d), Series or DataFrame
        NaN where a value is missing. A ``DatetimeIndex`` gives the times; it must ascend.
    reset : bool
        True in ``fit``.
    min_points : int, default=1

    Raises
    ------
    ValueError
        Where the shape, the width, a value or the times do not fit; the message says where.
    """
    if isinstance(X, Series):
        times, X = X.times, X.values
    else:
        times = _times(getattr(X, "index", None))
    owner = type(estimator).__name__
    if hasattr(X, "to_frame") and not hasattr(X, "columns"):
        X = X.to_frame(name=X.name if isinstance(X.name, str) else "value")
    elif not hasattr(X, "columns"):
        X = np.asarray(X)
        X = X.reshape(-1, 1) if X.ndim == 1 else X
    values = validate_data(
        estimator, X, reset=reset, dtype=np.float64, ensure_all_finite=False,
        ensure_min_samples=min_points,
    )  # fmt: skip
    if np.isinf(values).any():
        row, column = (int(i) for i in np.argwhere(np.isinf(values))[0])
        raise DataError(
            f"{owner}: input contains infinity at point {row}, channel {column}; "
            "mark what is missing with NaN"
        )
    if reset and np.isnan(values).all():
        raise DataError(f"{owner}: input holds no value, all {values.size} are missing")
    if times is not None and len(times) > 1 and (np.diff(times.astype(np.int64)) <= 0).any():
        at = int(np.argmax(np.diff(times.astype(np.int64)) <= 0)) + 1
        raise DataError(
            f"{owner}: times must ascend, point {at} ({times[at]}) does not follow the one before; "
            "sort and drop duplicates, or use awry.detect, which does"
        )
    return Series(np.asarray(values), times)


def _times(index: Any) -> NDArray[np.datetime64] | None:
    """The times of a pandas ``DatetimeIndex`` as wall-clock datetimes, None for other indexes."""
    if getattr(getattr(index, "dtype", None), "kind", "") != "M":
        return None
    return np.asarray(index.tz_localize(None) if index.tz is not None else index)


def join_channels(scores: FloatArray) -> FloatArray:
    """One score per point from scores >= 0 of its channels (T, d): their 4-norm, without NaN.

    NaN where no channel could be judged.
    """
    if scores.ndim == 1:
        return scores
    if scores.shape[1] == 1:
        return scores[:, 0]
    known = np.where(np.isnan(scores), 0.0, scores)
    # The largest is taken out of the power, which would overflow else.
    largest = np.maximum(known.max(axis=1, keepdims=True), np.finfo(float).tiny)
    joined = largest[:, 0] * ((known / largest) ** CHANNEL_NORM).sum(axis=1) ** (1 / CHANNEL_NORM)
    return np.where(np.isnan(scores).all(axis=1), np.nan, joined)


class SeriesDetector(Detector):
    """Base of detectors that score the points of a series.

    A subclass writes ``_fit(X, y)`` and ``_score(X)`` on a :class:`Series` and returns scores of
    shape (T,), or (T, d) with one score >= 0 for each channel, which are joined by
    :func:`join_channels`. NaN says that a point cannot be judged; it gets the score of an ordinary
    point, ``neutral_``.

    ``X`` may be an array (T,) or (T, d) or a DataFrame, NaN where values are missing; the index of
    a DataFrame gives the times.

    Attributes
    ----------
    neutral_ : float
        The median training score, given to points that cannot be judged.
    """

    #: Whether new series are compared with the training series and that with itself, so that the
    #: training series given anew does not get its training scores.
    compares_with_training: ClassVar[bool] = False

    neutral_: float

    def _check_input(self, X: Any, *, reset: bool) -> Any:
        return check_series(self, X, reset=reset, min_points=self.card.min_rows if reset else 1)

    def _training_scores(self, X: Any, scores: FloatArray | None) -> FloatArray:
        found = join_channels(np.asarray(self._score(X) if scores is None else scores))
        known = found[~np.isnan(found)]
        self.neutral_ = self._neutral(known)
        return self._judged(found)

    def _neutral(self, known: FloatArray) -> float:
        return float(np.median(known)) if len(known) else 0.0

    def _score_chunks(self, X: Any) -> FloatArray:
        return self._judged(self._score(X))

    def _judged(self, scores: FloatArray) -> FloatArray:
        joined = join_channels(np.asarray(scores))
        return np.where(np.isnan(joined), self.neutral_, joined)

    def _keep_background(self, X: Any) -> None:
        """Keep what each channel typically holds, to explain by putting it in."""
        empty = np.isnan(X.values).all(axis=0)
        self._typical = np.zeros(X.values.shape[1])
        self._typical[~empty] = np.nanmedian(X.values[:, ~empty], axis=0)

    def _contributions(self, X: Any) -> tuple[FloatArray, FloatArray | float]:
        """Shares of the channels: by their own scores, or by what taking them out changes."""
        scores = np.asarray(self._score(X))
        total = self._judged(scores)
        if scores.ndim == 2:
            power = np.where(np.isnan(scores), 0.0, scores) ** CHANNEL_NORM
            return _shares(power) * total[:, None], 0.0
        base = self.neutral_
        if X.values.shape[1] == 1:
            return (total - base)[:, None], base
        gains = np.empty_like(X.values)
        for j, typical in enumerate(self._typical):
            without = X.values.copy()
            without[:, j] = typical
            gains[:, j] = total - self._score_chunks(Series(without, X.times))
        # What the channels do together is split by what each does alone.
        up = _shares(np.clip(gains * np.sign(total - base)[:, None], 0.0, None))
        return up * (total - base)[:, None], base

    @available_if(lambda self: self.card.online)
    def score_one(self, x: Any) -> float:
        raise NotImplementedError


def _shares(parts: FloatArray) -> FloatArray:
    """Rows divided by their sum; even where all is 0."""
    total = parts.sum(axis=1, keepdims=True)
    even = np.full_like(parts, 1.0 / parts.shape[1])
    return np.divide(parts, total, out=even, where=total > 0)


class OnlineDetector(Online, SeriesDetector):
    """Base of detectors that take a series point by point: score first, then learn.

    ``decision_function(X)`` and ``update(X)`` give ``X`` the scores of the points that follow what
    has been seen; the latter learns them too. Scores of ``_advance`` are (T,) or (T, d).

    Parameters
    ----------
    warmup : int or None, default=None
        Points at the start of the training series from which ``_start`` learns what is normal;
        these are not judged, and every later score depends on the past alone. None: it learns from
        the whole training series, whose scores are then in hindsight.
    """

    def _neutral(self, known: FloatArray) -> float:
        # A median of the scores would let the future change the past.
        return 0.0

    def _score(self, X: Series) -> FloatArray:
        return self._advance(own_copy(self.state_), X)

    def update(self, X: Any, *, join: bool = True) -> FloatArray:
        """Score the points that come next, each before it is learnt; shape (T,).

        Parameters
        ----------
        X : array-like of shape (T,) or (T, d)
        join : bool, default=True
            False gives the scores of each channel, (T, d), where the detector has them.
        """
        if join:
            return super().update(X)
        check_is_fitted(self)
        scores = self._advance(self.state_, self._check_input(X, reset=False))
        return np.where(np.isnan(scores), self.neutral_, scores)

    def _one(self, x: Any) -> Series:
        row = np.asarray(x, dtype=np.float64).reshape(1, -1)
        if row.shape[1] != self.n_features_in_ or np.isinf(row).any():
            raise ValueError(
                f"{type(self).__name__}: a point must have {self.n_features_in_} finite values "
                f"(or NaN), got {x!r}"
            )
        return Series(row)


class Moments(NamedTuple):
    """Typical value and scale of each channel, shape (d,)."""

    center: FloatArray
    scale: FloatArray


def robust_moments(values: FloatArray) -> Moments:
    """Median and scaled median absolute deviation of each column of ``values`` (T, d), without NaN.

    Where more than half of a column is one value the standard deviation stands in, and where all
    of it is, 1.
    """
    center, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for j, column in enumerate(values.T):
        known = column[~np.isnan(column)]
        if len(known):
            center[j] = np.median(known)
            spread = 1.4826 * np.median(np.abs(known - center[j])) or known.std()
            scale[j] = spread if spread > 0 else 1.0
    return Moments(center, scale)
