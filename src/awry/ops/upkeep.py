"""Deletes what is older than it is to be kept, a little at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import sqlalchemy as sa

from awry.ops.beside import Beside
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import (
    alert_deliveries,
    alerts,
    events,
    incidents,
    judgements,
    score_rollups,
    scores,
)

_log = logging.getLogger(__name__)
_DAY = 86_400.0
#: Rows deleted in one transaction: others wait no longer than for these.
_STEP = 20_000


class Upkeep:
    """Runs beside a service.

    Several processes may do so on one database: what one has deleted, another does not find.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._beside = Beside("awry-upkeep", settings.upkeep_seconds, self.run, at_once=False)
        self.start, self.close = self._beside.start, self._beside.close

    def run(self, now: float | None = None) -> int:
        """Delete all that is too old, and return how many rows that were."""
        now = time.time() if now is None else now
        scored = now - self._settings.scores_days * _DAY
        happened = now - self._settings.events_days * _DAY
        steps: list[Callable[[sa.Connection], int]] = [
            lambda c: _delete(c, scores, scores.c.judgement.in_(
                sa.select(judgements.c.id).where(judgements.c.at < scored))),
            # Their scores are gone by now, which a judgement must not go before.
            lambda c: _delete(c, judgements, judgements.c.at < scored),
            lambda c: _delete(c, events, events.c.created < happened),
            lambda c: _delete(c, incidents, sa.and_(
                incidents.c.created < happened,
                ~sa.exists().where(events.c.incident == incidents.c.id))),
            lambda c: _delete(c, alert_deliveries, sa.and_(
                alert_deliveries.c.created < happened, alert_deliveries.c.state != "waiting")),
            lambda c: _delete(c, alerts, sa.and_(
                alerts.c.updated < happened, alerts.c.state == "resolved")),
            lambda c: c.execute(score_rollups.delete().where(
                score_rollups.c.updated < happened)).rowcount,
        ]  # fmt: skip
        total = 0
        for step in steps:
            while not self._beside.stopping:
                with self._store.write() as connection:
                    gone = step(connection)
                total += gone
                if gone != _STEP:
                    break
        if total:
            _log.info("deleted %d rows that were to be kept no longer", total)
        return total


def _delete(connection: sa.Connection, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    some = sa.select(table.c.id).where(old).limit(_STEP)
    return connection.execute(table.delete().where(table.c.id.in_(some))).rowcount
