"""`awry serve` and `awry keys`: the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from awry.cli.pipes import outlive_peers
from awry.cli.view import as_json, table, when
from awry.core.optional import optional

if TYPE_CHECKING:
    from awry.ops.keys import Keys


def _require() -> None:
    for module in ("fastapi", "uvicorn", "sqlalchemy"):
        optional(module, extra="server", needed_by="awry serve")


@click.command()
@click.option("--host", help="Address to listen at; beyond 127.0.0.1, requests need an API key.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen at, 8000 by default.")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that answer at that port.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
def serve(host: str | None, port: int | None, processes: int, log_level: str) -> None:
    """Serve detection over HTTP.

    Data are kept in the folder AWRY_HOME (by default ~/.awry), or in the PostgreSQL database
    AWRY_DATABASE_URL names.

    \b
    awry serve
    awry serve --processes 4
    awry serve --host 0.0.0.0 --port 80
    """
    _require()
    from awry.ops.settings import Settings
    from awry.server.processes import run

    settings = Settings.from_environment(host=host, port=port)
    if settings.needs_key:
        with _keys() as kept:
            if not kept.list():
                click.echo(
                    "awry: requests need an API key and there is none yet; make one with "
                    "awry keys create NAME --role admin",
                    err=True,
                )
    outlive_peers()
    run(settings, processes=processes, log_level=log_level)


@click.group()
def keys() -> None:
    """Make, list, change and revoke the API keys of the service."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["read", "write", "admin"]),
    default="read",
    show_default=True,
    help="read: look and judge; write: also upload, train and run; admin: also promote.",
)
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Days until it runs out.")
def create_key(name: str, role: str, days: float | None) -> None:
    """Make a key for NAME and print it: it cannot be shown again.

    \b
    awry keys create dashboard --role read
    """
    with _keys() as kept:
        click.echo(kept.create(name, role, days=days))


@keys.command("list")
@click.option("--json", "json_", is_flag=True, help="Print JSON for machines.")
def list_keys(json_: bool) -> None:
    """List the keys, without their secrets."""
    with _keys() as kept:
        found = kept.list()
    if json_:
        click.echo(as_json(found))
        return
    table(
        ["id", "name", "role", "created", "expires"],
        [[k["id"], k["name"], k["role"], when(k["created"]), when(k["expires"])] for k in found],
    )


@keys.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option(
    "--grace-days",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Days the old key still works.",
)
def rotate_key(key_id: str, grace_days: float) -> None:
    """Make a new key in the place of the one with ID, and print it.

    It ends when the old one would have; a key that is over gets none in its place.
    """
    with _keys() as kept:
        made = kept.rotate(key_id, grace_days=grace_days)
        (end,) = (key["expires"] for key in kept.list() if key["id"] == made.split("_")[1])
    click.echo(made)
    if end is not None:
        click.echo(f"it works until {when(end)}", err=True)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> None:
    """Let the key with ID work no longer."""
    with _keys() as kept:
        kept.revoke(key_id)
    click.echo(f"{key_id} works no longer")


@contextmanager
def _keys() -> Iterator[Keys]:
    """The keys of the service that the environment names."""
    _require()
    from awry.ops.errors import OpsError
    from awry.ops.keys import Keys
    from awry.ops.settings import Settings
    from awry.ops.store import Store

    store = Store(Settings.from_environment())
    try:
        yield Keys(store)
    except OpsError as error:
        raise click.ClickException(str(error)) from error
    finally:
        store.close()
