"""The command line: parse, call the path, format."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

import awry
from awry.cli.pipes import end_with_reader
from awry.cli.view import warnings_told
from awry.core.errors import AwryError

#: Each command and the module that holds it, imported only when it is called.
_COMMANDS = {
    "detect": ("detect", "Find anomalies in a file, say why, and write a report."),
    "fit": ("model", "Learn what is normal from a file and save the model."),
    "score": ("model", "Score a file, of any size, with a saved model."),
    "explain": ("model", "Say why rows of a file are odd, with a saved model."),
    "review": ("review", "Ask about odd rows, and learn from the answers."),
    "export": ("export", "Write a saved network for other programs, as ONNX."),
    "evaluate": ("evaluate", "Measure a detector on a labelled file."),
    "compare": ("evaluate", "Measure several detectors side by side on a labelled file."),
    "drift": ("drift", "Say what changed between two tables, and by how much."),
    "detectors": ("catalogue", "List the detectors, or show one's card."),
    "generate": ("generate", "Write realistic data with labelled anomalies."),
    "bench": ("bench", "Run a published benchmark beside other libraries."),
    "stream": ("stream", "Judge events as they come, from Kafka, files and others."),
    "serve": ("serve", "Serve detection over HTTP."),
    "remote": ("remote", "Ask a service: data sets, models, events, alerts, drift."),
    "keys": ("serve", "Make, list, change and revoke the API keys of the service."),
    "demo": ("demo", "Show it all: data, models, a service, a stream, an attack."),
    "completion": ("completion", "Print the shell completion script."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(
            importlib.import_module(f"awry.cli.{_COMMANDS[name][0]}"), name
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(awry.__version__, prog_name="awry")
def app() -> None:
    """Find what is out of place in data, and say why.

    \b
    awry detect transactions.parquet
    awry detect metrics.csv --report report.html --out anomalies.csv
    """


def main(argv: list[str] | None = None) -> Any:
    """Run the command line and exit: 0 done, 1 anomalies found (when asked), 2 bad use or input,
    3 a service that does not answer."""
    end_with_reader()
    try:
        with warnings_told() as warned:
            code = app.main(args=argv, prog_name="awry", standalone_mode=False, obj=warned)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = f"; see {context.command_path} --help" if context else ""
        told = " ".join(error.format_message().split()).rstrip(".")
        click.echo(f"awry: {told[:1].lower()}{told[1:]}{where}", err=True)
        code = max(2, error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("awry: interrupted; no file is half written", err=True)
        code = 130
    except (AwryError, ValueError, OSError, ImportError, MemoryError) as error:
        if os.environ.get("AWRY_TRACEBACK"):
            raise
        click.echo(f"awry: {' '.join(_words(error).split())}", err=True)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _words(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for this data; use awry fit on a sample and awry score"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
