"""What detectors share that expect a value of each point and say how far off it may be."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from awry.core.inputs import FloatArray
from awry.core.online import own_copy
from awry.core.series import OnlineDetector, Series, robust_moments

#: Least scale, as a share of the training points' own: after a quiet stretch not every ripple is
#: an anomaly.
LEAST_SCALE = 0.05


class Band(NamedTuple):
    """What is expected of each point and between which values it should lie; each (T, d)."""

    expected: FloatArray
    low: FloatArray
    high: FloatArray


class BandDetector(OnlineDetector):
    """Base of online detectors whose score is a distance from an expected value.

    A subclass writes ``_expect``. A channel scores ``(x - expected) / above`` over what is expected
    and ``(expected - x) / below`` under it.
    """

    #: Width of the band that is usual, in units of the score.
    usual_width: ClassVar[float] = 3.0

    def _expect(self, state: Any, X: Series) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Expected values and the units below and above them (T, d); learns the points."""
        raise NotImplementedError

    def _advance(self, state: Any, X: Series) -> FloatArray:
        return self._distance(X, *self._expect(state, X))

    def _continue(self, X: Series) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What is expected of the points that come next, without learning them."""
        return self._expect(own_copy(self.state_), X)

    def _score(self, X: Series) -> FloatArray:
        return self._distance(X, *self._continue(X))

    def _distance(
        self, X: Series, expected: FloatArray, below: FloatArray, above: FloatArray
    ) -> FloatArray:
        off = X.values - expected
        return np.abs(off) / np.where(off > 0, above, below)

    def band(self, X: Any, width: float | None = None) -> Band:
        """Expected values of the points that come next, and the band around them.

        Parameters
        ----------
        X : array-like of shape (T,) or (T, d)
            The points; what is expected of one depends on those before it. NaN where they are
            missing, all of them for a forecast.
        width : float or None, default=None
            Half the band, in units of the score: the points within score ``width`` at most. None
            takes 3, or 1 where the score's unit is a band already.
        """
        check_is_fitted(self)
        expected, below, above = self._continue(self._check_input(X, reset=False))
        width = self.usual_width if width is None else width
        return Band(expected, expected - width * below, expected + width * above)


class Window(NamedTuple):
    """The last points of each channel, by age and by size, as in :mod:`awry.kernels.sliding`."""

    ring: FloatArray
    ordered: FloatArray
    oldest: np.ndarray
    least: FloatArray


def full_window(X: Series, size: int) -> Window:
    """A window that holds quantiles of the points of ``X``, until new points have replaced them."""
    ordered = np.zeros((X.values.shape[1], size))
    for j, column in enumerate(X.values.T):
        known = column[~np.isnan(column)]
        if len(known):
            ordered[j] = np.quantile(known, (np.arange(size) + 0.5) / size)
    # In random order, so that they leave without moving the quantiles.
    order = np.random.default_rng(0).permutation(size)
    least = LEAST_SCALE * robust_moments(X.values).scale
    return Window(
        np.ascontiguousarray(ordered[:, order]), ordered, np.zeros(len(ordered), np.int64), least
    )
