"""Asking a person about rows, the one that helps most at a time, and learning from the answers."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from awry.core.errors import DataError
from awry.core.files import write_whole
from awry.core.inputs import UNLABELLED, FloatArray, IntArray
from awry.core.threshold import FromFeedback, Threshold
from awry.data.tables import as_table
from awry.model import Model
from awry.result import Reason

FORMAT, VERSION = "awry-review", 1
#: What can be said of a row, and the label it gives.
VERDICTS = {"anomaly": 1, "normal": 0, "skip": UNLABELLED}
CHOICES = ("greedy", "diverse")
#: Rows with the highest scores that a diverse question is chosen from.
CANDIDATES = 20
#: Answers in a row without an anomaly after which the ranking without marks is tried.
PATIENCE = 10
#: Parts the marks are cut in, to score each by a model that was not told it.
FOLDS = 10


class Question(NamedTuple):
    """A row to be judged.

    Attributes
    ----------
    row : int
        Its position, from 0.
    score : float
        By the model as re-weighted so far.
    reasons : list of Reason
        The columns that pushed its score up most.
    """

    row: int
    score: float
    reasons: list[Reason]


@dataclass
class Answer:
    """What was said of a row, and which rankings had proposed it: ``"start"``, ``"marks"``."""

    row: int
    verdict: str
    proposed_by: list[str] = field(default_factory=list)


class Review:
    """A session of questions about the rows of a table.

    The row asked about is the highest of those not judged yet, by the model as re-weighted by the
    answers so far, where its detector learns from marks (:class:`AADForest` and averaging
    :class:`Ensemble`), else by the model as it is. So that learning does no harm, the ranking
    without marks stays in the running: after ten answers without an anomaly a question is taken
    from the ranking whose questions were confirmed more often, each share drawn towards that of all
    questions by the weight of one; the re-weighted one in a tie.

    Parameters
    ----------
    model : Model
        Fitted; stays as it is.
    table : pyarrow.Table, DataFrame, array or list of dicts
        With the columns the model needs.
    choose : {"greedy", "diverse"}, default="greedy"
        ``"diverse"``: of the 20 highest rows the one least like those judged, which teaches most
        about what else there is.
    guard : bool, default=True
        Whether the ranking without marks stays in the running.

    Attributes
    ----------
    answers : list of Answer
    scores : ndarray of shape (n,)
        Of the rows, as re-weighted.

    References
    ----------
    Das et al.: "Incorporating Expert Feedback into Active Anomaly Discovery", ICDM 2016, for the
    greedy choice; "Active Anomaly Detection via Ensembles", 2018, for the diverse one.

    Examples
    --------
    >>> import awry
    >>> rows = [{"amount": 10.0 + i % 7, "hour": i % 24} for i in range(300)]
    >>> rows[100]["amount"] = 5000.0
    >>> model = awry.fit(rows, detector="aad_forest")
    >>> review = Review(model, rows)
    >>> question = review.next()
    >>> question.row, question.reasons[0].column
    (100, 'amount')
    >>> review.answer(question.row, "anomaly")
    >>> review.found
    1
    """

    def __init__(
        self, model: Any, table: Any, *, choose: str = "greedy", guard: bool = True
    ) -> None:
        if not isinstance(model, Model):
            raise DataError(
                f"a {type(model).__name__} cannot be reviewed row by row",
                remedy="give a model of a table; events of series are judged in the service",
            )
        if choose not in CHOICES:
            raise ValueError(f"choose must be one of {', '.join(CHOICES)}, got {choose!r}")
        self.start, self.choose, self.guard = model, choose, guard
        self.table: pa.Table = as_table(table)
        self.answers: list[Answer] = []
        self._X = model.encode(self.table)
        start = model.score(self.table)
        # What cells that training ruled out add does not change with marks.
        novel = model.encoder_.novelty(self.table).sum(axis=1)
        self._extra: FloatArray = model.novelty_step_ * novel
        self._start_scores = start
        scale = self._X.std(axis=0)
        self._places = self._X / np.where(scale > 0, scale, 1.0)
        self._learn()

    # -- asking -----------------------------------------------------------------------------------

    @property
    def labels(self) -> IntArray:
        """1 for rows called anomalies, 0 normal, -1 for the others: the ``y`` of ``fit``."""
        y = np.full(len(self._start_scores), UNLABELLED)
        for answer in self.answers:
            y[answer.row] = VERDICTS[answer.verdict]
        return y

    @property
    def found(self) -> int:
        """Anomalies found."""
        return int((self.labels == 1).sum())

    def next(self, k: int = 3) -> Question | None:
        """The next question, with up to ``k`` reasons; None when every row was judged."""
        proposals = self._proposals()
        if proposals is None:
            return None
        row = proposals[self._leading()]
        reasons = self.model_.reasons(self.table.slice(row, 1), k)[0]
        return Question(row, float(self.scores[row]), reasons)

    def answer(self, row: int, verdict: str) -> None:
        """Take what was said of ``row`` (from 0): ``"anomaly"``, ``"normal"`` or ``"skip"``."""
        if verdict not in VERDICTS:
            raise ValueError(f"verdict must be one of {', '.join(VERDICTS)}, got {verdict!r}")
        if not 0 <= row < len(self._start_scores):
            raise ValueError(f"row must be from 0 to {len(self._start_scores) - 1}, got {row!r}")
        if any(answer.row == row for answer in self.answers):
            raise ValueError(f"row {row} was judged already; undo goes back")
        proposals = self._proposals() or {}
        by = [name for name, proposed in proposals.items() if proposed == row]
        self.answers.append(Answer(int(row), verdict, by))
        if verdict != "skip":
            self._learn()

    def undo(self) -> int | None:
        """Take the last answer back; the row it was about, None where there was none."""
        if not self.answers:
            return None
        last = self.answers.pop()
        if last.verdict != "skip":
            self._learn()
        return last.row

    # -- what was learnt --------------------------------------------------------------------------

    def model(self, threshold: float | str | Threshold | None = None) -> Model:
        """The model as re-weighted, with a threshold set by the marks.

        Parameters
        ----------
        threshold : float, str, Threshold or None, default=None
            None: :class:`~awry.core.threshold.FromFeedback` at the rate the model's rule states,
            or 0.01. The marked rows take part with scores by models that were not told of them.
        """
        if threshold is None:
            stated = self.start.rule_.stated_rate_
            usable = stated is not None and 0 < stated < 0.5
            threshold = FromFeedback(stated if usable and stated is not None else 0.01)
        marked = np.flatnonzero(self.labels != UNLABELLED)
        settled = self.start
        if settled.learns and len(marked):
            settled = settled.reweighed(self._X[marked], self.labels[marked])
        return settled.with_threshold(threshold, self._honest_scores(), self.labels)

    def retrain(self, detector: str = "deep_sad", **settings: Any) -> Model:
        """A model of another kind, fitted on all rows and taught by the marks.

        Parameters
        ----------
        detector : str, default="deep_sad"
            One that takes labels for few rows.
        **settings
            Of :class:`~awry.model.Model`.
        """
        return Model(detector, **settings).fit(self.table, self.labels)

    def marks(self) -> pa.Table:
        """Rows judged, in the order of questions: ``row`` (from 1), ``label``, ``score``."""
        told = [a for a in self.answers if a.verdict != "skip"]
        rows = np.array([a.row for a in told], dtype=np.int64)
        return pa.table(
            {
                "row": rows + 1,
                "label": np.array([VERDICTS[a.verdict] for a in told], dtype=np.int64),
                "score": self.scores[rows],
            }
        )

    # -- sessions ---------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the answers to ``path`` as JSON, whole or not at all."""
        session = {
            "format": FORMAT,
            "version": VERSION,
            "rows": len(self._X),
            "fingerprint": self._fingerprint(),
            "answers": [vars(answer) for answer in self.answers],
        }
        write_whole(path, json.dumps(session, indent=1).encode())

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Take over the answers of a session that was saved for the same rows and model."""
        source = str(path)
        try:
            with open(path, encoding="utf-8") as file:
                session = json.load(file)
            if session["format"] != FORMAT or session["version"] != VERSION:
                raise DataError("is no session of a review of this version", source=source)
            same = (session["rows"], session["fingerprint"]) == (len(self._X), self._fingerprint())
            answers = [Answer(**answer) for answer in session["answers"]]
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise DataError("is no session of a review", source=source) from error
        if not same:
            raise DataError(
                "is a session about other rows, or of another model", source=source,
                remedy="give the file and the model it was begun with",
            )  # fmt: skip
        fine = all(
            isinstance(a.row, int) and 0 <= a.row < len(self._X) and a.verdict in VERDICTS
            for a in answers
        )
        if not fine or len({a.row for a in answers}) < len(answers):
            raise DataError("holds answers that cannot be", source=source)
        self.answers = answers
        self._learn()

    # -- inner workings ---------------------------------------------------------------------------

    def _learn(self) -> None:
        """Re-weight anew, by all marks; the same marks give the same model."""
        self.model_ = self._told(np.flatnonzero(self.labels != UNLABELLED))
        self.scores = self._scored(self.model_, slice(None))

    def _told(self, rows: IntArray) -> Model:
        """The model as it is when told of the verdicts on ``rows``, its threshold left alone."""
        if not self.start.learns or not len(rows):
            return self.start
        return self.start.reweighed(self._X[rows], self.labels[rows], settle=False)

    def _scored(self, model: Model, rows: Any) -> FloatArray:
        if model is self.start:
            return self._start_scores[rows]
        return model.detector_.decision_function(self._X[rows]) + self._extra[rows]

    def _honest_scores(self) -> FloatArray:
        """Scores of all rows, those of marked ones by models told of the other marks only."""
        scores = self.scores.copy()
        marked = np.array([a.row for a in self.answers if a.verdict != "skip"], dtype=np.int64)
        if self.start.learns:
            for fold in range(min(FOLDS, len(marked))):
                held = marked[fold::FOLDS]
                scores[held] = self._scored(self._told(np.setdiff1d(marked, held)), held)
        return scores

    def _proposals(self) -> dict[str, int] | None:
        """The row each ranking would ask about."""
        asked = np.array([a.row for a in self.answers], dtype=np.int64)
        if len(asked) == len(self._X):
            return None
        start, now = self._start_scores.copy(), self.scores.copy()
        start[asked] = now[asked] = -np.inf
        first = int(start.argmax())
        if self.choose == "diverse" and len(asked):
            return {"start": first, "marks": self._farthest(now, asked)}
        return {"start": first, "marks": int(now.argmax())}

    def _farthest(self, scores: FloatArray, asked: IntArray) -> int:
        """The row among the highest that is farthest from any asked about."""
        k = min(CANDIDATES, len(scores) - len(asked))
        top = np.argsort(-scores, kind="stable")[:k]
        apart = self._places[top][:, None, :] - self._places[asked][None, :, :]
        return int(top[(apart**2).sum(axis=2).min(axis=1).argmax()])

    def _leading(self) -> str:
        """The re-weighted ranking; in a drought the one whose proposals were confirmed more."""
        told = [a for a in self.answers if a.verdict != "skip"]
        drought = not any(a.verdict == "anomaly" for a in told[-PATIENCE:])
        if not self.guard or len(told) < PATIENCE or not drought:
            return "marks"
        expected = (self.found + 1) / (len(told) + 2)
        share = {}
        for name in ("start", "marks"):
            own = [a.verdict == "anomaly" for a in told if name in a.proposed_by]
            share[name] = (sum(own) + expected) / (len(own) + 1)
        return "start" if share["start"] > share["marks"] else "marks"

    def _fingerprint(self) -> str:
        """Of the rows as encoded and their first scores: the same for the same data and model."""
        digest = hashlib.sha256(np.ascontiguousarray(self._X).tobytes())
        digest.update(np.round(self._start_scores, 9).tobytes())
        return digest.hexdigest()
