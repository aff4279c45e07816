"""ECOD on a sliding window: how far out in its tails each feature of a row lies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.online import StreamDetector
from awry.core.params import any_of, integer, nothing
from awry.core.threshold import Threshold
from awry.kernels import sorted_window as kernels


class _State(NamedTuple):
    ring: FloatArray
    ordered: FloatArray
    seen: IntArray


class StreamingECOD(StreamDetector):
    """Rows with features far out in the tails that they have had of late.

    The score is the sum over the features of ``-log p``, p being the share of the last ``window``
    values, the row's own among them, that lie as far to its side as the row's (equations 4 to 6
    of the paper, the larger of left and right in each feature, as its authors' code takes it).

    Parameters
    ----------
    window : int, default=1000
        Rows whose values are kept, in the order they came and sorted.
    warmup : int or None, default=None
        Rows at the start that are learnt but not judged.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        ``ring`` and ``ordered`` (d, window), the last values, and the rows ``seen``.

    Notes
    -----
    The paper scores a table; here the table is the window, exactly and not by a sketch, and the row
    is judged before it enters. Beyond all values seen the score no longer rises: it is at most
    ``d log(window + 1)``.

    A feature's share of the score is its own term.

    References
    ----------
    Li, Zhao, Hu, Botta, Ionescu & Chen: "ECOD: Unsupervised Outlier Detection Using Empirical
    Cumulative Distribution Functions", IEEE TKDE 2022.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> StreamingECOD().fit(X).explain([[0.0, 9.0, 0.0]]).values.round(1)
    array([[0.8, 6.2, 0.7]])
    """

    card = Card(
        name="streaming_ecod",
        summary="Rows with features far out in their tails of late.",
        modality="stream",
        family="density",
        paper="Li et al., ECOD, IEEE Transactions on Knowledge and Data Engineering",
        year=2022,
        fit_cost="O(n d w)",
        score_cost="O(d log w)",
        finds="values that are extreme in one feature or a little so in many",
        misses="odd combinations; how far beyond the extremes a value lies",
        online=True,
        univariate=True,
    )

    constraints = {"window": integer(2), "warmup": any_of(nothing(), integer(2))}

    def __init__(
        self,
        window: int = 1000,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.window = window
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: FloatArray) -> _State:
        shape = (X.shape[1], self.window)
        return _State(np.zeros(shape), np.zeros(shape), np.zeros(1, dtype=np.int64))

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        return self._terms(state, X, learn).sum(axis=1)

    def _terms(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        out = np.empty(X.shape)
        kernels.tails(X, state.ring, state.ordered, state.seen, learn, out)
        return out

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        return self._terms(self.state_, X, False), 0.0
