"""Everything that turns the rows of a table into scores, decisions and reasons, as one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from awry.core import progress
from awry.core.calibration import TailProbability
from awry.core.detector import Detector
from awry.core.errors import DataError, no_such
from awry.core.events import find_events
from awry.core.explain import Explanation
from awry.core.inputs import FloatArray, IntArray, check_labels
from awry.core.params import any_of, instance, integer, listing, nothing, option
from awry.core.threshold import Threshold, make_threshold
from awry.data.context import Context, choose_context
from awry.data.encode import TableEncoder
from awry.data.serve import Encoded, RowEncoder
from awry.data.values import key_codes
from awry.judge import Judge
from awry.result import Reason, Result

#: Groups with fewer rows are judged by the shared detector.
MIN_GROUP_ROWS = 200
#: Tables of no more rows are judged as a service judges requests, which is quicker.
FEW_ROWS = 64
#: Part of the strongest reason that another must have to be told.
MIN_REASON = 0.1
#: Rows drawn in the two-dimensional picture.
MAX_PROJECTED = 3_000


class RowScores(NamedTuple):
    """Scores of rows (n,), what the rows were encoded as, and whether time was short."""

    scores: FloatArray
    encoded: Encoded
    degraded: bool


class Model(Judge):
    """Everything that turns rows of a table into scores, decisions and reasons.

    Parameters
    ----------
    detector : str or Detector, default="auto"
        A registered name or an unfitted detector.
    params : dict, optional
        Parameters of a detector given by name.
    threshold : float, str, Threshold or None, default=None
        How scores become decisions, see :func:`~awry.core.threshold.make_threshold`.
    context : list of str, "auto" or None, default=None
        Columns a row is judged against: what counts is how odd the others are, given these.
    by : list of str or None, default=None
        Key columns: each combination of their values has a detector of its own; groups with fewer
        than 200 rows share one fitted on all rows.
    kinds : dict, optional
        What columns are, where the profile's guess is wrong: ``{"zip": "category"}``.
    ignore : list of str, optional
        Columns not to look at.
    random_state : int, default=0

    Attributes
    ----------
    encoder_ : TableEncoder
    detector_ : Detector
        Fitted on all rows.
    groups_ : dict of str to Detector
        Detectors of the groups, with ``by``.
    threshold_ : float
    rule_ : Threshold
    """

    #: What is made anew of the encoder when it is needed.
    transient = ("row_encoder",)
    constraints = {
        "detector": any_of(instance(str), instance(Detector)),
        "params": any_of(nothing(), instance(dict)),
        "context": any_of(nothing(), option("auto"), listing(instance(str))),
        "by": any_of(nothing(), listing(instance(str))),
        "kinds": any_of(nothing(), instance(dict)),
        "ignore": any_of(nothing(), listing(instance(str))),
        "random_state": any_of(nothing(), integer(0)),
    }

    def __init__(
        self,
        detector: str | Detector = "auto",
        params: dict[str, Any] | None = None,
        threshold: float | str | Threshold | None = None,
        context: list[str] | str | None = None,
        by: list[str] | None = None,
        kinds: dict[str, str] | None = None,
        ignore: list[str] | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.detector = detector
        self.params = params
        self.threshold = threshold
        self.context = context
        self.by = by
        self.kinds = kinds
        self.ignore = ignore
        self.random_state = random_state

    # -- fitting ----------------------------------------------------------------------------------

    def fit(self, table: pa.Table, y: Any = None) -> Self:
        """Learn from ``table``; ``y`` (n,) holds 1, 0 or -1 for detectors and rules that use it."""
        self.check_params()
        self.__dict__.pop("row_encoder", None)
        by, named = self.by or [], self.context if isinstance(self.context, list) else []
        _require(table, [*by, *named, *(self.ignore or [])])
        labels = None if y is None else check_labels(y, table.num_rows, "fit")
        progress.report("encode", 0, 1)
        looked_at = [c for c in table.column_names if c not in {*by, *(self.ignore or [])}]
        # What is left of a code once its context is taken off would be no code.
        codes = not named and self._takes_codes()
        self.encoder_ = TableEncoder(kinds=self.kinds, codes=codes).fit(table.select(looked_at))
        context = named
        if self.context == "auto":
            context = choose_context(table, {p.name: p.kind for p in self.encoder_.profiles_})
        if context:
            judged = [c for c in looked_at if c not in context]
            self.encoder_ = TableEncoder(kinds=self.kinds).fit(table.select(judged))
        self.id_columns_ = [*by, *self.encoder_.id_columns_]
        self.time_column_ = self.encoder_.time_column_
        self.context_ = None
        X = self.encoder_.transform(table)
        if context:
            self.context_ = Context(context).fit(table, X)
            X = self.context_.residuals(table, X)
        progress.report("encode", 1, 1)
        if X.shape[1] == 0 and len(table) == 1:
            raise DataError("holds one row", remedy="give the rows to compare it with")
        if X.shape[1] == 0:
            raise DataError(
                "no column can be judged: all are identifiers, constant or empty",
                remedy="name what a column is with --kind column=number (or category, time)",
            )
        rule = make_threshold(self.threshold)
        contamination = None if rule.needs_labels or by else self.threshold
        detector = self._new_detector(contamination)
        if labels is None and (rule.needs_labels or detector.card.supervision == "required"):
            raise DataError(
                "no labels to learn from, which the detector or the threshold needs",
                remedy="name their column with --label COLUMN",
            )
        self.detector_ = detector.fit(X, labels)
        self.groups_: dict[str, Detector] = {}
        self.tails_: dict[str, TailProbability] = {}
        scores = self.detector_.decision_scores_
        if by:
            scores = self._fit_groups(X, table, labels)
        self.train_scores_ = scores
        self._set_cuts(rule, scores, labels)
        # A detector has learnt nothing of what never varied. One such cell lifts an ordinary row
        # to the threshold of the second severity.
        self.novelty_step_ = float(max(self.cuts_[1] - np.median(scores), 0.0))
        return self

    def learn(self, table: pa.Table) -> Self:
        """A model that has learnt the rows of ``table`` besides; this one stays as it is.

        For detectors with ``partial_fit``. The threshold is set anew, by the scores that the rows
        have before they are learnt.
        """
        other = deepcopy(self)
        update = getattr(other.detector_, "update", None)
        if update is None or self.by:
            raise DataError(f"{self.detector_.card.name} cannot learn row after row")
        scores = update(other.encode(table))
        other.train_scores_ = scores
        other._set_cuts(make_threshold(self.threshold), scores, None)
        return other

    def _takes_codes(self) -> bool:
        """Whether the detector has embeddings for categories, and is not told which there are."""
        params = super()._new_detector(None).get_params(deep=False)
        return "categories" in params and params["categories"] is None

    def _new_detector(self, contamination: Any) -> Detector:
        made = super()._new_detector(contamination)
        codes = self.encoder_.code_columns_
        return made.set_params(categories=codes) if codes else made

    def _fit_groups(self, X: FloatArray, table: pa.Table, y: IntArray | None) -> FloatArray:
        """One detector per group; scores of different detectors are compared by their tails."""
        if not self.detector_.card.inductive:
            raise DataError(
                f"{self.detector_.card.name} judges only what it is fitted on",
                remedy="choose an inductive detector for --by",
            )
        self.tails_[""] = TailProbability().fit(self.detector_.decision_scores_)
        scores = self._surprise("", self.detector_.decision_scores_)
        for key, rows in progress.track("groups", self._split(table)):
            if len(rows) >= MIN_GROUP_ROWS:
                labels = None if y is None else y[rows]
                one = self._new_detector(None).fit(X[rows], labels)
                self.groups_[key] = one
                self.tails_[key] = TailProbability().fit(one.decision_scores_)
                scores[rows] = self._surprise(key, one.decision_scores_)
        return scores

    def _surprise(self, key: str, scores: FloatArray) -> FloatArray:
        return -np.log10(self.tails_[key].transform(scores))

    def _split(self, table: pa.Table) -> list[tuple[str, IntArray]]:
        """Rows of each group, by the group's key."""
        keys = _keys(table, self.by or [])
        order = np.argsort(keys, kind="stable")
        names, starts = np.unique(keys[order], return_index=True)
        return list(zip(map(str, names), np.split(order, starts[1:]), strict=True))

    # -- scoring ----------------------------------------------------------------------------------

    def score(self, table: pa.Table) -> FloatArray:
        """Scores of the rows of ``table``, shape (n,)."""
        if len(table) <= FEW_ROWS and self.by_rows and _is_plain(table):
            names = self.row_encoder.names
            _require(table, names)
            return self.score_columns({c: table[c].to_pylist() for c in names}).scores
        return self._learnt_score(table) + self.novelty_step_ * self._novelty(table).sum(axis=1)

    @property
    def by_rows(self) -> bool:
        """Whether :meth:`score_columns` can judge: rows need neither a context nor a group."""
        return not self.by and self.context_ is None

    @cached_property
    def row_encoder(self) -> RowEncoder:
        """The encoder, laid out for few rows at a time."""
        return RowEncoder(self.encoder_)

    def prepare(self) -> None:
        """Lay the encoder and the detector out for few rows, and compile what is compiled."""
        if self.by_rows and self.detector_.card.inductive:
            width = len(self.encoder_.feature_names_)
            assert self.row_encoder is not None
            self.detector_.prepare()
            for n in (1, 1_000):
                self.detector_.score_checked(np.zeros((n, width)))

    def score_columns(
        self,
        columns: Mapping[str, Sequence[Any]],
        numbers: FloatArray | None = None,
        *,
        seconds: float | None = None,
    ) -> RowScores:
        """Scores of a few rows, quickly, and what became of them on the way.

        Parameters
        ----------
        columns, numbers
            As :meth:`~awry.data.serve.RowEncoder.encode` takes them.
        seconds : float, optional
            The time there is, for detectors that can do with less: those with a method
            ``score_within(X, seconds)``, which returns scores and whether it left something out.
        """
        encoded = self.row_encoder.encode(columns, numbers)
        degraded, within = False, getattr(self.detector_, "score_within", None)
        if seconds is None or within is None:
            scores = self.detector_.score_checked(encoded.X)
        else:
            scores, degraded = within(encoded.X, seconds)
        scores = scores + self.novelty_step_ * encoded.novel.sum(axis=1)
        return RowScores(scores, encoded, bool(degraded))

    @property
    def learns(self) -> bool:
        """Whether the detector learns from marks, see :meth:`reweighed`."""
        return not self.by and hasattr(self.detector_, "feedback")

    def reweighed(self, X: FloatArray, y: IntArray, *, settle: bool = True) -> Self:
        """A model that has learnt from marks on encoded rows too; this one stays as it is.

        Parameters
        ----------
        X : ndarray of shape (k, d)
            As :meth:`encode` gives them.
        y : ndarray of shape (k,)
            1 anomaly, 0 normal.
        settle : bool, default=True
            Whether to set the threshold on the new scores, by the same rule, or by the default one
            where that needs labels of all rows. It takes longer than the learning.
        """
        other = copy(self)
        detector: Any = copy(self.detector_)
        if not settle:
            other.detector_ = detector.heed(X, y)
            return other
        other.detector_ = detector.feedback(X, y)
        other.train_scores_ = other.detector_.decision_scores_
        rule = make_threshold(self.threshold)
        other._set_cuts(
            make_threshold(None) if rule.needs_labels else rule, other.train_scores_, None
        )
        return other

    def _novelty(self, table: pa.Table) -> FloatArray:
        """1 where a cell holds what training ruled out, shape (n, len(source_names_))."""
        return self.encoder_.novelty(table).astype(np.float64)

    def _learnt_score(self, table: pa.Table) -> FloatArray:
        X = self.encode(table)
        if not self.by:
            return self.detector_.decision_function(X)
        scores = np.empty(len(X))
        for key, rows in self._split(table):
            name = key if key in self.groups_ else ""
            scores[rows] = self._surprise(name, self._detector_of(name).decision_function(X[rows]))
        return scores

    def judge(
        self, table: pa.Table, *, source: str = "table", rows: IntArray | None = None
    ) -> Result:
        """The result for the rows of ``table``."""
        _require(
            table, self.encoder_.source_names_, remedy="give the columns the model was fitted on"
        )
        return self._result(self.score(table), table, source, rows)

    def judge_training(
        self, table: pa.Table, *, source: str = "table", rows: IntArray | None = None
    ) -> Result:
        """The result for the very rows the model was fitted on."""
        return self._result(self.train_scores_, table, source, rows)

    def _result(
        self, scores: FloatArray, table: pa.Table, source: str, rows: IntArray | None
    ) -> Result:
        severity = self.severity(scores)
        times = self.encoder_.seconds(table) if self.time_column_ else None
        keys = _keys(table, self.by) if self.by else None
        return Result(
            scores=scores,
            severity=severity,
            model=self,
            table=table,
            rows=np.arange(1, len(scores) + 1) if rows is None else rows,
            times=times,
            keys=keys,
            events=find_events(severity, scores, times, keys),
            source=source,
        )

    def encode(self, table: pa.Table) -> FloatArray:
        """The rows of ``table`` as the detector sees them, shape (n, d)."""
        X = self.encoder_.transform(table)
        return X if self.context_ is None else self.context_.residuals(table, X)

    def _detector_of(self, key: str) -> Detector:
        return self.groups_.get(key, self.detector_)

    # -- saying why -------------------------------------------------------------------------------

    def explain(self, table: pa.Table) -> Explanation:
        """Contributions of the source columns to the scores of the rows of ``table``."""
        learnt, names = self._explain_learnt(table), self.encoder_.source_names_
        values = self.novelty_step_ * self._novelty(table)
        total = learnt.total + values.sum(axis=1)
        for name, column in zip(learnt.names, learnt.values.T, strict=True):
            values[:, names.index(name)] += column
        return Explanation(values, learnt.base, total, names, learnt.meaning)

    def _explain_learnt(self, table: pa.Table) -> Explanation:
        X = self.encode(table)
        if not self.by:
            return self._explain_with(self.detector_, X)
        parts = [
            (rows, self._explain_with(self._detector_of(key), X[rows]))
            for key, rows in self._split(table)
        ]
        order = np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable")
        return Explanation(
            np.vstack([e.values for _, e in parts])[order],
            np.concatenate([e.base for _, e in parts])[order],
            np.concatenate([e.total for _, e in parts])[order],
            parts[0][1].names,
            "score within its group",
        )

    def _explain_with(self, detector: Detector, X: FloatArray) -> Explanation:
        return detector.explain(X).grouped(self.encoder_.feature_sources_)

    def reasons(self, table: pa.Table, k: int = 3) -> list[list[Reason]]:
        """For each row of ``table`` the ``k`` columns that pushed its score up most.

        Those that did so by less than a tenth of the strongest are left out: they are as always.
        """
        if not self.detector_.card.inductive:
            return [[] for _ in range(table.num_rows)]
        why = self.explain(table)
        pushed = np.clip(why.values, 0, None).sum(axis=1)
        found = []
        for i, tops in enumerate(why.top(k)):
            row = []
            for column, amount in tops:
                if amount < MIN_REASON * tops[0][1]:
                    break
                value = self.encoder_.show(column, table[column][i].as_py())
                typical = self.encoder_.typical_text(column)
                if self.context_ is not None:
                    typical += f"; judged given {self.context_.words(table, i)}"
                row.append(Reason(column, value, typical, amount / pushed[i]))
            found.append(row)
        return found

    # -- describing -------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """The detector's card and settings, and why it was chosen, as plain data."""
        words = super().describe()
        if self.by:
            words["groups"] = f"{len(self.groups_)} detectors by {', '.join(self.by)}"
        if self.context_ is not None:
            words["context"] = ", ".join(self.context_.columns)
        return words

    def column_words(self) -> list[dict[str, str]]:
        """What each column was taken for, in words."""
        return [
            {
                "column": p.name,
                "kind": p.kind,
                "description": p.describe().removeprefix(f"{p.name}: "),
            }
            for p in self.encoder_.profiles_
        ]

    def project(
        self, table: pa.Table, severity: IntArray
    ) -> tuple[FloatArray, IntArray, tuple[float, float]]:
        """Principal components of at most 3,000 rows, flagged ones first among those kept.

        Returns
        -------
        points : ndarray of shape (m, 2)
        picks : ndarray of shape (m,)
            Positions of those rows.
        explained : two floats
            Share of the variance along each component.
        """
        rng = np.random.default_rng(0)
        order = rng.permutation(len(severity))
        order = order[np.argsort(-severity[order], kind="stable")][:MAX_PROJECTED]
        picks = np.sort(order)
        X = self.encode(table.take(picks))
        # Columns count alike, and a far row must not flatten the rest of the picture.
        scale = X.std(axis=0)
        X = np.clip((X - X.mean(axis=0)) / np.where(scale > 0, scale, 1.0), -8, 8)
        X -= X.mean(axis=0)
        _, sizes, axes = np.linalg.svd(X, full_matrices=False)
        points = np.zeros((len(X), 2))
        points[:, : min(2, X.shape[1])] = X @ axes[:2].T
        share = sizes**2 / max((sizes**2).sum(), 1e-300)
        first, second = [*share[:2].tolist(), 0.0][:2]
        return points, picks, (first, second)


def _require(table: pa.Table, names: list[str], *, remedy: str | None = None) -> None:
    for name in names:
        if name not in table.column_names:
            what, known = no_such("column", name, table.column_names)
            raise DataError(what, column=name, remedy=remedy or known)


def _is_plain(table: pa.Table) -> bool:
    """Whether all values are as they would be in a request: numbers, truths and text."""
    t = pa.types
    return all(
        t.is_integer(k) or t.is_float64(k) or t.is_boolean(k) or t.is_string(k)
        for k in table.schema.types
    )


def _keys(table: pa.Table, names: list[str]) -> np.ndarray:
    """The group of each row: the values of its key columns, joined."""
    codes, groups = key_codes(table, names)
    return np.asarray(groups, dtype=object)[codes].astype(str)
