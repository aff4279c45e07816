"""Cascade: a fast detector sends its few suspects on to a thorough one."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.explain import Explanation
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import (
    ParameterError,
    any_of,
    instance,
    integer,
    listing,
    nothing,
    option,
    random_state,
    real,
)
from awry.core.stages import CascadeWarning, Stage, in_training
from awry.core.threshold import Threshold
from awry.detectors.compose import Committee, shares_of
from awry.detectors.scale import Scale

#: Rows that stage 2 takes at a time while the clock runs.
_SLICE = 512


class Cascade(Committee):
    """Rows that a fast detector suspects and a thorough one then finds odd.

    Stage 1 judges every row. Those above a cut, which leaves a share ``keep`` of the training rows,
    are judged by stage 2 as well. Both scores are brought to one scale, the negative log of the
    share of *all* training rows that go as far: for stage 1 those whose first score is as high, for
    stage 2 those that were sent on and whose second score is as high. A row that is not sent on
    keeps its first scaled score, one that is gets the weighted mean of both.

    No row that was sent on can so fall below one that was not, whatever stage 2 makes of it: at the
    cut both scales begin with the same value, -log ``keep``. Beyond it training rows are spread
    alike on both, so that the first can stand in for a second that is missing.

    Parameters
    ----------
    screen : str or Detector, default="isolation_forest"
        Stage 1, fast.
    judge : str or Detector, default="autoencoder"
        Stage 2, thorough.
    keep : float in (0, 1), default=0.1
        Share of the training rows above the cut. The cut is learnt in ``fit`` and fixed from then
        on: of other data it may leave more or fewer.
    weights : two floats, default=(0.3, 0.7)
        Of the scaled scores of stage 1 and stage 2.
    learn_from : {"calm", "all"}, default="calm"
        Whether stage 2 learns from the training rows that are not above the cut, which keeps most
        anomalies among them from teaching it, or from all: better where all are known to be normal.
    learn_rows : int or None, default=100_000
        Rows, drawn at random, that stage 2 learns from at most; None for all.
    budget_ms : float or None, default=None
        Milliseconds of wall time that stage 2 may take in a call; None for no limit. It begins with
        the rows stage 1 suspects most and what it has not judged by then keeps stage 1's answer.
        Fitting and explaining have no limit.
    random_state : int, Generator or None, default=None
    contamination : float, str, Threshold or None, default=None

    Attributes
    ----------
    members_ : list of Detector
        Both stages, fitted.
    cut_ : float
        A row is sent on when stage 1's score is above it.
    stages_ : list of :class:`~awry.core.stages.Stage`
        How many training rows each stage judged and learnt from, and its CPU seconds; stage 1
        learns and judges in one go.
    last_ : list of :class:`~awry.core.stages.Stage`
        The same of the last scoring.

    Notes
    -----
    Where stage 2 raises an error in scoring, gives a score that is not finite or overruns its
    budget, stage 1's answer stands, ``last_`` says for how many rows and why, and so does a
    :class:`~awry.core.stages.CascadeWarning`. An error in fitting is raised. A judge that is
    still at work when its time is over is left to end the slice of rows it is at, in a thread of
    its own.

    A row's score depends on that row alone, however data is cut, as long as there is no budget.

    References
    ----------
    Viola & Jones: "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001,
    section 4: stages of rising cost, the threshold of each set beforehand. Here the last two scores
    are blended, and both calibrated as in :class:`~awry.detectors.scale.Scale`.

    Examples
    --------
    >>> X = np.vstack([np.random.default_rng(0).normal(size=(400, 3)), [[6.0, -6.0, 6.0]]])
    >>> cascade = Cascade(judge="knn", random_state=0).fit(X)
    >>> int(cascade.decision_scores_.argmax()), [stage.rows for stage in cascade.stages_]
    (400, [401, 40])
    """

    card = Card(
        name="cascade",
        summary="Rows that a fast detector suspects and a thorough one then finds odd.",
        family="combination",
        paper="Viola & Jones, Rapid Object Detection using a Boosted Cascade, CVPR",
        year=2001,
        fit_cost="sum of its stages, the second on at most learn_rows rows",
        score_cost="that of its first stage, and a share keep of that of its second",
        finds="what its second stage finds, at little more than the cost of the first",
        misses="what its first stage does not suspect in the least",
        extra="deep",
        stochastic=True,
    )
    constraints = {
        "screen": any_of(instance(str), instance(Detector)),
        "judge": any_of(instance(str), instance(Detector)),
        "keep": real(0.0, 1.0, "()"),
        "weights": listing(real(0.0)),
        "learn_from": option("calm", "all"),
        "learn_rows": any_of(nothing(), integer(2)),
        "budget_ms": any_of(nothing(), real(0.0, closed="(]")),
        "random_state": random_state(),
    }

    def __init__(
        self,
        screen: str | Detector = "isolation_forest",
        judge: str | Detector = "autoencoder",
        *,
        keep: float = 0.1,
        weights: Sequence[float] = (0.3, 0.7),
        learn_from: str = "calm",
        learn_rows: int | None = 100_000,
        budget_ms: float | None = None,
        random_state: Any = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.screen = screen
        self.judge = judge
        self.keep = keep
        self.weights = weights
        self.learn_from = learn_from
        self.learn_rows = learn_rows
        self.budget_ms = budget_ms
        self.random_state = random_state
        self.contamination = contamination

    # -- fitting ----------------------------------------------------------------------------------

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        weights = np.asarray(self.weights, dtype=np.float64)
        if len(weights) != 2 or weights.sum() <= 0:
            raise ParameterError(
                f"Cascade: weights must be two numbers >= 0, not both 0, got {self.weights!r}"
            )
        self.weights_ = weights / weights.sum()
        self.members_ = self._members([self.screen, self.judge])
        screen, judge = self.members_
        before = time.process_time()
        first = screen.fit(X).decision_scores_
        between = time.process_time()
        # Of training scores no more than a share keep can lie above this one, ties included.
        self.cut_ = float(np.quantile(first, 1 - self.keep, method="higher"))
        sent = np.flatnonzero(first > self.cut_)
        learnt = self._to_learn(first)
        judge.fit(X[learnt])
        learning = time.process_time() - between
        second = judge._score_chunks(X[sent]) if len(sent) else judge.decision_scores_
        after = time.process_time()
        self.stages_ = [
            Stage(screen.card.name, len(X), between - before, learnt=len(X)),
            Stage(
                judge.card.name, len(sent), after - between - learning,
                learnt=len(learnt), learning_seconds=learning,
            ),
        ]  # fmt: skip
        self.last_ = list(self.stages_)
        # Where none lies above the cut for ties, the nearest to those that one day will are all.
        self.scales_ = [Scale("tail").fit(first), Scale("tail").fit(second)]
        whole = np.full(len(X), np.nan)
        whole[sent] = second[: len(sent)]
        return self._blend(first, whole).sum(axis=1)

    def _to_learn(self, first: FloatArray) -> IntArray:
        """The training rows that stage 2 learns from, by their first scores."""
        rows = np.flatnonzero((first <= self.cut_) | (self.learn_from == "all"))
        if self.learn_rows is None or len(rows) <= self.learn_rows:
            return rows
        return np.sort(self._rng().choice(rows, self.learn_rows, replace=False))

    # -- scoring ----------------------------------------------------------------------------------

    def _score_chunks(self, X: FloatArray) -> FloatArray:
        # A call is one passage with one budget; the stages cut what is long themselves.
        return self._score(X)

    def _score(self, X: FloatArray) -> FloatArray:
        return self._blend(*self._pass_through(X)).sum(axis=1)

    def score_within(self, X: FloatArray, seconds: float) -> tuple[FloatArray, bool]:
        """Scores of ``X``, finite and of the right width, where stage 2 has no more than so long.

        Returns
        -------
        scores : ndarray of shape (n,)
        short : bool
            Whether stage 1's answer stands for rows that stage 2 was to judge; no warning says so.
        """
        budget = 1e3 * seconds if self.budget_ms is None else min(self.budget_ms, 1e3 * seconds)
        first, second, stages = self._run(X, budget)
        return self._blend(first, second).sum(axis=1), stages[1].unjudged > 0

    def _contributions(self, X: FloatArray) -> tuple[FloatArray, float]:
        parts = self._blend(*self._pass_through(X))
        values = parts[:, :1] * shares_of(self.members_[0], 0.0, X)
        judged = np.flatnonzero(parts[:, 1])
        if len(judged):
            values[judged] += parts[judged, 1:] * shares_of(self.members_[1], 0.0, X[judged])
        return values, 0.0

    def explain(self, X: Any) -> Explanation:
        """Contributions of the features to the score of each row of ``X``, without a time limit."""
        with self._unhurried():
            return super().explain(X)

    @contextmanager
    def _unhurried(self) -> Iterator[None]:
        budget, self.budget_ms = self.budget_ms, None
        try:
            yield
        finally:
            self.budget_ms = budget

    def _blend(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """What each stage adds to the scores, (n, 2); ``second`` is NaN where it did not judge."""
        one, two = self.scales_
        floor = one.transform(np.array([self.cut_]))
        judged = ~np.isnan(second)
        parts = np.column_stack([one.transform(first), np.zeros(len(first))])
        parts[judged, 1] = floor + two.transform(second[judged])
        parts[judged] *= self.weights_
        return parts

    def _pass_through(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Scores of both stages, each (n,); the second NaN where there is none."""
        first, second, stages = self._run(X, self.budget_ms)
        # In place: scoring must not change what attributes a detector has.
        self.last_[:] = stages
        screen, judge = stages
        if judge.unjudged:
            warnings.warn(
                f"Cascade: {judge.detector} judged {judge.rows - judge.unjudged:,} of "
                f"{judge.rows:,} rows, {judge.reason}; for the others the answer of "
                f"{screen.detector} stands",
                CascadeWarning,
                stacklevel=4,
            )
        return first, second

    def _run(
        self, X: FloatArray, budget_ms: float | None
    ) -> tuple[FloatArray, FloatArray, list[Stage]]:
        """Scores of both stages, and what they did."""
        screen, judge = self.members_
        before = time.process_time()
        first = screen._score_chunks(X)
        sent = np.flatnonzero(first > self.cut_)
        # The most suspicious first: time may run out.
        sent = sent[np.argsort(-first[sent], kind="stable")]
        between = time.process_time()
        found, reason = self._judge(X[sent], budget_ms)
        found[~np.isfinite(found)] = np.nan
        second = np.full(len(X), np.nan)
        second[sent] = found
        missing = int(np.isnan(found).sum())
        after = time.process_time()
        if missing:
            reason = reason or "its scores are not finite"
        return first, second, [
            Stage(screen.card.name, len(X), between - before),
            Stage(judge.card.name, len(sent), after - between, missing, reason),
        ]  # fmt: skip

    def _judge(self, X: FloatArray, budget_ms: float | None) -> tuple[FloatArray, str]:
        """Stage 2's scores of ``X`` (m, d), NaN where it gave none, and why it did not."""
        scores, why = np.full(len(X), np.nan), [""]
        over = threading.Event()
        step = max(len(X), 1) if budget_ms is None else _SLICE

        def work() -> None:
            try:
                for start in range(0, len(X), step):
                    if over.is_set():
                        return
                    part = self.members_[1]._score_chunks(X[start : start + step])
                    scores[start : start + step] = part
            except Exception as error:  # whatever it is, stage 1 has an answer
                why[0] = f"which failed with {type(error).__name__}: {error}".splitlines()[0]

        if budget_ms is None:
            work()
        elif budget_ms <= 0:
            why[0] = "which had no time left"
        elif not _in_time(work, budget_ms / 1e3):
            over.set()
            why[0] = f"which ran over its {budget_ms:g} ms"
        return scores.copy(), why[0]

    @property
    def choice_(self) -> str:
        """What each stage did in training, in words."""
        return in_training(self.stages_)


def _in_time(work: Callable[[], None], seconds: float) -> bool:
    """Whether ``work``, begun in a thread of its own, ends within ``seconds``."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()
