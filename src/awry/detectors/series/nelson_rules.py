"""Nelson's and Western Electric's rules: runs and zones that chance seldom makes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.online import own_copy
from awry.core.params import any_of, integer, nothing, option
from awry.core.series import BoolArray, OnlineDetector, Series, robust_moments
from awry.core.threshold import Threshold
from awry.kernels import control

#: Severity above which a rule is broken.
BROKEN = 3.0
#: Columns of the kernel's result that make a set of rules, and what each says.
RULES: dict[str, dict[int, str]] = {
    "nelson": {
        0: "a point beyond 3 standard deviations",
        1: "9 points in a row on one side of the center",
        2: "6 points in a row rising or falling",
        3: "14 points in a row alternating up and down",
        4: "2 of 3 points beyond 2 standard deviations on one side",
        5: "4 of 5 points beyond 1 standard deviation on one side",
        6: "15 points in a row within 1 standard deviation",
        7: "8 points in a row beyond 1 standard deviation",
    },
    "western_electric": {
        0: "a point beyond 3 standard deviations",
        4: "2 of 3 points beyond 2 standard deviations on one side",
        5: "4 of 5 points beyond 1 standard deviation on one side",
        1: "8 points in a row on one side of the center",
    },
}


class _State(NamedTuple):
    center: FloatArray
    scale: FloatArray
    last: FloatArray
    runs: FloatArray


class NelsonRules(OnlineDetector):
    """Patterns a control chart should not show: Nelson's eight rules or Western Electric's four.

    The severity of a rule rises to 3 as it comes near being broken and is above 3 where it is: for
    zones 3 plus the standard deviations beyond the zone (so a single point scores ``|z|`` beyond
    3), for runs 3 plus the logarithm of how much longer than asked for they are. A channel scores
    the severest; ``contamination="fixed:3"`` flags what breaks a rule.

    Parameters
    ----------
    rules : {"nelson", "western_electric"}, default="nelson"
    warmup : int or None, default=None
        See :class:`~awry.core.series.OnlineDetector`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    rules_ : list of str
        The rules in words, in their authors' order.
    state_ : named tuple of arrays
        ``center`` μ and ``scale`` σ of each channel, the ``last`` points and the ``runs``.

    Notes
    -----
    Departures: the papers know broken and not broken only; μ and σ are the median and the scaled
    median absolute deviation of the training points, which anomalies among them do not move.

    References
    ----------
    Nelson: "The Shewhart Control Chart - Tests for Special Causes", J. Quality Technology 1984;
    Western Electric: "Statistical Quality Control Handbook", 1956.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.r_[np.tile([9.0, 11.0, 10.0, 12.0, 8.0], 20), np.full(9, 10.5)]
    >>> model = NelsonRules().fit(x[:100])
    >>> broken = model.rules_broken(x[100:])
    >>> [model.rules_[i] for i in np.flatnonzero(broken[-1, 0])]
    ['9 points in a row on one side of the center']
    """

    card = Card(
        name="nelson_rules",
        summary="Points that complete a run or a pattern of zones which chance seldom makes.",
        modality="series",
        family="control charts",
        paper="Nelson, The Shewhart Control Chart - Tests for Special Causes, JQT",
        year=1984,
        fit_cost="O(T d)",
        score_cost="O(T d)",
        finds="large deviations, shifts, trends, alternation, too little or too much variation",
        misses="odd shapes; it takes every season for a pattern",
        online=True,
        univariate=True,
    )

    constraints = {"rules": option(*RULES), "warmup": any_of(nothing(), integer(2))}

    def __init__(
        self,
        rules: str = "nelson",
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.rules = rules
        self.warmup = warmup
        self.contamination = contamination

    @property
    def rules_(self) -> list[str]:
        return list(RULES[self.rules].values())

    def rules_broken(self, X: Any) -> BoolArray:
        """Which rules each of the points that come next breaks, shape (T, d, rules).

        Parameters
        ----------
        X : array-like of shape (T,) or (T, d)
        """
        check_is_fitted(self)
        points = self._check_input(X, reset=False)
        return self._severities(own_copy(self.state_), points) > BROKEN

    def _start(self, X: Series) -> _State:
        center, scale = robust_moments(X.values)
        last = np.full((len(center), 5), np.nan)
        return _State(center, scale, last, np.zeros_like(last))

    def _advance(self, state: _State, X: Series) -> FloatArray:
        return self._severities(state, X).max(axis=2)

    def _severities(self, state: _State, X: Series) -> FloatArray:
        found = np.empty((*X.values.shape, 8))
        values = np.ascontiguousarray(X.values)
        one_side = 9.0 if self.rules == "nelson" else 8.0
        control.run_rules(
            values, state.center, state.scale, one_side, state.last, state.runs, found
        )
        return found[:, :, list(RULES[self.rules])]
