"""A threshold that follows the scores of a stream, but not an attack."""

from __future__ import annotations

from typing import Any

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.params import Configurable, any_of, integer, nothing, real
from awry.core.threshold import make_threshold

#: Scores taken in at a time: an incident is seen, and left out, as a block.
BLOCK = 100


class OnlineThreshold(Configurable):
    """Any threshold rule on the latest scores, renewed as they come.

    Scores come in blocks of 100. The rule is fitted to the ``window`` latest once ``first`` are
    there, and again after every ``every``; the threshold goes a share ``smoothing`` of the way to
    the new one. When more than ``freeze`` of a block is flagged an incident begins, which ends with
    a block of which half as many are. Its scores teach the threshold nothing, so that an attack is
    not learnt to be normal. What lasts longer than ``patience`` scores is the new normal and is
    learnt. Whatever way the scores are cut into
    batches, decisions are the same.

    Parameters
    ----------
    rule : float, str, Threshold or None, default="adaptive:0.001"
        See :func:`~awry.core.threshold.make_threshold`; the severer levels are its excess over the
        median doubled and trebled.
    window, first, every, patience : int
    smoothing, freeze : float
    most : float, default=0.05
        Share of the window's scores that are flagged at most.
    low, high : float, optional
        Bounds of the threshold.

    Attributes
    ----------
    threshold_ : float
        Infinite before the first ``first`` scores.
    frozen_ : int
        Scores for which an incident has lasted; 0 outside of one.
    """

    constraints = {
        "window": integer(BLOCK),
        "first": integer(BLOCK),
        "every": integer(BLOCK),
        "patience": integer(0),
        "smoothing": real(0.0, 1.0, "(]"),
        "freeze": real(0.0, 1.0, "(]"),
        "most": real(0.0, 0.5, "(]"),
        "low": any_of(nothing(), real()),
        "high": any_of(nothing(), real()),
    }

    def __init__(
        self,
        rule: Any = "adaptive:0.001",
        window: int = 5_000,
        first: int = 500,
        every: int = 5_000,
        smoothing: float = 0.5,
        freeze: float = 0.1,
        patience: int = 20_000,
        most: float = 0.05,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        self.rule = rule
        self.window = window
        self.first = first
        self.every = every
        self.smoothing = smoothing
        self.freeze = freeze
        self.patience = patience
        self.most = most
        self.low = low
        self.high = high

    def start(self) -> OnlineThreshold:
        """Forget all scores."""
        self.check_params()
        make_threshold(self.rule)
        self.threshold_, self.middle_ = np.inf, 0.0
        self.ring_ = np.empty(self.window)
        self.taken_ = self.due_ = self.frozen_ = 0
        self.due_ = max(self.first, BLOCK)
        self.block_, self.filled_ = np.empty(BLOCK), 0
        return self

    def decide(self, scores: FloatArray) -> IntArray:
        """Severities (n,) of the scores that come next: 0 to 3; NaN is no anomaly, and not learnt.

        Parameters
        ----------
        scores : ndarray of shape (n,)
        """
        severity = np.zeros(len(scores), dtype=np.int64)
        judged = np.flatnonzero(~np.isnan(scores))
        at = 0
        while at < len(judged):
            some = judged[at : at + BLOCK - self.filled_]
            part = scores[some]
            severity[some] = self._severity(part)
            self.block_[self.filled_ : self.filled_ + len(part)] = part
            self.filled_ += len(part)
            at += len(part)
            if self.filled_ == BLOCK:
                self._end_block()
        return severity

    def _severity(self, scores: FloatArray) -> IntArray:
        cut = self.threshold_
        if not np.isfinite(cut):
            return np.zeros(len(scores), dtype=np.int64)
        step = max(cut - self.middle_, 1e-12)
        levels = np.array([cut, cut + step, cut + 2 * step])
        return np.searchsorted(levels, scores, side="left")

    def _end_block(self) -> None:
        self.filled_ = 0
        share = float((self.block_ > self.threshold_).mean())
        # Once begun it ends with far fewer: an attack that wavers is not learnt by and by.
        if share <= (self.freeze / 2 if self.frozen_ else self.freeze):
            self.frozen_ = 0
        elif self.frozen_ < self.patience:
            self.frozen_ += BLOCK
            return
        at = (self.taken_ + np.arange(BLOCK)) % self.window
        self.ring_[at] = self.block_
        self.taken_ += BLOCK
        if self.taken_ >= self.due_:
            self._renew()

    def _renew(self) -> None:
        scores = self.ring_[: min(self.taken_, self.window)]
        found = float(make_threshold(self.rule).fit(scores, None).threshold_)
        # What more do than this is not odd, whatever a law fitted to the tail says.
        found = max(found, float(np.quantile(scores, 1.0 - self.most, method="higher")))
        if np.isfinite(self.threshold_):
            found = self.threshold_ + self.smoothing * (found - self.threshold_)
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        self.threshold_ = float(min(max(found, low), high))
        self.middle_ = float(np.median(scores))
        # Early on the scores are few and it is worth while to look again soon.
        self.due_ = self.taken_ + min(self.taken_, self.every)
