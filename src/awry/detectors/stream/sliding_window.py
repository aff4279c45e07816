"""Sliding window: any detector of rows, fitted again and again to the latest of them."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from awry.core import registry
from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray
from awry.core.online import StreamDetector
from awry.core.params import (
    ParameterError,
    any_of,
    boolean,
    instance,
    integer,
    nothing,
    option,
    random_state,
)
from awry.core.threshold import Threshold

log = logging.getLogger(__name__)

#: A detector and the threshold rule that goes with its scores.
_Fitted = tuple[Detector, Threshold | None]


class _State(NamedTuple):
    ring: FloatArray
    clock: NDArray[np.int64]


class SlidingWindow(StreamDetector):
    """Rows that a detector finds odd which is fitted anew to the latest rows every so often.

    After every ``update_frequency`` rows a copy of ``detector`` is fitted to the ``window_size``
    latest. In the background a thread does so while the old one goes on judging; the new one takes
    over, with its threshold, ``update_frequency`` rows later. So scores depend on the rows alone,
    as long as a fit is quicker than so many rows are; ``late`` says what happens if it is not.

    Parameters
    ----------
    detector : str or Detector, default="isolation_forest"
        Any that judges new rows of a table and needs no labels.
    window_size : int, default=1000
        Rows that are remembered.
    update_frequency : int, default=250
        Rows from one fit to the next.
    background : bool, default=True
        Fit beside the stream. If not, the stream waits, and the new detector judges the next row.
    late : {"go_on", "wait"}, default="go_on"
        Where a fit in the background is not done when it should take over: the old one goes on for
        another ``update_frequency`` rows, so that the stream never stalls; or the stream waits, so
        that scores never depend on time.
    random_state : int, Generator or None, default=None
        Seed of each fit, where the detector has none of its own.
    warmup : int or None, default=None
        See :class:`~awry.core.online.Online`.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    detector_ : Detector
        The one that judges.
    state_ : named tuple of arrays
        ``ring`` (window_size + update_frequency, d), the latest rows, and the ``clock``: rows
        learnt, those of the first fit, and after which of them a fit in the background was begun,
        -1 for none.

    Notes
    -----
    A fit that was under way when the detector was saved is begun again when it goes on, from the
    same rows. One that fails is told in the log, and the old detector goes on.

    After a change of detectors scores are on the scale of the new one, and so is ``threshold_``,
    unless it was set by labels.

    References
    ----------
    Bifet & Gavaldà: "Learning from Time-Changing Data with Adaptive Windowing", SDM 2007, section
    2, on windows of fixed size.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(800, 3))
    >>> detector = SlidingWindow("hbos", window_size=300, update_frequency=100).fit(X)
    >>> detector.score_one([0.0, 0.0, 0.0]) < detector.score_one([0.0, 9.0, 0.0])
    True
    """

    card = Card(
        name="sliding_window",
        summary="Rows that a detector finds odd which is fitted anew to the latest of them.",
        modality="stream",
        family="combination",
        paper="Bifet & Gavaldà, Learning from Time-Changing Data with Adaptive Windowing, SDM",
        year=2007,
        fit_cost="a fit to window_size rows for every update_frequency",
        score_cost="that of its detector",
        finds="what its detector finds, by the rows of late",
        misses="what its detector misses; anomalies that fill a good part of the window",
        online=True,
        stochastic=True,
    )

    constraints = {
        "detector": any_of(instance(str), instance(Detector)),
        "window_size": integer(2),
        "update_frequency": integer(1),
        "background": boolean(),
        "late": option("go_on", "wait"),
        "random_state": random_state(),
        "warmup": any_of(nothing(), integer(2)),
    }
    transient = ("_pending",)
    in_state: ClassVar[bool] = False

    def __init__(
        self,
        detector: str | Detector = "isolation_forest",
        window_size: int = 1000,
        update_frequency: int = 250,
        background: bool = True,
        late: str = "go_on",
        random_state: int | np.random.Generator | None = None,
        warmup: int | None = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.detector = detector
        self.window_size = window_size
        self.update_frequency = update_frequency
        self.background = background
        self.late = late
        self.random_state = random_state
        self.warmup = warmup
        self.contamination = contamination

    # -- the path of the rows ---------------------------------------------------------------------

    def _start(self, X: FloatArray) -> _State:
        self.__dict__.pop("_pending", None)
        self.seed_ = self._seed()
        self.detector_ = self._learnt(X[-self.window_size :], None)[0]
        size = self.window_size + self.update_frequency
        first = min(len(X), self.window_size)
        return _State(np.zeros((size, X.shape[1])), np.array([0, first, -1]))

    def _run(self, state: _State, X: FloatArray, learn: bool) -> FloatArray:
        if not learn:
            return self.detector_.score_checked(X)
        out, at, step = np.empty(len(X)), 0, self.update_frequency
        self._resume(state)
        while at < len(X):
            part = slice(at, at + step - int(state.clock[0] % step))
            rows = X[part]
            out[part] = self.detector_.score_checked(rows)
            self._remember(state, rows)
            at += len(rows)
            if state.clock[0] % step == 0:
                self._turn(state)
        return out

    def _remember(self, state: _State, rows: FloatArray) -> None:
        places = (state.clock[0] + np.arange(len(rows))) % len(state.ring)
        state.ring[places] = rows
        state.clock[0] += len(rows)

    def _latest(self, state: _State, until: int) -> FloatArray:
        """The rows of the window that ended after ``until`` rows."""
        first = max(0, until - self.window_size)
        rows: FloatArray = state.ring[np.arange(first, until) % len(state.ring)]
        return rows

    # -- fits -------------------------------------------------------------------------------------

    def _turn(self, state: _State) -> None:
        """Every ``update_frequency`` rows: take over what was fitted, begin to fit again."""
        if state.clock[2] >= 0:
            if self.late == "go_on" and not self._pending.done():
                return
            self._take(self._pending)
            state.clock[2] = -1
        # A window that is not yet as long as what was first learnt from teaches less.
        if state.clock[0] < state.clock[1]:
            return
        if self.background:
            state.clock[2] = state.clock[0]
            self._begin(state)
        else:
            done: Future[_Fitted] = Future()
            try:
                done.set_result(
                    self._learnt(self._latest(state, int(state.clock[0])), self._mine())
                )
            except Exception as error:
                done.set_exception(error)
            self._take(done)

    def _begin(self, state: _State) -> None:
        rows = self._latest(state, int(state.clock[2]))
        thread = ThreadPoolExecutor(1, thread_name_prefix=self.card.name)
        self._pending = thread.submit(self._learnt, rows, self._mine())
        thread.shutdown(wait=False)

    def _resume(self, state: _State) -> None:
        """Begin again what was under way when this was saved, if its rows are still there."""
        if state.clock[2] < 0 or "_pending" in self.__dict__:
            return
        if state.clock[0] - state.clock[2] <= self.update_frequency:
            self._begin(state)
        else:
            state.clock[2] = -1

    def _take(self, fitted: Future[_Fitted]) -> None:
        self.__dict__.pop("_pending", None)
        try:
            self.detector_, rule = fitted.result()
        except Exception as error:
            log.warning("%s: a fit failed, the last detector goes on: %s", self.card.name, error)
            return
        if rule is not None:
            self.threshold_rule_, self.threshold_ = rule, float(rule.threshold_)
            self.labels_ = rule.predict(self.decision_scores_)

    def _mine(self) -> Threshold | None:
        """The rule to be fitted again; none before there is one, or where it needs labels."""
        rule: Threshold | None = getattr(self, "threshold_rule_", None)
        return None if rule is None or rule.needs_labels else rule

    def _learnt(self, rows: FloatArray, rule: Threshold | None) -> _Fitted:
        made = self._made().fit(rows)
        made.prepare()
        if rule is None:
            return made, None
        again: Threshold = clone(rule)
        return made, again.fit(made.decision_scores_, None)

    def _made(self) -> Detector:
        given = self.detector
        made: Detector = registry.create(given) if isinstance(given, str) else clone(given)
        card = made.card
        if not card.inductive or card.modality != "table" or card.supervision == "required":
            raise ParameterError(
                f"{type(self).__name__}: detector must judge new rows of a table without labels, "
                f"{card.name} does not"
            )
        if made.get_params(deep=False).get("random_state", 0) is None:
            made.set_params(random_state=self.seed_)
        return made

    def __getstate__(self) -> dict[str, Any]:
        # A thread cannot be pickled; it is begun again.
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_pending"}
