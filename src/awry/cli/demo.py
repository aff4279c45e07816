"""`awry demo`: all of awry on one machine, in a minute."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import click

from awry.cli.detect import show
from awry.cli.pipes import outlive_peers
from awry.cli.view import progress

#: What the service and the stream need beside awry itself.
_NEEDED = ("fastapi", "uvicorn", "sqlalchemy", "msgspec", "httpx2")


@click.command()
@click.option("--folder", default="awry-demo", show_default=True, type=click.Path(file_okay=False))
@click.option("--quick", is_flag=True, help="The first part alone, without a service.")
@click.option("--keep-serving", is_flag=True, help="Leave the service up until Ctrl-C.")
def demo(folder: str, quick: bool, keep_serving: bool) -> None:
    """Find the odd ones among 367 breast masses; then run a service, a stream and an attack.

    The first part judges real data that ships with awry, without their diagnoses. The second starts
    a service in the folder: it makes four data sets, trains models, judges a stream, plants an
    attack, alerts, hears what people say, sees the data drift, trains anew and rolls back. All of
    it ends with the command.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    report = _breast_masses(target)
    opened = [f"report of the first part:  {report.resolve().as_uri()}"]
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing and not quick:
        click.echo("\nThe second part needs: pip install 'awry[server]'")
    elif not quick:
        opened += _story(target.resolve(), keep_serving)
    if not keep_serving:
        _tell(opened)


def _breast_masses(target: Path) -> Path:
    """The main job, on data whose truth is known; the report."""
    from awry import run
    from awry.cli.writing import Writer
    from awry.data import samples

    source, label = samples.path("wdbc"), "malignant"
    with progress():
        result = run.detect(source, label=label)
        with Writer(str(target / "anomalies.csv")) as writer:
            writer.write(result)
        report = result.report(target / "report.html")
    show(result, 10)
    truth = run.labels_of(source, label)
    odd = int(truth.sum())
    found = int(truth[result.top(odd)].sum())
    click.echo(
        f"The diagnoses, which the detector did not see: {found} of the {odd} malignant "
        f"masses are among the {odd} highest scores."
    )
    click.echo(f"every row: {target / 'anomalies.csv'}")
    click.echo(f"report:    {report.resolve().as_uri()}")
    return report


def _story(folder: Path, keep_serving: bool) -> list[str]:
    """The second part; what there is to open."""
    from awry.cli import story
    from awry.cli.children import Children, free_port
    from awry.client import Client

    outlive_peers()
    home, port = folder / "service", free_port()
    story.clear(home)
    (folder / "alerts.jsonl").unlink(missing_ok=True)
    home.mkdir(mode=0o700)
    url = f"http://127.0.0.1:{port}"
    surroundings = story.environment(dict(os.environ), home, folder, port)
    opened = [f"alerts that were told:     {folder / 'alerts.jsonl'}"]
    with Children(folder, surroundings) as children, Client(url) as client:
        server = children.start("serve", "serve", "--log-level", "warning")
        children.wait_for(lambda: _answers(client), "answer of the service")
        click.echo(f"\nA service runs at {url}")
        stage = story.Stage(folder, home, client, children)
        for step in story.STEPS:
            step(stage)
        if keep_serving:
            _tell([*opened, f"the service's page:        {url}/ until Ctrl-C"])
            try:
                server.wait()
            except KeyboardInterrupt:
                click.echo("\nThe service ends.")
    return [*opened, f"the service, once more:    AWRY_HOME='{home}' awry serve"]


def _answers(client: object) -> bool:
    import httpx2

    try:
        return bool(client.ready()["ready"])  # type: ignore[attr-defined]
    except httpx2.TransportError:
        return False


def _tell(opened: list[str]) -> None:
    click.secho("\nTo open:", bold=True)
    for line in opened:
        click.echo(f"   {line}")
