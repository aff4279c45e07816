"""Novelty: recent statistics that resemble nothing the series has shown so far."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, integer, listing, nothing
from awry.core.series import OnlineDetector, Series
from awry.core.threshold import Threshold
from awry.kernels import novelty as kernels


class _State(NamedTuple):
    pasts: tuple[kernels.Past, ...]
    kept: FloatArray
    clock: IntArray


class Novelty(OnlineDetector):
    """Points where recent level, spread and extremes resemble nothing seen so far.

    Each point is described by the mean, standard deviation, maximum, minimum and range of the
    windows that end at it, in units of their standard deviation so far. Its distance to the nearest
    description at least half the longest window older is taken for several sets of windows; the
    score is the geometric mean of one plus the distances, less one. What has happened once is known
    from then on.

    Parameters
    ----------
    windows : list of lists of int, default=((2, 8, 32, 128), (2, 16))
        Lengths of the windows of each set: one set looks at all scales, one close by.
    quiet : int, default=100
        A score that does not exceed those of as many points before is 0: one event raises one
        alarm. 0 keeps all scores.
    capacity : int, default=10000
        Points remembered; the cost of a point grows with it.
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    state_ : named tuple of arrays
        What is remembered.

    References
    ----------
    The distance to the nearest neighbour of Ramaswamy, Rastogi & Shim, SIGMOD 2000, in one pass as
    Angiulli & Fassetti: "Detecting Distance-based Outliers in Streams of Data", CIKM 2007.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(900) / 5)
    >>> x[600:620] += 3.0
    >>> int(Novelty(warmup=200).fit(x).decision_scores_[:610].argmax())
    600
    """

    card = Card(
        name="novelty",
        summary="Points where recent statistics resemble nothing the series has shown so far.",
        modality="series",
        family="shape",
        paper="Angiulli & Fassetti, Detecting Distance-based Outliers in Streams of Data, CIKM",
        year=2007,
        fit_cost="O(T capacity d)",
        score_cost="O(T capacity d)",
        finds="the onset of levels, spreads, spikes and flat stretches that are new",
        misses="odd shapes of ordinary level and spread; what has occurred before",
        online=True,
        min_rows=2,
    )

    constraints = {
        "windows": listing(listing(integer(2))),
        "quiet": integer(0),
        "capacity": integer(2),
        "warmup": any_of(nothing(), integer(2)),
    }

    def __init__(
        self,
        windows: tuple[tuple[int, ...], ...] = ((2, 8, 32, 128), (2, 16)),
        quiet: int = 100,
        capacity: int = 10_000,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.windows = windows
        self.quiet = quiet
        self.capacity = capacity
        self.warmup = warmup
        self.contamination = contamination

    def _start(self, X: Series) -> _State:
        d = X.values.shape[1]
        pasts = tuple(
            kernels.past(d, tuple(windows), max(self.capacity, 2 * max(windows)))
            for windows in self.windows
        )
        return _State(pasts, np.zeros((d, self.quiet)), np.zeros(d, dtype=np.int64))

    def _advance(self, state: _State, X: Series) -> FloatArray:
        values = np.ascontiguousarray(X.values)
        total, known = np.zeros_like(values), np.zeros_like(values)
        for windows, past in zip(self.windows, state.pasts, strict=True):
            found = np.empty_like(values)
            kernels.distances(values, np.array(windows), past, found)
            judged = ~np.isnan(found)
            total[judged] += np.log1p(found[judged])
            known += judged
        scores = np.where(known > 0, np.expm1(total / len(self.windows)), np.nan)
        if not self.quiet:
            return scores
        kept = np.empty_like(scores)
        kernels.records(scores, state.kept, state.clock, kept)
        return kept
