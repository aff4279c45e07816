"""Challengers, golden sets, kept rows and policies of retraining."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

#: As :data:`awry.ops.tables.Serial`.
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of rollout and retraining."""
    op.create_table(
        "leases",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_table(
        "rollouts",
        sa.Column("model", sa.String(100), sa.ForeignKey("models.name"), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("stage", sa.String(10), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("key", sa.String(1000)),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("automatic", sa.Boolean, nullable=False),
    )
    op.create_table(
        "comparisons",
        sa.Column("model", sa.String(100), primary_key=True),
        sa.Column("champion", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("challenger", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("both", sa.BigInteger, nullable=False),
        sa.Column("champion_only", sa.BigInteger, nullable=False),
        sa.Column("challenger_only", sa.BigInteger, nullable=False),
        sa.Column("answered", sa.BigInteger, nullable=False),
        sa.Column("answered_flagged", sa.BigInteger, nullable=False),
        sa.Column("champion_seconds", sa.Text, nullable=False),
        sa.Column("challenger_seconds", sa.Text, nullable=False),
        sa.Column("updated", sa.Float, nullable=False, index=True),
    )
    op.create_table(
        "golden_rows",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("model", sa.String(100), sa.ForeignKey("models.name"), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("label", sa.SmallInteger, nullable=False),
        sa.Column("origin", sa.String(40), nullable=False),
        sa.Column("row", sa.Text, nullable=False),
        sa.Column("added", sa.Float, nullable=False),
        sa.UniqueConstraint("model", "digest", name="golden_rows_once"),
    )
    op.create_table(
        "kept_rows",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("priority", sa.Float, nullable=False),
        sa.Column("item", sa.String(300), nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("row", sa.Text, nullable=False),
    )
    op.create_table(
        "policies",
        sa.Column("model", sa.String(100), sa.ForeignKey("models.name"), primary_key=True),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("tried", sa.Float, nullable=False),
        sa.Column("job", sa.String(32)),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("decided", sa.Float, nullable=False),
    )
    op.create_index("kept_rows_by_hour", "kept_rows", ["model", "hour", "priority"])
