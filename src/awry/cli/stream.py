"""`awry stream`: judge events as they come."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from awry.cli.options import literal, names, pairs, param, parameters
from awry.cli.pipes import outlive_peers
from awry.core.optional import optional

if TYPE_CHECKING:
    from awry.ops.settings import Settings
    from awry.stream.plan import Plan
    from awry.stream.worker import Worker

_DATABASES = ("sqlite", "postgresql")


@click.command()
@click.option(
    "--from",
    "source",
    required=True,
    metavar="ADDRESS",
    help="kafka://host/topic, redis://host/stream, mqtt://host/topic, file:///path, "
    "http://127.0.0.1:PORT/ to be sent events, generator://NAME, or - for standard "
    "input.",
)
@click.option(
    "--to",
    "sinks",
    multiple=True,
    metavar="ADDRESS",
    help="postgresql://, sqlite:///, kafka://host/topic, webhook+https://, influx://, "
    "file:///path or -; may be repeated. Databases keep all scores, the others are "
    "told of anomalies, with ?rows=all of every event.",
)
@click.option("--dead", metavar="ADDRESS", help="Where messages go that cannot be judged.")
@click.option(
    "-d", "--detector", help="Learns from the stream itself; streaming_gaussian by default."
)
@click.option(
    "--model",
    metavar="NAME",
    help="A model of the service, in place of --detector: with its own columns and threshold.",
)
@param()
@click.option(
    "-t",
    "--threshold",
    default="adaptive:0.001",
    show_default=True,
    metavar="RULE",
    help="See awry detect; renewed as scores come.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["json", "csv", "avro", "protobuf"]),
    help="By default json, and csv of a file whose name ends so.",
)
@click.option(
    "--schema", metavar="FILE", help="avro: .avsc; protobuf: a descriptor set and #package.Message."
)
@click.option("--header", metavar="NAMES", help="csv: the columns, if the file has no header.")
@click.option(
    "--fields",
    metavar="NAMES",
    help="Fields to judge; by default all that can be. MIDAS: source, target and time.",
)
@click.option("--ignore", metavar="NAMES", help="Fields not to judge.")
@click.option("--key", metavar="FIELD", help="The card, host or sensor an event is of.")
@click.option("--per-key", is_flag=True, help="A detector for each key, in place of one for all.")
@click.option("--time", "time_", metavar="FIELD", help="When an event happened.")
@click.option("--amount", metavar="FIELD", help="Held beside the key's mean of 30 days.")
@click.option("--place", metavar="LAT,LON", help="Held beside the key's last place.")
@click.option(
    "--lateness",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Seconds to wait for events that come out of order.",
)
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="RULE",
    help="burst:FIELD=VALUE,distinct=FIELD,window=60,count=20,least=5 or rate:window=60; "
    "may be repeated. Needs --time.",
)
@click.option(
    "--warmup",
    type=click.IntRange(16),
    default=256,
    show_default=True,
    help="Events to begin from, which are not judged.",
)
@click.option(
    "--drift",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="EVENTS",
    help="Compare so many events with the first so many, again and again; 0 for never.",
)
@click.option("--keys-in-memory", type=click.IntRange(16), default=100_000, show_default=True)
@click.option(
    "--name",
    help="The stream goes on under this name where it ended; by default the address it comes from.",
)
@click.option(
    "--state",
    metavar="ADDRESS",
    help="Database of state and offsets where --to names none; by default the service's.",
)
@click.option(
    "--every",
    type=click.FloatRange(0.001),
    default=0.25,
    show_default=True,
    help="Seconds between commits of scores, state and offsets.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=2_000,
    show_default=True,
    help="Events read at a time.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    help="Serve Prometheus metrics at this port.",
)
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to serve them at; whoever reaches it can read them.",
)
@click.option("--seed", "random_state", type=click.IntRange(0), default=0, show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def stream(
    source: str, sinks: tuple[str, ...], dead: str | None, quiet: bool, **options: Any
) -> None:
    """Judge events as they come, and go on where it ended.

    Scores, state and offsets are kept together: a worker that is killed and started again gives
    what one gives that never was. Ctrl-C keeps what is done and ends.

    \b
    awry stream --from 'generator://financial_transactions?rate=1000' --to -
    awry stream --from kafka://broker:9092/payments --key card --time at \\
        --to postgresql://db/awry --to kafka://broker:9092/alerts
    """
    for module in ("msgspec", "sqlalchemy"):
        optional(module, extra="stream", needed_by="awry stream")
    from awry.ops.store import Store
    from awry.stream.sinks import open_sink
    from awry.stream.sources import open_source
    from awry.stream.worker import Worker

    outlive_peers()
    databases = [s for s in sinks if s.partition(":")[0].partition("+")[0] in _DATABASES]
    if len(databases) > 1:
        raise click.UsageError("one database keeps the scores and the state; give one with --to")
    told = [open_sink(s) for s in sinks if s not in databases]
    if dead is not None:
        sink = open_sink(dead)
        sink.rows = "dead"
        told.append(sink)
    settings = _settings(databases[0] if databases else options["state"])
    with _errors_told(settings), contextlib.closing(Store(settings)) as store:
        worker = Worker(
            open_source(source), _plan(source, settings, store, options), store, told,
            name=options["name"], keep_scores=bool(databases), batch=options["batch"],
            every=options["every"], **_of_the_service(options["model"], settings, store),
        )  # fmt: skip
        _run(worker, options["metrics_port"], options["metrics_host"], quiet)


def _settings(database: str | None) -> Settings:
    from awry.ops.settings import Settings

    return Settings.from_environment(database_url=database)


def _plan(source: str, settings: Settings, store: Any, options: dict[str, Any]) -> Plan:
    from awry.stream.formats import decoder
    from awry.stream.plan import WITHOUT_MODEL, Plan
    from awry.stream.rules import make_rule

    detector = options["detector"] or "streaming_gaussian"
    model, version = None, None
    if options["model"] is not None:
        _refuse_beside_model(WITHOUT_MODEL)
        from awry.ops.models import Models

        version, model = _load(Models(store, settings), options["model"], settings)
    place = names(options["place"])
    if place is not None and len(place) != 2:
        raise click.BadParameter("must be LAT,LON", param_hint="--place")
    header, is_file = options["header"], source.startswith("file://")
    is_csv = is_file and source.partition("?")[0].lower().endswith((".csv", ".tsv"))
    format_ = options["format_"] or ("csv" if is_csv else "json")
    if format_ == "csv" and header is None and is_file:
        header = _first_line(source)
    return Plan(
        detector=detector,
        params=parameters(detector, pairs(options["params"], "--param")),
        model=model,
        model_name=options["model"],
        model_version=version,
        fields=names(options["fields"]),
        ignore=tuple(names(options["ignore"]) or ()),
        key=options["key"],
        per_key=options["per_key"],
        time=options["time_"],
        amount=options["amount"],
        place=None if place is None else (place[0], place[1]),
        lateness=options["lateness"],
        threshold=literal(options["threshold"]),
        warmup=options["warmup"],
        capacity=options["keys_in_memory"],
        gap=300.0 if options["time_"] else 100.0,
        random_state=options["random_state"],
        decode=decoder(format_, schema=options["schema"], header=header),
        rules=tuple(make_rule(rule) for rule in options["rules"]),
        drift=options["drift"],
    )


def _refuse_beside_model(names: tuple[str, ...]) -> None:
    """Refuse options that were given and have no effect beside ``--model``."""
    context = click.get_current_context()
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if option.name in names and source is not ParameterSource.DEFAULT:
            raise click.UsageError(
                f"{option.opts[-1]} has no effect beside --model, which has its own"
            )


def _load(models: Any, name: str, settings: Settings) -> Any:
    """The version of a model that is in charge; where there is none, what there is, and where."""
    import sqlalchemy as sa

    from awry.core.errors import no_such
    from awry.ops.errors import NotFoundError

    try:
        return models.load(name)
    except NotFoundError as error:
        known = [one["name"] for one in models.list()]
        remedy = no_such("model", name, known)[1] if known else (
            "it has no models: name the service's database with --to, --state or AWRY_DATABASE_URL"
        )  # fmt: skip
        place = sa.make_url(settings.database_url).render_as_string()
        raise NotFoundError(f"there is no model {name!r} in {place}", remedy=remedy) from error


def _of_the_service(model: str | None, settings: Settings, store: Any) -> dict[str, Any]:
    """What follows a model of the service, and what its retraining learns from."""
    if model is None:
        return {}
    from awry.ops.keeper import Keeper
    from awry.ops.models import Models
    from awry.stream.champion import Champion

    champion = Champion(Models(store, settings), model)
    return {"champion": champion, "keeper": Keeper(store, settings)}


def _first_line(source: str) -> str:
    from pathlib import Path

    from awry.core.errors import DataError
    from awry.stream.address import Address

    address = Address.parse(source)
    path = Path(address.host + address.path)
    with path.open("rb") as file:
        try:
            line = file.readline(1 << 20).decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError("the first line is not UTF-8", source=str(path)) from error
    if not line.strip():
        raise DataError(
            "the first line is empty and names no columns",
            source=str(path),
            remedy="give them with --header",
        )
    return line


def _run(worker: Worker, metrics_port: int | None, metrics_host: str, quiet: bool) -> None:
    if metrics_port is not None:
        from awry.stream.metrics import serve

        serve(worker, metrics_port, metrics_host)
    progress = _Progress(worker, quiet or not sys.stderr.isatty())
    with _stopping(worker):
        worker.run(progress)
    progress.end()


@contextlib.contextmanager
def _errors_told(settings: Settings) -> Iterator[None]:
    """What a database's failures come to, in a line."""
    import sqlalchemy as sa

    from awry.stream.patience import cannot_write

    try:
        yield
    except sa.exc.DBAPIError as error:
        words = cannot_write(error, sa.make_url(settings.database_url))
        raise click.ClickException(
            words or f"the database does not answer: {error.orig}"
        ) from error


