"""Scores rolled up by where they come from: those of a job are put in the place of others."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_NAMES = ("source", "model", "version", "role", "hour", "rows", "flagged", "sketch")


def _column(name: str) -> sa.ColumnClause[Any]:
    return sa.column(name)


def upgrade() -> None:
    """Make the table anew with the origin in its key; what is in it gets the one it must have."""
    op.create_table(
        "new_rollups",
        sa.Column("source", sa.String(200), primary_key=True),
        sa.Column("model", sa.String(100), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("role", sa.String(10), primary_key=True),
        sa.Column("origin", sa.String(10), primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("flagged", sa.BigInteger, nullable=False),
        sa.Column("sketch", sa.Text, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
    )
    old = sa.table("score_rollups", *map(_column, (*_NAMES, "updated")))
    new = sa.table("new_rollups", *map(_column, (*_NAMES, "updated", "origin")))
    judged = sa.table("judgements", sa.column("source"), sa.column("origin"))
    streamed = sa.exists().where(judged.c.source == old.c.source, judged.c.origin == "stream")
    origin = sa.case((old.c.source == old.c.model, "request"), (streamed, "stream"), else_="job")
    # All hours of a job are of one time.
    same = old.alias()
    key = [same.c[name] == old.c[name] for name in ("source", "model", "version", "role")]
    last = sa.select(sa.func.max(same.c.updated)).where(*key).scalar_subquery()
    updated = sa.case((origin == "job", last), else_=old.c.updated)
    rows = sa.select(*(old.c[name] for name in _NAMES), updated, origin)
    op.execute(new.insert().from_select([*_NAMES, "updated", "origin"], rows))
    op.drop_table("score_rollups")
    op.rename_table("new_rollups", "score_rollups")
    op.create_index("ix_score_rollups_updated", "score_rollups", ["updated"])
