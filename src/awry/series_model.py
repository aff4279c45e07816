"""Everything that turns a table of series into scores, decisions and events, as one object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from awry.core import progress, registry
from awry.core.detector import Detector
from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray, check_labels
from awry.core.params import any_of, boolean, instance, integer, listing, nothing
from awry.core.series import OnlineDetector, Series
from awry.core.surprise import OWN_TAILS, Surprise
from awry.core.threshold import Fixed, Threshold, make_threshold
from awry.data.roles import NotSeries, Roles, find_roles
from awry.data.series import Known, SeriesSet, read_series
from awry.data.strays import ENOUGH, departures, lifted, usual
from awry.judge import Judge
from awry.series_result import SeriesResult, make_result

#: What ``"auto"`` stands for; where it must not look ahead; and for more than ``OWN_TAILS`` series,
#: which one detector takes as its channels. Holidays say that the calendar matters.
AUTO, AUTO_CAUSAL, AUTO_MANY = "series_auto", "novelty", "seasonal_ewma"
AUTO_HOLIDAYS = "calendar_context"
#: Share of normal points flagged: of one a minute one a day or so; a hundredth would be fifteen.
ALPHA = 1e-3
#: What that came to on drawn clean series of 2,000 points: about half an event a series, as scores
#: of neighbours rise together and the tail of few is not known well.
MEASURED_RATE = 2e-3
#: Points before new ones that detectors with windows get to see.
CONTEXT = 256
#: Share of a series that a causal detector learns from before it judges, and the most points.
PROBATION, MOST_PROBATION = 0.15, 750
#: Fewer points of a series not known from training say nothing of what is normal there.
_FEWEST_NEW = 20


class Part(NamedTuple):
    """A detector and the series it judges; of several each has its share of the channels.

    ``end`` is the last point it has seen and ``step`` from point to point, in microseconds.
    """

    detector: Detector
    keys: list[str]
    end: int
    step: int
    period: int
    context: FloatArray


class SeriesModel(Judge):
    """Everything that turns a table of series into scores, decisions and events.

    Each series has a detector of its own; many on one grid share one that looks at channels one by
    one. Scores are comparable between series: -log10 of the share of a series' normal points that
    score as high, see :class:`~awry.core.surprise.Surprise`.

    Parameters
    ----------
    detector : str or Detector, default="auto"
        A registered name or an unfitted detector, of series or of tables; the latter is put on
        windows.
    params : dict, optional
        Parameters of a detector given by name.
    threshold : float, str, Threshold or None, default=None
        How scores become decisions, see :func:`~awry.core.threshold.make_threshold`; None flags
        what one normal point in a thousand exceeds.
    time : str, optional
        The column of times, where that is not clear.
    value, by : list of str, optional
        Columns of what is measured, and of what the series are named by, where that is not clear.
    kinds : dict, optional
        What columns are, where the profile's guess is wrong.
    ignore : list of str, optional
        Columns not to look at.
    holidays : str or list of str, optional
        A country or dates, for detectors that have a parameter for them; ``"auto"`` then judges by
        the calendar.
    causal : bool, default=False
        Whether the score of a point depends on what came before it alone. The first 15 % of a
        series (750 points at most) teach the detector, as many more what scores are usual.
    random_state : int, default=0

    Attributes
    ----------
    roles_ : Roles
        What the columns are.
    parts_ : list of Part
        The detectors and their series.
    threshold_ : float
    rule_ : Threshold
    train_scores_ : ndarray of shape (n,)
        Of the rows.

    Examples
    --------
    >>> times = np.arange(300) * 60_000_000 + 1_700_000_000_000_000
    >>> load = np.tile([1.0, 2.0, 3.0, 2.0], 75) + np.random.default_rng(0).normal(size=300) / 9
    >>> load[200] = 9.0
    >>> table = pa.table({"time": times, "load": load})
    >>> model = SeriesModel("seasonal_ewma").fit(table)
    """

    constraints = {
        "detector": any_of(instance(str), instance(Detector)),
        "params": any_of(nothing(), instance(dict)),
        "time": any_of(nothing(), instance(str)),
        "value": any_of(nothing(), listing(instance(str))),
        "by": any_of(nothing(), listing(instance(str))),
        "kinds": any_of(nothing(), instance(dict)),
        "ignore": any_of(nothing(), listing(instance(str))),
        "holidays": any_of(nothing(), instance(str), listing(instance(str))),
        "causal": boolean(),
        "random_state": any_of(nothing(), integer(0)),
    }
    #: What was read and scored in ``fit``; a model from a file has it no more.
    transient = ("training_",)

    def __init__(
        self,
        detector: str | Detector = "auto",
        params: dict[str, Any] | None = None,
        threshold: float | str | Threshold | None = None,
        time: str | None = None,
        value: list[str] | None = None,
        by: list[str] | None = None,
        kinds: dict[str, str] | None = None,
        ignore: list[str] | None = None,
        holidays: str | list[str] | None = None,
        causal: bool = False,
        random_state: int | None = 0,
    ) -> None:
        self.detector = detector
        self.params = params
        self.threshold = threshold
        self.time = time
        self.value = value
        self.by = by
        self.kinds = kinds
        self.ignore = ignore
        self.holidays = holidays
        self.causal = causal
        self.random_state = random_state

    # -- fitting ----------------------------------------------------------------------------------

    def fit(self, table: pa.Table, y: Any = None) -> Self:
        """Learn from ``table``; ``y`` (n,) holds 1, 0 or -1 for rules that use it."""
        self.check_params()
        labels = None if y is None else check_labels(y, table.num_rows, "fit")
        roles = find_roles(
            table, sure=True, time=self.time, value=self.value, by=self.by, kinds=self.kinds,
            ignore=self.ignore or (),
        )  # fmt: skip
        assert not isinstance(roles, NotSeries)
        self.roles_: Roles = roles
        self.id_columns_ = [roles.time.name, *roles.by]
        read = read_series(table, roles)
        read.notes.insert(0, _taken_for(roles))
        self.parts_: list[Part] = []
        raw: dict[str, FloatArray] = {}
        for members in progress.track("series", self._together(read)):
            raw |= self._fit_part(read, members)
        if not raw:
            raise DataError(read.problems.summary()[-1], remedy="or use --as table")
        self.detector_ = self.parts_[0].detector
        self.order_ = [key for key in read.keys if key in raw]
        self.surprise_ = Surprise().fit([self._calibration(raw[key]) for key in self.order_])
        far = self._departures(read, self.order_)
        self.watched_ = list(far)
        self.usual_departures_ = Surprise().fit([usual(own) for own in far.values()])
        scores = self._surprises(read, raw, far)
        self.counters_ = {
            key: [bool(c) for c in counting]
            for key, counting in zip(read.keys, read.counters, strict=True)
        }
        judged = [i for i, key in enumerate(read.keys) if key in raw]
        if labels is None:
            known = [scores[i][~np.isnan(read.series[i].values).all(axis=1)] for i in judged]
            truth, pooled = None, np.concatenate([self._calibration(s) for s in known])
        else:
            truth = np.concatenate([read.labels(i, labels) for i in judged])
            pooled = np.concatenate([scores[i] for i in judged])
        # Scores are logarithms of just the probability the default goes by.
        default = Fixed(-np.log10(ALPHA))
        rule = default if self.threshold is None else make_threshold(self.threshold)
        self._set_cuts(rule, pooled, truth)
        if self.threshold is None:
            self.rule_.stated_rate_ = MEASURED_RATE
            self.rule_.reason_ = f"exceeded by {ALPHA:g} of normal points, by each series' own tail"
        self.train_scores_ = read.at_rows(scores, 0.0)
        self.training_ = (read, scores)
        return self

    def _together(self, read: SeriesSet) -> list[list[int]]:
        """Which series one detector takes: many on one grid together, else each by itself."""
        if len(read) <= OWN_TAILS or self.causal:
            return [[i] for i in range(len(read))]
        detector = self._make(0, many=True)
        if not (isinstance(detector, OnlineDetector) and detector.card.univariate):
            return [[i] for i in range(len(read))]
        steps = np.rint(read.steps * 1e6).astype(np.int64)
        starts = np.array([read.start(i) for i in range(len(read))])
        groups: dict[tuple[int, int], list[int]] = {}
        for i, (step, start) in enumerate(zip(steps.tolist(), starts.tolist(), strict=True)):
            groups.setdefault((step, start % step), []).append(i)
        return list(groups.values())

    def _make(self, points: int, *, many: bool = False) -> Detector:
        """An unfitted detector for a series of so many points."""
        if self.detector == "auto":
            name = AUTO_MANY if many else AUTO_CAUSAL if self.causal else AUTO
            name = name if self.holidays is None else AUTO_HOLIDAYS
            made = registry.create(name, **(self.params or {}))
            if "random_state" in made.get_params(deep=False):
                made.set_params(random_state=self.random_state)
        else:
            made = self._new_detector(None)
            if made.card.modality != "series":
                made = registry.create(
                    "windowed", detector=made.set_params(contamination=None),
                    random_state=self.random_state,
                )  # fmt: skip
        # The model's rule decides, on scores of all series; a fixed one here costs nothing.
        made.set_params(contamination="fixed:1")
        known = made.get_params(deep=False)
        if self.holidays is not None:
            if "holidays" not in known:
                raise DataError(f"{made.card.name} knows no holidays", remedy="leave them out")
            made.set_params(holidays=self.holidays)
        if self.causal and "causal" in known:
            made.set_params(causal=True)
        elif self.causal and "warmup" in known:
            made.set_params(warmup=known["warmup"] or _probation(points))
        elif self.causal:
            raise DataError(f"{made.card.name} looks ahead", remedy="choose another, or auto")
        return made

    def _fit_part(self, read: SeriesSet, members: list[int]) -> dict[str, FloatArray]:
        """Scores (T,) of the series of one detector; none where it cannot judge them."""
        keys = [read.keys[i] for i in members]
        step = round(read.steps[members[0]] * 1e6)
        first = min(map(read.start, members))
        leads = [(read.start(i) - first) // step for i in members]
        places = list(range(len(members)))
        X = read.side_by_side(members, leads, places, len(members))
        detector = self._make(len(X), many=len(members) > 1)
        try:
            if len(X) < detector.card.min_rows:
                raise DataError(f"has {len(X)} points, {detector.card.name} needs more")
            if len(members) == 1:
                scores = [self._train(detector, X)]
            else:
                detector.fit(X)
                # The channels' own scores, from the hooks that ``fit`` itself goes through.
                scores = read.apart(members, leads, places, np.asarray(detector._fit(X, None)))
        except (ValueError, ArithmeticError) as error:
            if len(read) == 1 and isinstance(error, ValueError):
                raise
            for key in keys:
                read.problems.add(f"cannot be judged ({error})", column=_by(read), text=key)
            return {}
        online = isinstance(detector, OnlineDetector)
        period = int(getattr(detector, "period_", 0) or 1)
        context = X.values[len(X) if online else -CONTEXT :].copy()
        end = first + (len(X) - 1) * step
        self.parts_.append(Part(detector, keys, end, step, period, context))
        return dict(zip(keys, scores, strict=True))

    def _train(self, detector: Detector, X: Series) -> FloatArray:
        """Fit ``detector`` and give the scores of ``X``, shape (T,)."""
        if not self.causal or isinstance(detector, OnlineDetector):
            return detector.fit(X).decision_scores_
        head = max(_probation(len(X)), detector.card.min_rows)
        return detector.fit(X[:head]).decision_function(X)

    def _calibration(self, scores: FloatArray) -> FloatArray:
        """The scores that say what is usual: all, or when causal those after the first ones."""
        head = _probation(len(scores))
        return scores[head : 2 * head] if self.causal else scores

    def _severer(self, scores: FloatArray) -> FloatArray:
        """Ten and a hundred times as rare, as the scores are logarithms."""
        return self.threshold_ + np.array([1.0, 2.0])

    # -- scoring ----------------------------------------------------------------------------------

    def score(self, table: pa.Table) -> FloatArray:
        """Scores of the rows of ``table``, shape (n,); 0 where a row was set aside."""
        read, scores = self._judge(table)
        return read.at_rows(scores, 0.0)

    def judge(
        self, table: pa.Table, *, source: str = "table", rows: IntArray | None = None
    ) -> SeriesResult:
        """The result for ``table``, which goes on where training ended, or is anew."""
        return make_result(self, table, *self._judge(table), source, rows)

    def judge_training(
        self, table: pa.Table, *, source: str = "table", rows: IntArray | None = None
    ) -> SeriesResult:
        """The result for the very rows the model was fitted on."""
        return make_result(self, table, *self.training_, source, rows)

    def _judge(self, table: pa.Table) -> tuple[SeriesSet, list[FloatArray]]:
        roles = self.roles_
        for name in [roles.time.name, *roles.by, *(p.name for p in roles.values)]:
            if name not in table.column_names:
                raise DataError(
                    "the table lacks this column", column=name,
                    remedy="give the columns the model was fitted on",
                )  # fmt: skip
        part_of = {key: part for part in self.parts_ for key in part.keys}
        read = read_series(
            table, roles,
            {k: Known(p.end, p.step, self.counters_[k]) for k, p in part_of.items()},
        )  # fmt: skip
        raw: dict[str, FloatArray] = {}
        at = {key: i for i, key in enumerate(read.keys)}
        for part in self.parts_:
            members = [at[key] for key in part.keys if key in at]
            if members:
                raw |= self._score_part(read, part, members)
        scores = self._surprises(read, raw)
        new = [i for i, key in enumerate(read.keys) if key not in part_of]
        for i in new:
            scores[i] = self._score_alone(read, i)
        if new:
            read.notes.append(f"series not known from training, judged by themselves: {len(new):,}")
        return read, scores

    def _surprises(
        self,
        read: SeriesSet,
        raw: Mapping[str, FloatArray],
        far: Mapping[str, FloatArray] | None = None,
    ) -> list[FloatArray]:
        """Surprises of each series; 0 where there is no score."""
        rank = {key: i for i, key in enumerate(self.order_)}
        found = [
            self.surprise_.transform(rank[key], raw[key]) if key in raw else np.zeros(len(series))
            for key, series in zip(read.keys, read.series, strict=True)
        ]
        far = self._departures(read, self.watched_) if far is None else far
        for key, own in far.items():
            at, i = read.keys.index(key), self.watched_.index(key)
            found[at] = lifted(found[at], own, self.usual_departures_, i, -np.log10(ALPHA))
        return found

    def _departures(self, read: SeriesSet, keys: list[str]) -> dict[str, FloatArray]:
        """How far points of series are from what was expected, by key, where that is asked for.

        By the automatic choice for few series in hindsight: its windows drown single values.
        """
        if self.detector != "auto" or self.causal or self.holidays is not None:
            return {}
        at = {key: i for i, key in enumerate(read.keys) if len(read.series[i]) >= ENOUGH}
        if len(read) > OWN_TAILS:
            return {}
        return {
            k: departures(read.series[at[k]], float(read.steps[at[k]])) for k in keys if k in at
        }

    def _score_part(self, read: SeriesSet, part: Part, members: list[int]) -> dict[str, FloatArray]:
        """Raw scores of the series of one detector, which go on where it ended."""
        ahead = [(read.start(i) - part.end) // part.step - 1 for i in members]
        nearest = min(ahead)
        if len(part.keys) == 1:
            X, skip = self._continued(read, members[0], part, nearest)
            return {part.keys[0]: part.detector.decision_function(X)[skip:]}
        # The season goes on over the gap; whole seasons of it tell nothing.
        leads = [a - nearest + nearest % part.period for a in ahead]
        places = [part.keys.index(read.keys[i]) for i in members]
        X = read.side_by_side(members, leads, places, len(part.keys))
        found = np.asarray(part.detector._score(X))
        scores = read.apart(members, leads, places, found)
        return {read.keys[i]: own for i, own in zip(members, scores, strict=True)}

    def _continued(self, read: SeriesSet, i: int, part: Part, ahead: int) -> tuple[Series, int]:
        """A series with what its detector needs before it, and how much that is."""
        series = read.series[i]
        if isinstance(part.detector, OnlineDetector):
            gap, before = ahead % part.period, part.context[:0]
        elif 0 <= ahead < CONTEXT:
            gap, before = ahead, part.context
        else:
            return series, 0
        skip = len(before) + gap
        empty = np.full((gap, series.values.shape[1]), np.nan)
        first = read.start(i) - skip * part.step
        times = (first + part.step * np.arange(skip + len(series))).astype("M8[us]")
        return Series(np.vstack([before, empty, series.values]), times), skip

    def _score_alone(self, read: SeriesSet, i: int) -> FloatArray:
        """Surprises of a series that training did not have."""
        series = read.series[i]
        try:
            if len(series) < _FEWEST_NEW:
                raise DataError("too few points of a series not known from training")
            raw = self._train(self._make(len(series)), series)
        except ValueError as error:
            read.problems.add(f"cannot be judged ({error})", column=_by(read), text=read.keys[i])
            return np.zeros(len(series))
        return Surprise().fit([self._calibration(raw)]).transform(0, raw)

    # -- describing -------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """The detector's card and settings, and why it was chosen, as plain data."""
        words = super().describe()
        words["parameters"].pop("contamination", None)
        words["groups"] = f"{len(self.order_):,} series, {len(self.parts_):,} detectors"
        return words

    def column_words(self) -> list[dict[str, str]]:
        """What each column was taken for, in words."""
        profiles = [self.roles_.time, *self.roles_.values]
        words = {p.name: (p.kind, p.describe().removeprefix(f"{p.name}: ")) for p in profiles}
        keys = dict.fromkeys(self.roles_.by, ("key", "names the series"))
        return [
            {"column": name, "kind": kind, "description": text}
            for name, (kind, text) in {**words, **keys}.items()
        ]

    def choices(self) -> Mapping[str, str | None]:
        """Why the detector of each series was chosen."""
        return {k: getattr(p.detector, "choice_", None) for p in self.parts_ for k in p.keys}


def _taken_for(roles: Roles) -> str:
    values = ", ".join(p.name for p in roles.values[:6])
    more = f" and {len(roles.values) - 6} more" if len(roles.values) > 6 else ""
    each = f", a series for each {', '.join(roles.by)}" if roles.by else ""
    return f"taken for series: {values}{more} over {roles.time.name}{each} (--as table overrides)"


def _probation(points: int) -> int:
    return max(2, min(int(PROBATION * points), MOST_PROBATION))


def _by(read: SeriesSet) -> str | None:
    return ", ".join(read.by) or None
