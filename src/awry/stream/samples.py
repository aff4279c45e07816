"""Some of the events that a model judged in a stream, kept for its retraining."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.core.inputs import FloatArray, IntArray
from awry.data.tables import flatten
from awry.ops.judgement import Found, Judgement
from awry.ops.keeper import Keeper
from awry.stream.lane import Lane
from awry.stream.records import Judged


def keep_rows(
    connection: sa.Connection, keeper: Keeper, stream: str, lane: Lane, name: str
) -> None:
    """Keep some of the rows that ``lane`` judged, in the transaction that keeps their scores.

    Parameters
    ----------
    name : str
        What the items of the lane are called, before their offsets.
    """
    parts, plan = lane.judged, lane.plan
    if not parts or plan.model_name is None:
        return
    offsets: IntArray = np.concatenate([part.offsets for part in parts])
    ends = np.cumsum([len(part) for part in parts])

    def rows(places: list[int]) -> Iterable[dict[str, Any]]:
        for i in places:
            part = int(np.searchsorted(ends, i, "right"))
            yield flatten(parts[part].records[i - int(ends[part])])

    made = Judgement(
        stream, "stream", _Items(name, offsets), np.concatenate([part.scores for part in parts]),
        np.concatenate([part.severity for part in parts]),
        np.concatenate([_times(part) for part in parts]),
        model=plan.model_name, version=plan.model_version,
    )  # fmt: skip
    place = {offset: i for i, offset in enumerate(offsets.tolist())}
    made.events = [
        Found(i, i, i, episode["score"], episode["severity"], 1, episode["start"], episode["end"])
        for episode in lane.episodes.values()
        # The peak of an event that has grown may have been kept before.
        if (i := place.get(episode["peak"])) is not None
    ]
    keeper.keep(made, rows, connection)


def _times(part: Judged) -> FloatArray:
    """When events were, on the axis of those that :mod:`awry.stream.lane` tells of."""
    return np.where(np.isfinite(part.times), part.times, part.arrived)


class _Items(Sequence[str]):
    """What events are called, made when asked for."""

    def __init__(self, name: str, offsets: IntArray) -> None:
        self._name, self._offsets = name, offsets

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, i: Any) -> Any:
        return f"{self._name}{self._offsets[i]}"
