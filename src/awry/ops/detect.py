"""Judging the rows of requests: by a model where there is one, else by themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from awry import run
from awry.core import registry
from awry.core.errors import AwryError
from awry.core.inputs import FloatArray
from awry.data.tables import as_table
from awry.judge import Judge
from awry.model import Model
from awry.ops.answers import (
    Answer,
    Ask,
    Verdicts,
    add_reasons,
    columns_of,
    judged_rows,
    make_answer,
    of_result,
)
from awry.ops.blame import unfit
from awry.ops.errors import BusyError, TooLargeError, UnfitError
from awry.ops.models import Models
from awry.ops.parameters import check_threshold
from awry.ops.score_cache import ScoreCache
from awry.ops.settings import Settings
from awry.series_model import SeriesModel

#: Seconds a request waits for its turn.
_PATIENCE = 2.0


class _Chosen(NamedTuple):
    """What answers a request."""

    name: str
    version: int
    judge: Judge

    @property
    def told(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version}


class Judging:
    """Answers requests with rows in them, so many at a time."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self._models, self._settings = models, settings
        self._turns = threading.BoundedSemaphore(settings.max_detections)
        #: Remembers what was answered for a row, where that is wanted.
        self.cache: ScoreCache | None = None
        #: Says for a request and its model which version answers; None: the champion.
        self.route: Callable[[Ask, str], int | None] | None = None
        #: Is told of each answer, and the seconds it took.
        self.heard: Callable[[Ask, Answer, float], None] | None = None

    def detect(self, rows: Sequence[Mapping[str, Any]], **options: Any) -> Answer:
        """Score ``rows``, decide, and say why; ``options`` are those of :meth:`answer`."""
        return self.answer(self.ask(rows, **options))

    def ask(self, rows: Sequence[Mapping[str, Any]], *, flat: bool = False, **options: Any) -> Ask:
        """Rows of a request, if they are no more than are allowed.

        Parameters
        ----------
        rows : list of dict
        flat : bool
            Whether it is known that no value is an object.
        method : str
            Name of a detector; answered by the champion of the model of this method for these
            columns, or, where there is none, by fitting to the rows, if they are enough.
        model, version
            The model that is to answer; its champion by default.
        threshold : float or str, optional
            Another rule on the model's scores.
        explain : bool
            Whether rows come with reasons.
        """
        self._check_rows(len(rows))
        with unfit("data"):
            columns = columns_of(rows, flat=flat)
        if len(columns) > self._settings.max_columns:
            raise TooLargeError(
                f"holds more than {self._settings.max_columns:,} columns", field="data",
                remedy="leave some out",
            )  # fmt: skip
        return Ask(columns, len(rows), **options)

    def ask_numbers(self, names: Sequence[str], numbers: FloatArray, **options: Any) -> Ask:
        """As :meth:`ask`, for rows of numbers (n, m) alone; ``names`` are from
        :meth:`numbers_of`."""
        self._check_rows(len(numbers))
        return Ask(
            dict(zip(names, numbers.T, strict=True)), len(numbers), numbers=numbers, **options
        )

    def answer(self, ask: Ask) -> Answer:
        """The answer to a request; waits for its turn."""
        begun = time.monotonic()
        found = self._answer(ask)
        self._tell([ask], [found], time.monotonic() - begun)
        return found

    def _answer(self, ask: Ask) -> Answer:
        with self._turn(), unfit("data"):
            registry.get(ask.method)
            chosen = self._choose(ask)
            if chosen is None:
                return self._by_themselves(ask)
            if _is_quick(chosen.judge, ask):
                return self._quickly(chosen, [ask], self._deadline())[0]
            return self._by_model(chosen, ask)

    def answer_quickly(
        self, asks: Sequence[Ask], deadline: float | None = None
    ) -> list[Answer | Exception | None]:
        """Answers to requests that came together: rows for one model are scored at once.

        None where a request takes longer and is one for :meth:`answer`.
        """
        begun = time.monotonic()
        found = self._together(asks, deadline)
        self._tell(asks, found, time.monotonic() - begun)
        return found

    def _together(
        self, asks: Sequence[Ask], deadline: float | None
    ) -> list[Answer | Exception | None]:
        found: list[Answer | Exception | None] = [None] * len(asks)
        groups: dict[Any, tuple[_Chosen, list[int]]] = {}
        for i, ask in enumerate(asks):
            try:
                with unfit("data"):
                    chosen = self._choose(ask)
                    if chosen is not None and _is_quick(chosen.judge, ask):
                        key = (id(chosen.judge), ask.threshold, ask.numbers is None)
                        groups.setdefault(key, (chosen, []))[1].append(i)
            except Exception as error:
                found[i] = error
        for chosen, members in groups.values():
            for i, answer in zip(
                members, self._recall(chosen, [asks[i] for i in members], deadline), strict=True
            ):
                found[i] = answer
        return found

    def _recall(
        self, chosen: _Chosen, asks: list[Ask], deadline: float | None
    ) -> Sequence[Answer | Exception]:
        """What is remembered, and else judged."""
        if self.cache is None:
            return self._each(chosen, asks, deadline)
        known = self.cache.recall(chosen.told, asks)
        fresh = [ask for ask, rows in zip(asks, known, strict=True) if rows is None]
        made = self._each(chosen, fresh, deadline) if fresh else []
        self.cache.keep(chosen.told, fresh, made)
        judged = iter(made)
        return [
            next(judged)
            if rows is None
            else make_answer(chosen.judge, chosen.told, rows, _notes(chosen.judge, ask))
            for ask, rows in zip(asks, known, strict=True)
        ]

    def _tell(self, asks: Sequence[Ask], found: Sequence[Any], seconds: float) -> None:
        if self.heard is None:
            return
        for ask, answer in zip(asks, found, strict=True):
            if isinstance(answer, Answer):
                self.heard(ask, answer, seconds)

    def answer_aside(self, asks: Sequence[Ask]) -> list[Answer | None]:
        """Answers by the models that are named, which nobody waits for: they are not told of.

        None where there is none.
        """
        return [
            self._slowly(ask) if answer is None else answer if isinstance(answer, Answer) else None
            for ask, answer in zip(asks, self._together(asks, None), strict=True)
        ]

    def _slowly(self, ask: Ask) -> Answer | None:
        try:
            with unfit("data"):
                chosen = self._choose(ask)
                return None if chosen is None else self._by_model(chosen, ask)
        except AwryError:
            return None

    def numbers_of(self, ask: Ask) -> list[str] | None:
        """The columns of the model for ``ask``, if all are numbers: see :class:`Ask`."""
        chosen = self._choose(ask)
        if chosen is None or not _is_quick(chosen.judge, ask):
            return None
        assert isinstance(chosen.judge, Model)
        encoder = chosen.judge.row_encoder
        fits = encoder.names == encoder.number_names and len(ask.columns) == len(encoder.names)
        return encoder.names if fits else None

    def _deadline(self) -> float:
        return time.monotonic() + self._settings.latency_budget_ms / 1e3

    def _choose(self, ask: Ask) -> _Chosen | None:
        name = ask.model or self._models.charge.find(ask.method, ask.columns)
        if name is None:
            return None
        routed = self.route(ask, name) if self.route is not None and ask.version is None else None
        try:
            version, judge = self._models.load(name, ask.version if routed is None else routed)
        except AwryError:
            if routed is None:
                raise
            # What is wrong with a challenger is not to be the fault of those who ask.
            version, judge = self._models.load(name)
            routed = None
        if not _is_of(judge, ask.method):
            if routed is not None:  # the champion may be of the method that was asked for
                version, judge = self._models.load(name)
            if not _is_of(judge, ask.method):
                self._models.check_method(name, version, ask.method)
        return _Chosen(name, version, _decide_by(judge, ask.threshold))

    def _each(
        self, chosen: _Chosen, asks: list[Ask], deadline: float | None
    ) -> Sequence[Answer | Exception]:
        try:
            with unfit("data"):
                return self._quickly(chosen, asks, deadline)
        except Exception as error:
            if len(asks) == 1:
                return [error]
        # What is wrong with one is not to be the others' fault.
        return [self._each(chosen, [ask], deadline)[0] for ask in asks]

    def _quickly(self, chosen: _Chosen, asks: list[Ask], deadline: float | None) -> list[Answer]:
        judge = chosen.judge
        assert isinstance(judge, Model)
        for ask in asks:
            _check_columns(judge, ask)
        names = judge.row_encoder.names
        numbers = asks[0].numbers
        if numbers is not None:
            every = [ask.numbers for ask in asks if ask.numbers is not None]
            numbers = every[0] if len(every) == 1 else np.concatenate(every)
            columns: dict[str, Any] = dict(zip(names, numbers.T, strict=True))
        elif len(asks) == 1:
            columns = asks[0].columns
        else:
            columns = {c: list(chain.from_iterable(ask.columns[c] for ask in asks)) for c in names}
        left = None if deadline is None else deadline - time.monotonic()
        scored = judge.score_columns(columns, numbers, seconds=left)
        verdicts = Verdicts(judge.row_encoder, columns, scored.encoded)
        results = judged_rows(judge, scored.scores, verdicts.rejected)
        answers, first = [], 0
        for ask in asks:
            part = results[first : first + ask.rows]
            if first:
                for row, one in enumerate(part):
                    one.row = row
            verdicts.add_to(part, first)
            if ask.explain:
                add_reasons(judge, ask, part)
            answers.append(
                make_answer(judge, chosen.told, part, _notes(judge, ask), degraded=scored.degraded)
            )
            first += ask.rows
        return answers

    def _by_model(self, chosen: _Chosen, ask: Ask) -> Answer:
        """By a model that needs more than the rows one by one."""
        table = as_table(ask.columns)
        return of_result(chosen.judge.judge(table, source="data"), chosen.told, ask.explain)  # type: ignore[attr-defined]

    def _by_themselves(self, ask: Ask) -> Answer:
        least = self._settings.min_fit_rows
        if ask.rows < least:
            columns = ", ".join(list(ask.columns)[:10])
            few = f"and {ask.rows} row(s) are too few to judge by themselves"
            waiting = self._models.unpromoted(ask.method, ask.columns)
            if waiting is not None:
                name, version = waiting
                raise UnfitError(
                    f"no model of {ask.method} for the columns {columns} is in charge, {few}",
                    field="data",
                    remedy=f"promote version {version} of {name!r}, or ask it by `model` and "
                    f"`version`, or give at least {least} rows",
                )
            raise UnfitError(
                f"there is no model of {ask.method} for the columns {columns}, {few}",
                field="data",
                remedy=f"train a model with POST /models, or give at least {least} rows",
            )
        check_threshold(ask.threshold)
        result = run.detect(
            as_table(ask.columns), detector=ask.method, threshold=ask.threshold, as_="table"
        )
        return of_result(result, None, ask.explain)

    def _check_rows(self, n: int) -> None:
        if not n:
            raise UnfitError("holds no rows", field="data", remedy="give at least one")
        if n > self._settings.max_rows:
            raise TooLargeError(
                f"holds {n:,} rows, {self._settings.max_rows:,} are allowed",
                field="data",
                remedy="upload it with POST /datasets and use POST /detect/batch",
            )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_PATIENCE):
            raise BusyError("too many requests are being judged", remedy="try again in a moment")
        try:
            yield
        finally:
            self._turns.release()


