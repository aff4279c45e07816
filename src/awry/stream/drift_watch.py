"""Whether what comes in, and how it scores, is still what came first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from awry.core.errors import DataError
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import Configurable, boolean, integer, listing
from awry.core.plain import plain
from awry.data.tables import as_table, flatten
from awry.drift.base import FEWEST
from awry.drift.monitor import score_drift
from awry.drift.online import OnlineDrift
from awry.drift.table import TableDrift
from awry.drift.windows import ADWIN, KSWIN
from awry.stream.records import Judged, Record

_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
#: Rows that stand for those compared, evenly spaced among them; they are part of the state.
_MOST = 1_000
#: Level of KSWIN's tests, of which there is one for every event.
_ALPHA = 1e-7
#: Features of a report, and places told of each monitor.
_TOLD = 200


class DriftWatch(Configurable):
    """Compares every so many events with the first ones, and follows their scores one by one.

    The first ``rows`` events are what is usual. Of each ``rows`` that follow, at most 1,000, evenly
    spaced, are compared with as many of the first: their fields by
    :class:`~awry.drift.table.TableDrift`, their scores by
    :func:`~awry.drift.monitor.score_drift`. Beside that ADWIN and KSWIN watch every score, cut off
    at the 1 % and 99 % quantiles of the first, so that single anomalies are no drift. However
    events are cut into batches, reports are the same.

    Parameters
    ----------
    rows : int
        Events from one report to the next.
    ignore : list of str
        Fields that are not compared, such as the time.
    learns : bool
        Whether what scores goes on learning. Then scores move as it learns, and return to what they
        were as it gets used to what is new: they are told of, but by themselves no drift.

    Attributes
    ----------
    filled_ : int
        Events since the last report.
    """

    constraints = {"rows": integer(2 * FEWEST), "ignore": listing(), "learns": boolean()}
    transient = ("_test",)

    def __init__(self, rows: int = 5_000, ignore: Sequence[str] = (), learns: bool = False) -> None:
        self.rows = rows
        self.ignore = ignore
        self.learns = learns

    def start(self) -> DriftWatch:
        """Forget all events."""
        self.check_params()
        self.filled_ = 0
        self.reference_: list[str] = []
        self.usual_ = np.empty(0)
        self.monitors_: dict[str, OnlineDrift] = {
            "ADWIN": ADWIN(), "KSWIN": KSWIN(alpha=_ALPHA, window=500, recent=100),
        }  # fmt: skip
        return self._next()

    def _next(self) -> DriftWatch:
        self.kept_: list[str] = []
        self.scores_: list[float] = []
        self.seen_: dict[str, list[int]] = {name: [] for name in self.monitors_}
        return self

    def update(self, judged: Judged) -> list[dict[str, Any]]:
        """Take the events that come next; the reports that they complete."""
        made, at = [], 0
        while at < len(judged):
            part = slice(at, min(len(judged), at + self.rows - self.filled_))
            some, scores = judged.records[part], judged.scores[part]
            self._keep(some, scores)
            if self.reference_:
                self._follow(scores, judged.offsets[part])
            self.filled_ += len(some)
            at += len(some)
            if self.filled_ == self.rows:
                if self.reference_:
                    made.append(self._report(judged.threshold, int(judged.offsets[at - 1])))
                else:
                    self.reference_, self.usual_ = self.kept_, _known(self.scores_)
                self.filled_ = 0
                self._next()
        return made

    def _keep(self, records: list[Record], scores: FloatArray) -> None:
        step = -(-self.rows // _MOST)
        for i in range(-self.filled_ % step, len(records), step):
            self.kept_.append(_encode(flatten(records[i])).decode())
            self.scores_.append(float(scores[i]))

    def _follow(self, scores: FloatArray, offsets: IntArray) -> None:
        finite = np.isfinite(scores)
        if len(self.usual_) < FEWEST or not finite.any():
            return
        values = np.clip(scores[finite], *np.quantile(self.usual_, [0.01, 0.99]))
        for name, monitor in self.monitors_.items():
            found = offsets[finite][monitor.update_many(values)].tolist()
            self.seen_[name] = [*self.seen_[name], *found][:_TOLD]

    def _report(self, threshold: float, until: int) -> dict[str, Any]:
        found: dict[str, Any] = {"features": [], "notes": []}
        drifted = False
        try:
            found = self._tester().test(_table(self.kept_), sparse=True).to_dict()
            found["features"] = found["features"][:_TOLD]
            drifted = found["drifted"]
        except DataError as error:
            found["notes"] = [str(error)]
        scores, told, moves = _known(self.scores_), None, any(self.seen_.values())
        if min(len(scores), len(self.usual_)) >= FEWEST:
            cut = threshold if np.isfinite(threshold) else None
            moved = score_drift(self.usual_, scores, threshold=cut)
            told = moved._asdict() | {"flagged": moved.flagged and moved.flagged._asdict()}
            moves = moves or moved.drifted
        about = {"first": self.rows, "rows": len(self.reference_)}
        return dict(
            plain(
                {
                    "of": "stream", "reference": about, "until": until, **found, "scores": told,
                    "monitors": self.seen_, "drifted": drifted or (moves and not self.learns),
                }
            )
        )  # fmt: skip

    def _tester(self) -> TableDrift:
        if "_test" not in self.__dict__:
            test = TableDrift(ignore=list(self.ignore))
            self._test = test.fit(_table(self.reference_))
        return self._test


def _table(rows: list[str]) -> Any:
    return as_table([_decode(row) for row in rows])


def _known(scores: list[float]) -> FloatArray:
    values = np.array(scores)
    return values[np.isfinite(values)]
