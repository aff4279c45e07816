"""Anomalies of one key close together are one event, which grows as they come."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Any

from awry.core.params import Configurable, integer, real

#: What is kept of an event; ``id`` is the database's number of it, once it has one.
Episode = dict[str, Any]
#: Events looked at, with each anomaly, whether they have ended.
_AT_ONCE = 2


class Episodes(Configurable):
    """Events under way, the latest ``most`` of them.

    Those that have ended are let go of as others come, two at a time: a single anomaly whose clock
    is wrong does not end them all.

    Parameters
    ----------
    gap : float
        Two anomalies of a key at most so far apart belong together.
    most : int, default=10_000
        Events that can still grow; the oldest end early.
    """

    constraints = {"gap": real(0.0), "most": integer(1)}

    def __init__(self, gap: float = 300.0, most: int = 10_000) -> None:
        self.gap = gap
        self.most = most

    def start(self) -> Episodes:
        """Forget all events."""
        self.check_params()
        self.open_: OrderedDict[str, Episode] | dict[str, Episode] = OrderedDict()
        return self

    def add(
        self,
        key: str,
        place: float,
        *,
        at: float,
        item: int,
        score: float,
        severity: int,
        reasons: list[dict[str, Any]],
        kind: str = "point",
        words: str = "",
    ) -> Episode:
        """The event an anomaly belongs to, with it.

        Parameters
        ----------
        key : str
        place : float
            Where the anomaly is on the axis on which ``gap`` is measured.
        at : float
            When it was, in seconds.
        item : int
            Its offset.
        """
        name = f"{kind}:{key}"
        found = self.open_.pop(name, None)
        if found is None or abs(place - found["place"]) > self.gap:
            found = {
                "id": None, "key": key, "kind": kind, "words": words, "start": at,
                "end": at, "place": place,
                "items": 0, "peak": item, "score": score, "severity": 0, "reasons": reasons,
            }  # fmt: skip
        found["items"] += 1
        found["start"], found["end"] = min(found["start"], at), max(found["end"], at)
        found["place"] = max(found["place"], place)
        found["severity"] = max(found["severity"], severity)
        if score > found["score"]:
            # Not every anomaly is explained: then what was said of the event holds.
            told = reasons or found["reasons"]
            found.update(peak=item, score=score, reasons=told, words=words)
        found["reasons"] = found["reasons"] or reasons
        self.open_[name] = found
        for oldest in list(islice(self.open_, _AT_ONCE)):
            over = len(self.open_) > self.most
            if over or abs(place - self.open_[oldest]["place"]) > self.gap:
                del self.open_[oldest]
        return found
