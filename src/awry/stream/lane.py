"""One partition on its way through: decoded, put in order, judged; and its state.

A partition is judged by itself, with a state of its own. So what comes out depends on the order of
its messages alone: not on how they were cut into batches, nor on what other partitions hold, nor
on how often a worker was killed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from awry import io
from awry.core.errors import DataError
from awry.core.inputs import FloatArray
from awry.core.params import Configurable
from awry.stream.edges import Edges
from awry.stream.episodes import Episode, Episodes
from awry.stream.features import KeyFeatures
from awry.stream.fields import Fields
from awry.stream.keys import KeyStore, Spill
from awry.stream.named import Named
from awry.stream.plan import Plan, lookup, number, seconds
from awry.stream.reasons import MOST, Allowance, of_deviations, of_edge
from awry.stream.records import Batch, Dead, Judged, Peak, Position, Record
from awry.stream.scorers import KeyScorer, ModelScorer, Scorer
from awry.stream.threshold import OnlineThreshold
from awry.stream.watermark import Held, Watermark

log = logging.getLogger(__name__)

#: Events before an anomaly that are kept for its picture.
_BEFORE = 150
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


class Checkpoint(Configurable):
    """The state of a partition in a form that can be saved."""

    parts: dict[str, Any]


class Lane:
    """The judging of one partition.

    Parameters
    ----------
    plan : Plan
    topic, partition
    spill : Spill
        Where keys' records go that are not in memory.
    saved : bytes, optional
        A state that ``save`` gave.

    Attributes
    ----------
    position : Position or None
        Where the source goes on after what has been fed.
    moved : bool
        Whether anything has been fed since the last ``clear``.
    outbox : list of bytes
        What sinks are to be told of; saved with the state.
    judged : list of Judged
        What came out since the last ``clear``.
    dead : list of Dead
        Messages that could not be judged, since then.
    episodes : dict
        Events that are new or have grown since then, by identity.
    peaks : dict
        Of those whose highest score came since then, what surrounds it, by identity.
    drifts : list of dict
        Reports of drift since then.
    """

    def __init__(
        self, plan: Plan, topic: str, partition: int, spill: Spill, saved: bytes | None = None
    ) -> None:
        self.plan, self.topic, self.partition = plan, topic, partition
        self.judged: list[Judged] = []
        self.dead: list[Dead] = []
        self.episodes: dict[int, Episode] = {}
        self.peaks: dict[int, Peak] = {}
        self.drifts: list[dict[str, Any]] = []
        self.position: Position | None = None
        self.moved = False
        self.outbox: list[bytes] = []
        self._spill = spill
        self._features = None
        if plan.key is not None and not (plan.per_key or plan.model or plan.edges):
            self._features = KeyFeatures(plan.capacity, spill)
        #: Places, scores and severities of the latest events.
        self._before = np.empty((3, 0))
        self._head: list[Record] = []
        self._head_extra: list[FloatArray] = []
        self._scorer: Scorer | None = None
        self._model: ModelScorer | None = None
        self._undated = False
        self._named = Named(plan.named(), plan.warmup, f"{topic}/{partition}")
        self.fields: Fields | Edges
        if saved is not None:
            self._restore(saved)
            return
        ignore = [n for n in (plan.key, plan.time, *plan.ignore) if n]
        names = plan.fields or []
        self.fields = Edges(names) if plan.edges else Fields(plan.fields, ignore)
        self._allowance = Allowance()
        self.watermark = Watermark(plan.lateness).start()
        self.threshold = OnlineThreshold(plan.threshold).start()
        self._episodes = Episodes(plan.gap).start()
        self._rules = [rule.start() for rule in plan.rules]
        self._watch = plan.new_watch()
        if plan.model is not None:
            self._model = ModelScorer(plan.model)

    @property
    def store(self) -> KeyStore | None:
        """Records of keys, where the plan keeps any."""
        if self._features is not None:
            return self._features.keys
        return None if self._scorer is None else self._scorer.store

    @property
    def learning(self) -> bool:
        """Whether nothing can be judged yet."""
        return self._scorer is None and self._model is None

    # -- what comes in ----------------------------------------------------------------------------

    def follow(self, plan: Plan) -> None:
        """Judge what comes by another version of the model, which knows nothing of the stream yet.

        What is compared with the first events, as that version scores them, begins anew.
        """
        assert plan.model is not None
        self._model = ModelScorer(plan.model)
        self.plan, self._watch = plan, plan.new_watch()
        self._before = np.empty((3, 0))

    def feed(self, batch: Batch) -> None:
        """Take the messages that come next."""
        records, reasons = self.plan.decode(batch.messages)
        for i, reason in reasons.items():
            self.dead.append(Dead(batch.offsets[i], reason, bytes(batch.messages[i])))
        offsets = batch.offsets
        if None in records:
            offsets = [o for o, r in zip(offsets, records, strict=True) if r is not None]
        there = [record for record in records if record is not None]
        self.position, self.moved = batch.position, True
        if there:
            self._pass(there, offsets, batch)

    def drain(self) -> None:
        """Judge what was held back for its order: the source has ended."""
        self._judge_held(self.watermark.drain(), [])
        self._named.end()

    def _pass(self, records: list[Record], offsets: list[int], batch: Batch) -> None:
        name, arrived, since = self.plan.time, batch.arrived, batch.since
        if name is None:
            times, came, at = (np.full(len(records), one) for one in (np.nan, arrived, since))
            self._judge(records, offsets, times, [], came, at)
            return
        events = [
            Held(seconds(lookup(record, name)), offset, record, arrived, since)
            for record, offset in zip(records, offsets, strict=True)
        ]
        free, late = self.watermark.push(events)
        if self.watermark.undated and not self._undated:
            self._undated = True
            log.warning(
                "%s/%s: the field %r of an event is no time, or more than a day ahead: it counts "
                "as happening when those did that are let go", self.topic, self.partition, name,
            )  # fmt: skip
        self._judge_held(free, late)

    def _judge_held(self, events: list[Held], late: list[bool]) -> None:
        if events:
            times, offsets, records, *clocks = zip(*events, strict=True)
            arrived, since = map(np.array, clocks)
            self._judge(list(records), list(offsets), np.array(times), late, arrived, since)

    # -- judging ----------------------------------------------------------------------------------

    def _judge(
        self,
        records: list[Record],
        offsets: list[int],
        times: FloatArray,
        late: list[bool],
        arrived: FloatArray,
        since: FloatArray,
    ) -> None:
        plan, n = self.plan, len(records)
        self._named.look(records)
        keys = None
        if plan.key is not None:
            keys = [_text(lookup(record, plan.key)) for record in records]
        scores, severity = np.full(n, np.nan), np.zeros(n, dtype=np.int64)
        scaled, taken = None, 0
        if self._model is not None:
            scores, severity = self._model.judge(records)
        else:
            extra = None if keys is None else self._context(keys, records, times)
            taken = self._learn_first(records, extra)
            if taken < n:
                assert self._scorer is not None
                rest = None if extra is None else extra[taken:]
                scaled = np.zeros((n, self.fields.width))
                scaled[taken:] = self.fields.transform(records[taken:], rest)
                some = None if keys is None else keys[taken:]
                scores[taken:] = self._scorer.score(scaled[taken:], some)
                severity = self.threshold.decide(scores)
        out = Judged(
            np.array(offsets, dtype=np.int64), times, scores, severity, late or [False] * n,
            arrived, since, records, keys, threshold=self._cut(),
        )  # fmt: skip
        self._tell(out, scaled, taken)
        for rule in self._rules:
            for found in rule.update(out):
                self._episode(**found)
        if self._watch is not None:
            self.drifts += self._watch.update(out)
        self.judged.append(out)

    def _cut(self) -> float:
        model = self.plan.model
        return self.threshold.threshold_ if model is None else model.threshold_

    def _context(
        self, keys: Sequence[str], records: list[Record], times: FloatArray
    ) -> FloatArray | None:
        if self._features is None:
            return None
        plan, n = self.plan, len(records)
        amount = np.full(n, np.nan)
        if plan.amount is not None:
            amount = np.array([number(lookup(r, plan.amount)) for r in records])
        place = np.full((n, 2), np.nan)
        if plan.place is not None:
            place = np.array([[number(lookup(r, name)) for name in plan.place] for r in records])
        return self._features.update(keys, times, amount, place)

    def _learn_first(self, records: list[Record], extra: FloatArray | None) -> int:
        """Keep the first records until they are enough to begin; how many were kept."""
        if self._scorer is not None:
            return 0
        taken = min(self.plan.warmup - len(self._head), len(records))
        self._head += records[:taken]
        if extra is not None:
            self._head_extra.append(extra[:taken])
        if len(self._head) == self.plan.warmup:
            X = self.fields.fit(
                self._head, np.vstack(self._head_extra) if extra is not None else None
            )
            self._begin(self.plan.new_detector().fit(X))
            self._head, self._head_extra = [], []
        return taken

    def _begin(self, detector: Any) -> None:
        plan = self.plan
        if plan.per_key:
            self._scorer = KeyScorer(detector, plan.capacity, self._spill)
        else:
            self._scorer = Scorer(detector)

    def _tell(self, out: Judged, scaled: FloatArray | None, taken: int) -> None:
        """Reasons of anomalies, and the events they belong to."""
        self._explain(out, scaled, taken)
        places = out.offsets if self.plan.time is None else np.nan_to_num(out.times)
        before = np.hstack([self._before, [places, out.scores, out.severity]])
        for i in np.flatnonzero(out.severity).tolist():
            episode = self._episode(
                key=out.keys[i] if out.keys is not None else "",
                place=float(places[i]),
                at=float(out.times[i] if np.isfinite(out.times[i]) else out.arrived[i]),
                item=int(out.offsets[i]),
                score=float(out.scores[i]),
                severity=int(out.severity[i]),
                reasons=out.reasons.get(i, []),
            )
            if episode["peak"] == out.offsets[i]:
                end = self._before.shape[1] + i + 1
                near = before[:, max(0, end - _BEFORE) : end]
                self.peaks[id(episode)] = Peak(
                    out.records[i], near[0], near[1], near[2].astype(np.int64)
                )
        self._before = before[:, -_BEFORE:].copy()

    def _explain(self, out: Judged, scaled: FloatArray | None, taken: int) -> None:
        if self._model is not None:
            chosen = self._allowance.choose(out.severity)
            if chosen:
                found = self._model.reasons([out.records[i] for i in chosen], MOST)
                out.reasons |= dict(zip(chosen, found, strict=True))
        elif scaled is not None:
            fields = self.fields
            for i in np.flatnonzero(out.severity).tolist():
                record = out.records[i]
                if isinstance(fields, Edges):
                    out.reasons[i] = of_edge(record, fields.names[:2])
                else:
                    out.reasons[i] = of_deviations(record, scaled[i], i - taken, fields)

    def _episode(self, **found: Any) -> Episode:
        episode = self._episodes.add(**found)
        self.episodes[id(episode)] = episode
        return episode

    # -- the state --------------------------------------------------------------------------------

    def clear(self) -> None:
        """What came out has been taken over."""
        self.judged, self.dead, self.episodes, self.drifts = [], [], {}, []
        self.peaks = {}
        self.moved, self.watermark.undated = False, 0

    def save(self) -> bytes:
        """The state after what has been fed, apart from keys' records."""
        saved = Checkpoint()
        scorer, model = self._scorer, self._model
        detector = None
        if scorer is not None:
            detector = scorer.detector
        elif model is not None and model.learns:
            detector = model.detector
        saved.parts = {
            "plan": _encode(self.plan.described()),
            "fields": self.fields, "watermark": self.watermark, "held": self.watermark.dump(),
            "threshold": self.threshold, "episodes": _encode(list(self._episodes.open_.items())),
            "rules": self._rules, "watch": self._watch, "detector": detector,
            "version": self.plan.model_version, "allowance": self._allowance.left,
            "before": self._before,
            "head": _encode(self._head), "extra": self._head_extra, "outbox": self.outbox,
            "position": None if self.position is None else _encode(self.position),
        }  # fmt: skip
        return io.dumps(saved, about={"at": time.time()})

    def _restore(self, saved: bytes) -> None:
        source = f"the state of {self.topic}/{self.partition}"
        parts = io.loads(saved, source=source).parts
        # One that was saved before plans were described has no description.
        if (plan := parts.get("plan")) is not None:
            _check_same(_decode(plan), _decode(_encode(self.plan.described())), source)
        self.fields, self.threshold = parts["fields"], parts["threshold"]
        self.watermark = parts["watermark"]
        self.watermark.refill(parts["held"])
        self._episodes = Episodes(self.plan.gap).start()
        self._episodes.open_.update(_decode(parts["episodes"]))
        self._rules, self.outbox = parts["rules"], parts["outbox"]
        self._allowance = Allowance(parts.get("allowance"))
        self._before = parts.get("before", self._before)
        # Of another version of the model neither what it learnt nor how it scored holds.
        same = parts.get("version", self.plan.model_version) == self.plan.model_version
        self._watch = self.plan.new_watch()
        if same and self._watch is not None and (kept := parts.get("watch")) is not None:
            self._watch = kept if kept.rows == self._watch.rows else self._watch
        self._head, self._head_extra = _decode(parts["head"]), parts["extra"]
        if parts["position"] is not None:
            self.position = Position(*_decode(parts["position"]))
        if self.plan.model is not None:
            self._model = ModelScorer(self.plan.model, parts["detector"] if same else None)
        elif parts["detector"] is not None:
            self._begin(parts["detector"])


def _check_same(before: dict[str, Any], now: dict[str, Any], source: str) -> None:
    """Refuse to go on with a state that other settings made."""
    changed = [
        f"{name} was {before.get(name, 'not given')} and is now {now.get(name, 'not given')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise DataError(
            f"was made with other options: {'; '.join(changed)}",
            source=source,
            remedy="give another --name, or the options it began with",
        )


def _text(value: Any) -> str:
    return "" if value is None else str(value).replace("\0", "\ufffd")