def _is_quick(judge: Judge, ask: Ask) -> bool:
    if not (isinstance(judge, Model) and judge.by_rows and judge.detector_.card.inductive):
        return False
    return ask.numbers is None or judge.row_encoder.number_names == list(ask.columns)


def _check_columns(judge: Judge, ask: Ask) -> None:
    assert isinstance(judge, Model)
    if ask.columns.keys() >= judge.row_encoder.known:
        return
    for name in judge.row_encoder.names:
        if name not in ask.columns:
            known = ", ".join(list(ask.columns)[:10])
            raise UnfitError(
                f"there is no such column, only {known}" if known else "there is no such column",
                field=f"data.{name}",
                remedy="give the columns the model was fitted on",
            )


def _notes(judge: Judge, ask: Ask) -> list[str]:
    assert isinstance(judge, Model)
    return [
        f"column {name!r} is not known from training and is ignored"
        for name in ask.columns
        if name not in judge.row_encoder.known
    ]


def _is_of(judge: Judge, method: str) -> bool:
    return method == "auto" or judge.detector_.card.name == registry.get(method).card.name


def _decide_by(judge: Judge, threshold: float | str | None) -> Judge:
    if threshold is None:
        return judge
    if isinstance(judge, SeriesModel):
        raise UnfitError(
            "a model of series keeps the threshold it was trained with",
            field="threshold",
            remedy="leave it out, or train a model with it",
        )
    with unfit("threshold"):
        return judge.with_threshold(threshold)
