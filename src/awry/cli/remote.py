"""`awry remote`: a running service, from the command line."""

from __future__ import annotations

from typing import Any

import click

from awry.cli import (
    remote_alerts,
    remote_data,
    remote_drift,
    remote_findings,
    remote_models,
    remote_view,
)
from awry.cli.pipes import outlive_peers
from awry.client import Client, ServiceError
from awry.core.optional import optional

_URL = "http://127.0.0.1:8000"


class UnavailableError(click.ClickException):
    """The service does not answer, or cannot now: worth trying again."""

    exit_code = 3


class _Remote(click.Group):
    """Tells what went wrong in a line, whichever command it was."""

    def invoke(self, ctx: click.Context) -> Any:
        httpx = optional("httpx2", extra="server", needed_by="awry remote")
        outlive_peers()
        try:
            return super().invoke(ctx)
        except ServiceError as error:
            kind = UnavailableError if error.status >= 500 else click.ClickException
            raise kind(str(error)) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UnavailableError(f"{ctx.params['url']} does not answer: {error}") from error
        except TimeoutError as error:
            raise UnavailableError(str(error)) from error


@click.group(cls=_Remote)
@click.option("--url", envvar="AWRY_URL", default=_URL, show_default=True, show_envvar=True,
              help="Where the service is.")  # fmt: skip
@click.option("--key", envvar=["AWRY_KEY", "AWRY_API_KEY"], show_envvar=True, help="Its API key.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=60.0,
              show_default=True, help="Seconds to wait for an answer.")  # fmt: skip
@click.pass_context
def remote(ctx: click.Context, url: str, key: str | None, timeout: float) -> None:
    """Ask a service that `awry serve` runs, here or elsewhere.

    Exits with 2 where the service refuses, 3 where it does not answer or cannot now.

    \b
    export AWRY_URL=https://awry.example AWRY_KEY=awry_...
    awry remote upload payments-2024 payments.parquet
    awry remote train payments payments-2024 --wait
    awry remote events --status open
    """
    ctx.obj = ctx.with_resource(Client(url, key=key, timeout=timeout))


@remote.command()
@remote_view.json_
@click.pass_context
def ready(ctx: click.Context, json_: bool) -> None:
    """Tell whether the service and what it depends on answer; exit with 3 where one does not."""
    client: Client = ctx.obj
    found = client.health() | client.ready()
    rows = [
        [name, "answers" if one["ok"] else one["error"], one.get("latency_ms")]
        for name, one in found["dependencies"].items()
    ]
    remote_view.show(found, ["", "", "ms"], rows, json_)
    if not found["ready"]:
        ctx.exit(UnavailableError.exit_code)


for _module in (remote_data, remote_models, remote_drift, remote_findings, remote_alerts):
    for _command in vars(_module).values():
        if isinstance(_command, click.Command):
            remote.add_command(_command)
