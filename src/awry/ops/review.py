"""Which event to ask about next, and the threshold that verdicts on events speak for."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.core.errors import DataError
from awry.core.inputs import UNLABELLED, FloatArray
from awry.core.threshold import FromFeedback
from awry.judge import Judge
from awry.ops.errors import ConflictError, UnfitError
from awry.ops.feedback import Feedback, Labelled
from awry.ops.lookup import Lookup
from awry.ops.models import Models
from awry.ops.store import Store
from awry.ops.tables import events

#: The newest events without a verdict that a question is chosen from.
CANDIDATES = 1_000
#: How far beyond the cut marked events are wanted, in standard deviations, and the pull towards
#: counting all columns alike, which takes dozens of verdicts to overcome.
MARGIN, PRIOR = 1.0, 20.0
#: The rate of false alarms wanted where a model's rule states none.
RATE = 0.01
#: Nobody has given a verdict, nor closed it; as a job does that finds it again.
_WAITING = sa.and_(events.c.verdict.is_(None), events.c.status != "resolved")


class Reviewing:
    """Questions about the events of a model, and what is learnt from the answers."""

    def __init__(self, store: Store, models: Models, feedback: Feedback) -> None:
        self._store, self._models, self._feedback = store, models, feedback
        self._lookup = Lookup(store)

    def waiting(self) -> dict[str, int]:
        """How many events of each model nobody has given a verdict on, by name."""
        left = (
            sa.select(events.c.model, sa.func.count().label("left"))
            .where(_WAITING)
            .group_by(events.c.model)
        )
        with self._store.read() as connection:
            found = {row.model: row.left for row in connection.execute(left)}
        return {one["name"]: found.get(one["name"], 0) for one in self._models.list()}

    def state(self, model: str) -> dict[str, Any]:
        """The next question about ``model``, None where none is left, and how far it has come.

        Of the events without a verdict it is the one with the highest score, counted by columns:
        those that people called false alarms for count less, those they confirmed for more.
        """
        self._models.version(model)
        marks = self._feedback.labelled(model)
        query = (
            sa.select(events.c.id, events.c.score, events.c.reasons)
            .where(events.c.model == model, _WAITING)
            .order_by(events.c.start.desc(), events.c.id.desc())
            .limit(CANDIDATES)
        )
        count = sa.select(sa.func.count()).where(events.c.model == model, _WAITING)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
            left: int = connection.scalar(count) or 0
        question = None
        if rows:
            best = rows[int(_ranked(rows, marks).argmax())]
            question = self._lookup.event(best.id)
        confirmed = int(marks.verdicts.sum())
        return {
            "model": model, "question": question, "left": left, "confirmed": confirmed,
            "false_alarms": len(marks.verdicts) - confirmed,
        }  # fmt: skip

    def answer(
        self, model: str, event: int, verdict: str, *, note: str = "", by: str
    ) -> dict[str, Any]:
        """Take a verdict on an event of ``model``, and give the next question."""
        asked = self._lookup.event(event)
        if asked["model"] != model:
            raise UnfitError(
                f"event {event} is not one of model {model!r}", field="event",
                remedy="answer the question of GET /review",
            )  # fmt: skip
        self._feedback.give(event, verdict, note=note, by=by)
        return self.state(model)

    def proposal(self, model: str, rate: float | None = None) -> dict[str, Any]:
        """The threshold that the verdicts on the champion's events speak for, and why.

        Parameters
        ----------
        rate : float, optional
            False alarms wanted at most, as a share of normal items; what the model's rule states by
            default.
        """
        return self._proposal(model, rate)[0]

    def apply(self, model: str, rate: float | None = None, *, by: str) -> dict[str, Any]:
        """Keep the champion with the proposed threshold as a new version, to be promoted."""
        proposed, judge = self._proposal(model, rate)
        if not proposed["marks"]:
            raise ConflictError(
                f"nobody gave a verdict on events of version {proposed['version']} of {model!r}",
                remedy="answer some questions of GET /review first",
            )
        about = {
            "made_from": {
                "version": proposed["version"], "by": "feedback", "marks": proposed["marks"],
                "reason": proposed["reason"],
            }
        }  # fmt: skip
        return self._models.add(model, judge, about=about, by=by)

    def _proposal(self, name: str, rate: float | None) -> tuple[dict[str, Any], Judge]:
        version, judge = self._models.load(name)
        marks = self._feedback.labelled(name, version)
        stated = judge.rule_.stated_rate_
        if rate is None:
            rate = stated if stated is not None and 0 < stated < 0.5 else RATE
        # What the model was trained on stands for the many items nobody was asked about.
        scores = np.concatenate([judge.train_scores_, marks.scores])
        y = np.concatenate([np.full(len(judge.train_scores_), UNLABELLED), marks.verdicts])
        try:
            set_anew = judge.with_threshold(FromFeedback(rate), scores, y)
        except DataError as error:
            raise UnfitError(str(error), field="model") from error
        rule = set_anew.rule_
        assert isinstance(rule, FromFeedback)
        confirmed = int(marks.verdicts.sum())
        proposed = {
            "model": name,
            "version": version,
            "rate": rate,
            "threshold": set_anew.threshold_,
            "was": judge.threshold_,
            "interval": list(rule.interval_),
            "reason": rule.reason_,
            "marks": len(marks.verdicts),
            "confirmed": confirmed,
            "false_alarms": len(marks.verdicts) - confirmed,
            "flagged": float(np.mean(judge.train_scores_ > set_anew.threshold_)),
            "flagged_before": float(np.mean(judge.train_scores_ > judge.threshold_)),
        }
        return proposed, set_anew


def _ranked(rows: Any, marks: Labelled) -> FloatArray:
    """Scores of events without a verdict, with columns counted as the verdicts on others say."""
    scores = np.array([row.score for row in rows], dtype=float)
    if not len(marks.verdicts) or not np.isfinite(scores).all():
        return scores
    from awry.detectors.discovery import reweigh

    place = {name: j for j, name in enumerate(marks.names)}
    shares = np.zeros((len(rows), len(place)))
    for i, row in enumerate(rows):
        for reason in row.reasons:
            if reason["column"] in place:
                shares[i, place[reason["column"]]] = reason["share"] or 0.0
    unit = float(np.std(np.concatenate([scores, marks.scores]))) or 1.0
    parts, told = _parts(shares, scores / unit), _parts(marks.features, marks.scores / unit)
    alike = np.ones(parts.shape[1])
    cut = float(np.median(np.concatenate([parts.sum(axis=1), told.sum(axis=1)])))
    weights = reweigh(told, marks.verdicts, alike, cut, margin=MARGIN, prior=PRIOR)
    return np.asarray(parts @ weights)


def _parts(shares: FloatArray, scores: FloatArray) -> FloatArray:
    """The part of each event's score in each column, and in none of them: shape (n, d + 1).

    Nowhere zero all through, so that every event can move.
    """
    rest = np.maximum(1.0 - shares.sum(axis=1), 0.0)
    sized = np.where(scores == 0, 1e-9, scores)
    return np.column_stack([shares, rest]) * sized[:, None]
