"""What a stream found, where all findings are looked for: rates by the hour, and incidents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.ops.findings import incident_between, refresh
from awry.ops.judgement import Judgement, Numbers
from awry.ops.rollup import roll_up
from awry.ops.tables import events
from awry.stream.lane import Lane

#: Seconds between events of one incident where the events have no time of their own.
_GAP = 300.0
#: Events asked for in one statement.
_AT_ONCE = 500


def add_rates(connection: sa.Connection, stream: str, lanes: Sequence[Lane]) -> None:
    """Count the scores of all ``lanes`` in their hours, all at once.

    Hours are locked in their order, so that no two workers wait for one another.
    """
    parts = [part for lane in lanes for part in lane.judged]
    if not parts:
        return
    plan = lanes[0].plan
    roll_up(
        connection,
        Judgement(
            stream, "stream", Numbers(np.concatenate([part.offsets for part in parts])),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.severity for part in parts]),
            np.concatenate([part.times for part in parts]),
            model=plan.model_name, version=plan.model_version,
        ),
    )  # fmt: skip


def join_incidents(connection: sa.Connection, stream: str, lanes: Sequence[Lane]) -> None:
    """Put the events of ``lanes``, which are kept already, into incidents, and renew these."""
    numbers = [episode["id"] for lane in lanes for episode in lane.episodes.values()]
    if not numbers:
        return
    found: list[Any] = []
    for at in range(0, len(numbers), _AT_ONCE):
        chosen = events.c.id.in_(numbers[at : at + _AT_ONCE])
        columns = (events.c.id, events.c.incident, events.c.start, events.c.end)
        found += connection.execute(sa.select(*columns).where(chosen)).all()
    touched = {event.incident for event in found if event.incident is not None}
    fresh = sorted((e for e in found if e.incident is None), key=lambda e: (e.start, e.id))
    plan = lanes[0].plan
    gap = _GAP if plan.time is None else plan.gap
    for group in _together(fresh, gap):
        start, end = group[0].start, max(event.end for event in group)
        home = incident_between(connection, stream, start, end, gap, time.time())
        for at in range(0, len(group), _AT_ONCE):
            some = [event.id for event in group[at : at + _AT_ONCE]]
            connection.execute(events.update().where(events.c.id.in_(some)).values(incident=home))
        touched.add(home)
    # Always in the same order, as above.
    for one in sorted(touched):
        refresh(connection, one)


def _together(found: list[Any], gap: float) -> Iterator[list[Any]]:
    """Events in order of their start, cut where nothing happened for longer than ``gap``."""
    group: list[Any] = []
    end = -np.inf
    for event in found:
        if group and event.start > end + gap:
            yield group
            group, end = [], -np.inf
        group.append(event)
        end = max(end, event.end)
    if group:
        yield group
