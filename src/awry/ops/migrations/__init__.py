"""Brings the tables of a database to the version this awry knows, with Alembic.

Each file of ``versions`` holds one step, written down as it was at its time and never changed
after. All steps that are missing run in the caller's transaction, so that a database is at the
version before or at the newest, never between. The table ``migrations`` tells which ran, and when;
an awry older than a database reads there that it must not use it.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from awry.ops.tables import migrations

#: Alembic keeps what it is at in module variables.
_one_at_a_time = threading.Lock()


def scripts() -> ScriptDirectory:
    """The steps, in order."""
    config = Config()
    config.set_main_option("script_location", "awry.ops:migrations")
    return ScriptDirectory.from_config(config)


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Run the steps up to ``to`` that ``connection``'s database lacks.

    A database from before Alembic, which has ``migrations`` alone, is taken up as the version it
    names there.
    """
    steps = scripts()
    old = _version_before_alembic(connection)
    with _one_at_a_time:
        if old:
            _run(connection, steps, lambda at, context: steps._stamp_revs(old, ()))
        _run(connection, steps, lambda at, context: steps._upgrade_revs(to, at))


def _version_before_alembic(connection: sa.Connection) -> str | None:
    found = sa.inspect(connection)
    if not found.has_table("migrations") or found.has_table("alembic_version"):
        return None
    return f"{connection.scalar(sa.select(sa.func.max(migrations.c.version))):04}"


def _run(connection: sa.Connection, steps: ScriptDirectory, plan: Any) -> None:
    with EnvironmentContext(Config(), steps, fn=plan) as environment:
        environment.configure(
            connection=connection, transactional_ddl=True, on_version_apply=_write_down
        )
        environment.run_migrations()


def _write_down(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    if not step.is_stamp:
        values = {"version": int(step.up_revision_id), "applied": time.time()}
        ctx.connection.execute(migrations.insert().values(**values))
