"""What was found: scores, events, incidents, feedback; alerts, audit, streams."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

#: Numbers rows by themselves; SQLite does so for the type INTEGER alone.
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of findings, alerts and streams."""
    op.create_table(
        "judgements",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("at", sa.Float, nullable=False, index=True),
        sa.Column("origin", sa.String(10), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("model", sa.String(100)),
        sa.Column("version", sa.Integer),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("threshold", sa.Float),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("flagged", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("job", sa.String(32)),
        sa.Index("judgements_by_model", "model", "version", "at"),
        sa.Index("judgements_by_source", "source", "at"),
    )  # fmt: skip
    op.create_table(
        "scores",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("judgement", _SERIAL, sa.ForeignKey("judgements.id"), nullable=False),
        sa.Column("item", sa.String(300), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Index("scores_by_judgement", "judgement", "severity"),
        sa.Index("anomalies", "at", "id", sqlite_where=sa.text("severity > 0"),
                 postgresql_where=sa.text("severity > 0")),
    )  # fmt: skip
    op.create_table(
        "score_rollups",
        sa.Column("source", sa.String(200), primary_key=True),
        sa.Column("model", sa.String(100), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("role", sa.String(10), primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("flagged", sa.BigInteger, nullable=False),
        sa.Column("sketch", sa.Text, nullable=False),
        sa.Column("updated", sa.Float, nullable=False, index=True),
    )  # fmt: skip
    op.create_table(
        "incidents",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("start", sa.Float, nullable=False),
        sa.Column("end", sa.Float, nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("keys", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Index("incidents_by_start", "start", "id"),
        sa.Index("incidents_by_source", "source", "start"),
    )  # fmt: skip
    op.create_table(
        "events",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("judgement", _SERIAL, sa.ForeignKey("judgements.id", ondelete="SET NULL"),
                  index=True),
        sa.Column("incident", _SERIAL, sa.ForeignKey("incidents.id"), index=True),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("model", sa.String(100)),
        sa.Column("version", sa.Integer),
        sa.Column("key", sa.String(300)),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("start", sa.Float, nullable=False),
        sa.Column("end", sa.Float, nullable=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("peak", sa.String(300), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("threshold", sa.Float),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("verdict", sa.String(12)),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("extract", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Index("events_by_start", "start", "id"),
        sa.Index("events_by_source", "source", "start"),
        sa.Index("events_by_model", "model", "verdict"),
        sa.Index("events_by_created", "created"),
    )  # fmt: skip
    op.create_table(
        "event_features",
        sa.Column("feature", sa.String(300), primary_key=True),
        sa.Column("event", _SERIAL, sa.ForeignKey("events.id", ondelete="CASCADE"),
                  primary_key=True, autoincrement=False, index=True),
    )  # fmt: skip
    op.create_table(
        "feedback",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("event", _SERIAL, sa.ForeignKey("events.id", ondelete="CASCADE"), nullable=False,
                  index=True),
        sa.Column("verdict", sa.String(12), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )  # fmt: skip
    op.create_table(
        "alert_rules",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
    )  # fmt: skip
    op.create_table(
        "alerts",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("rule", sa.String(100), nullable=False, index=True),
        sa.Column("fingerprint", sa.String(64), nullable=False, index=True),
        sa.Column("state", sa.String(12), nullable=False, index=True),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("started", sa.Float, nullable=False, index=True),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("resolved", sa.Float),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("deliveries", sa.Text),
    )  # fmt: skip
    op.create_table(
        "drift_reports",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("model", sa.String(100)),
        sa.Column("version", sa.Integer),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("drifted", sa.Boolean, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Index("drift_reports_by_source", "source", "at"),
    )  # fmt: skip
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("object", sa.String(300), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )  # fmt: skip
    op.create_table(
        "stream_offsets",
        sa.Column("source", sa.String(200), primary_key=True),
        sa.Column("topic", sa.String(255), primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
    )  # fmt: skip
    op.create_table(
        "stream_states",
        sa.Column("stream", sa.String(200), primary_key=True),
        sa.Column("key", sa.String(300), primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
    )  # fmt: skip
