"""Detectors that score first and then learn, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray

if TYPE_CHECKING:
    from typing import Self


class Online(Detector):
    """What is common to detectors of points and of rows that come one after another.

    A subclass writes ``_start``, which makes the state before the first item, and ``_advance``,
    which takes the next items and changes the state in place. A state is a named tuple of arrays
    whose size does not grow. However the items are cut, ``update`` gives them the same scores.

    Parameters
    ----------
    warmup : int or None, default=None
        Items at the start of the training data from which ``_start`` learns what is normal; these
        are not judged, and every later score depends on the past alone. None: it learns from all
        of the training data, whose scores are then in hindsight.
    """

    #: Whether all that is learnt is in the state, so that there may be one for each of many keys.
    in_state: ClassVar[bool] = True

    warmup: int | None
    state_: Any

    def _start(self, X: Any) -> Any:
        """The state before the first item of ``X``, whose values may serve to calibrate it."""
        raise NotImplementedError

    def _advance(self, state: Any, X: Any) -> FloatArray:
        """Scores of the items, each before it is learnt."""
        raise NotImplementedError

    def _advance_each(self, states: Any, slots: IntArray, X: Any) -> FloatArray:
        """Scores (n,) of items of many states, each item learnt by its own.

        Parameters
        ----------
        states : named tuple of arrays (s, …)
            A state for each slot, changed in place.
        slots : ndarray of shape (n,)
            Whose state an item belongs to.
        """
        out = np.empty(len(X))
        order = np.argsort(slots, kind="stable")
        cuts = np.flatnonzero(np.diff(slots[order])) + 1
        for rows in np.split(order, cuts):
            out[rows] = self._advance(state_at(states, int(slots[rows[0]])), X[rows])
        return out

    if TYPE_CHECKING:

        def _judged(self, scores: FloatArray) -> FloatArray:
            """One finite score per item from what ``_advance`` returned, NaN where not judged."""

    def _one(self, x: Any) -> Any:
        """A single item in the form that ``_advance`` takes."""
        raise NotImplementedError

    def _fit(self, X: Any, y: IntArray | None) -> FloatArray:
        if self.warmup is None:
            self.state_ = self._start(X)
            return self._advance(self.state_, X)
        head = X[: self.warmup]
        self.state_ = self._start(head)
        unjudged = np.full_like(self._advance(self.state_, head), np.nan)
        return np.concatenate([unjudged, self._advance(self.state_, X[self.warmup :])])

    def update(self, X: Any) -> FloatArray:
        """Scores (n,) of the items that come next, each before it is learnt."""
        check_is_fitted(self)
        return self._judged(self._advance(self.state_, self._check_input(X, reset=False)))

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn the items that come next; the first call is ``fit``."""
        if not hasattr(self, "state_"):
            return self.fit(X, y)
        self.update(X)
        return self

    def learn_one(self, x: Any) -> Self:
        """Learn the next item, of d values."""
        self._advance(self.state_, self._one(x))
        return self

    def score_one(self, x: Any) -> float:
        """Score of the next item, of d values, without learning it."""
        return float(self._judged(np.asarray(self._score(self._one(x))))[0])


class StreamDetector(Online):
    """Base of detectors of rows (d,) of finite numbers that come one after another.

    A subclass writes ``_start(X)`` and ``_run(state, X, learn)``. ``update(X)`` scores each row and
    then learns it; ``decision_function(X)`` scores each row by itself against what has been learnt
    so far, and teaches nothing.
    """

    def _run(self, state: Any, X: FloatArray, learn: bool) -> FloatArray:
        """Scores (n,) of the rows; where ``learn``, each is learnt before the next is scored.

        NaN where nothing can be said yet; such a row gets the score 0.
        """
        raise NotImplementedError

    def _advance(self, state: Any, X: FloatArray) -> FloatArray:
        return self._run(state, X, True)

    def _score(self, X: FloatArray) -> FloatArray:
        return self._judged(self._run(self.state_, X, False))

    def _training_scores(self, X: Any, scores: FloatArray | None) -> FloatArray:
        assert scores is not None
        return self._judged(scores)

    def _judged(self, scores: FloatArray) -> FloatArray:
        return np.where(np.isnan(scores), 0.0, scores)

    def _one(self, x: Any) -> FloatArray:
        row = np.asarray(x, dtype=np.float64).reshape(1, -1)
        owner = type(self).__name__
        if row.shape[1] != self.n_features_in_:
            raise ValueError(
                f"{owner}: a row must have {self.n_features_in_} values, got {row.shape[1]}"
            )
        if not np.isfinite(row).all():
            raise ValueError(f"{owner}: a row must hold finite numbers, got {x!r}")
        return row


def own_copy(state: Any) -> Any:
    """A copy of a state, to try what would come next."""
    return _mapped(lambda part: part.copy(), state)


def state_at(states: Any, slot: int) -> Any:
    """One of many states kept in arrays (s, …), a view of these."""
    return _mapped(lambda part: part[slot], states)


def _mapped(change: Callable[[Any], Any], state: Any) -> Any:
    """A state with each of its arrays changed."""
    if isinstance(state, np.ndarray):
        return change(state)
    parts = [_mapped(change, part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