@contextlib.contextmanager
def _stopping(worker: Worker) -> Iterator[None]:
    """Ctrl-C, and a service manager's SIGTERM, end the worker after what it is doing."""

    def stop(*_: Any) -> None:
        worker.stop()
        # A second Ctrl-C ends at once: nothing is half kept.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {sign: signal.signal(sign, stop) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


class _Progress:
    """One line that tells how fast it goes, what waits and what was found."""

    def __init__(self, worker: Worker, quiet: bool) -> None:
        self._worker, self._quiet = worker, quiet
        self._told, self._events = time.monotonic(), 0

    def __call__(self) -> None:
        now = time.monotonic()
        if self._quiet or now - self._told < 1.0:
            return
        tally = self._worker.tally
        rate = (tally.events - self._events) / (now - self._told)
        lag = self._worker.source.lag()
        words = f"{rate:,.0f} events/s"
        words += "" if lag is None else f", {lag:,} wait"
        click.echo(f"\r\x1b[K{words}, {tally.anomalies:,} anomalies", err=True, nl=False)
        self._told, self._events = now, tally.events

    def end(self) -> None:
        tally = self._worker.tally
        start = "" if self._quiet else "\r\x1b[K"
        words = f"{tally.events:,} events, {tally.anomalies:,} anomalies"
        words += f", {tally.late:,} late" if tally.late else ""
        words += f", {tally.undated:,} without a time to go by" if tally.undated else ""
        words += f", {tally.dead:,} could not be read" if tally.dead else ""
        click.echo(f"{start}{words}", err=True)
