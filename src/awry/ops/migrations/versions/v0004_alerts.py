"""Alerts that are acknowledged, escalated and told of; what sinks are to be told; first rules."""

from __future__ import annotations

import json
import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

#: What is watched until somebody says otherwise.
_RULES = (
    {"name": "events", "kind": "event", "at_least": "critical", "window": 900},
    {"name": "anomaly-rate", "kind": "rate", "window": 300, "threshold": 0.01, "times": 3,
     "baseline": 3600, "severity": "critical"},
    {"name": "drift", "kind": "drift", "window": 86_400},
    {"name": "stale-model", "kind": "stale", "window": 2_592_000},
)  # fmt: skip


def upgrade() -> None:
    """Widen the table of alerts, make that of deliveries, and write down the first rules."""
    op.drop_column("alerts", "deliveries")
    for column in (
        sa.Column("origin", sa.String(12), nullable=False, server_default="rule"),
        sa.Column("acknowledged", sa.Float),
        sa.Column("acknowledged_by", sa.String(100)),
        sa.Column("told", sa.Float),
        sa.Column("retold", sa.Float),
        sa.Column("told_state", sa.String(12)),
        sa.Column("escalated", sa.Float),
    ):
        op.add_column("alerts", column)
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "alert_deliveries",
        sa.Column("id", serial, primary_key=True),
        sa.Column("sink", sa.String(100), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next", sa.Float, nullable=False),
        sa.Column("created", sa.Float, nullable=False, index=True),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("error", sa.String(500)),
        sa.Index("alert_deliveries_due", "sink", "state", "next"),
    )
    op.create_index("events_by_status", "events", ["status", "severity", "updated"])
    rules = sa.table(
        "alert_rules", sa.column("name"), sa.column("rule"), sa.column("enabled"),
        sa.column("updated"), sa.column("by"),
    )  # fmt: skip
    written = {"enabled": True, "updated": time.time(), "by": "awry"}
    op.bulk_insert(
        rules, [{"name": one["name"], "rule": json.dumps(one), **written} for one in _RULES]
    )
