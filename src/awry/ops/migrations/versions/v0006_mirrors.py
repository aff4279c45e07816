"""What of the models has been told to registries elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table of what is mirrored."""
    op.create_table(
        "mirrored",
        sa.Column("mirror", sa.String(20), primary_key=True),
        sa.Column("item", sa.String(300), primary_key=True),
        sa.Column("value", sa.String(300), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
