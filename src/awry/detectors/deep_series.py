"""What all network detectors of series share: windows in, scores of points out."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, boolean, integer, nothing, option
from awry.core.series import Series, SeriesDetector
from awry.core.windows import Overlap, blind, starts, windows
from awry.detectors.deep import DeepDetector, Training
from awry.detectors.series._windows import window_length

#: Least and most points in a window that is chosen for want of another.
_FEWEST, _MOST = 8, 64
#: Numbers in the windows that are scored at a time.
_CELLS = 1 << 16


class SeriesTraining(Training, total=False):
    """The parameters that every network detector of series has."""

    window: int | None
    stride: int
    spread: str
    causal: bool


class DeepSeriesDetector(DeepDetector, SeriesDetector):
    """Base of the network detectors of series.

    A subclass writes ``_build(d)``, which returns a :class:`~awry.nn.network.Network` for windows
    (n, ``window_``, d) of standardised channels. Its ``terms``, of the same shape and >= 0, say how
    odd each value in a window is; the score of a point is what the windows that cover it say of
    it, and what they say of its channels are the contributions.

    Parameters
    ----------
    window : int or None, default=None
        Points in a window; None takes the dominant period, or 32 where there is none, but no more
        than 64.
    stride : int, default=1
        Points from one window's start to the next, in learning and in scoring.
    spread : {"mean", "max", "centre"}, default="mean"
        How windows' scores become points': see :class:`~awry.core.windows.Overlap`.
    causal : bool, default=False
        Whether the score of a point is what the window that ends at it says of it, so that what
        comes later does not change it. Every window is then scored, whatever the stride.
    **training

    Attributes
    ----------
    window_ : int
    """

    _steps = 2_000
    _passes = (3, 100)
    _items = "windows of {d} channels"
    _instead = "sub_pca"
    #: What is done to the scores of windows' steps that an exported file does not do.
    _left_out = "what spreads the score of a window over its points"
    constraints = {
        "window": any_of(nothing(), integer(4)),
        "stride": integer(1),
        "spread": option("mean", "max", "centre"),
        "causal": boolean(),
    }

    def __init__(
        self,
        *,
        window: int | None = None,
        stride: int = 1,
        spread: str = "mean",
        causal: bool = False,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.window = window
        self.stride = stride
        self.spread = spread
        self.causal = causal

    # -- fitting ----------------------------------------------------------------------------------

    def _fit(self, X: Series, y: IntArray | None) -> None:  # type: ignore[override]
        self.window_ = window_length(X, self.window)
        if self.window is None:
            self.window_ = min(max(min(self.window_, _MOST), _FEWEST), len(X))
        values, holes = X.filled(causal=self.causal)
        self._measure(values)
        first = starts(len(X), self.window_, self.stride)
        judged = first[~blind(holes, self.window_, self.stride)]
        self._train(_Windows(values, self.window_, judged if len(judged) else first))

    # -- scoring ----------------------------------------------------------------------------------

    @property
    def _unjudged_steps(self) -> int:
        """Steps at the start of a window of which the network says nothing."""
        return 0

    def _score(self, X: Series) -> FloatArray:  # type: ignore[override]
        return self._terms(X).sum(axis=1)

    def _terms(self, X: Series, judge: Any = None) -> FloatArray:
        """What each channel adds to the score of each point, (T, d); NaN where none can judge.

        ``judge`` says it of windows, the network's ``terms`` by default.
        """
        if len(X) < self.window_:
            return np.full_like(X.values, np.nan)
        stride, how = (1, "last") if self.causal else (self.stride, self.spread)
        values, holes = X.filled(causal=self.causal)
        judged = ~blind(holes, self.window_, stride)
        first = starts(len(X), self.window_, stride)[judged]
        skipped = self._unjudged_steps
        overlap = Overlap(len(X) - skipped, self.window_ - skipped, stride, how)
        size = max(_CELLS // (self.window_ * values.shape[1]), 1)
        for start in range(0, len(first), size):
            part = first[start : start + size]
            found = self._apply(judge or self.network_.terms, _Windows(values, self.window_, part))
            overlap.add(part, found[:, skipped:])
        terms = np.full_like(X.values, np.nan)
        terms[skipped:] = overlap.result()
        return terms

    def _contributions(self, X: Series) -> tuple[FloatArray, FloatArray | float]:  # type: ignore[override]
        terms = self._terms(X)
        even = self.neutral_ / terms.shape[1]
        return np.where(np.isnan(terms), even, terms), 0.0

    # -- export -----------------------------------------------------------------------------------

    def _item_shape(self) -> tuple[int, ...]:
        return (self.window_, self.n_features_in_)

    def _export_facts(self) -> dict[str, Any]:
        return {"window": self.window_, "left_out": self._left_out}

    def _check_items(self, rows: Any) -> FloatArray:
        found = np.asarray(rows, dtype=np.float64)
        if found.ndim != 3 or found.shape[1:] != self._item_shape():
            raise ValueError(
                f"{type(self).__name__}: rows must be windows (n, {self.window_}, "
                f"{self.n_features_in_}), got the shape {found.shape}"
            )
        return found


class _Windows:
    """The windows of ``values`` (T, d) that start at ``first``, cut when they are taken."""

    def __init__(self, values: FloatArray, length: int, first: IntArray) -> None:
        self.view, self.first = windows(values, length), first

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: Any) -> FloatArray:
        cut: FloatArray = self.view[self.first[rows]]
        return cut
