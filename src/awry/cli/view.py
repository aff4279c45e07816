"""How the command line looks: tables, progress and JSON."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from awry.core.plain import plain
from awry.core.progress import listening


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None) -> None:
    """Print a table on the terminal, wrapped to its width."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    numeric = [all(isinstance(row[j], (int, float)) for row in rows) for j in range(len(head))]
    for name, right in zip(head, numeric, strict=True):
        drawn.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell(value)) for value in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(drawn)


def cell(value: Any) -> str:
    """A value as the text of a table's cell."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(cell, value))
    return "" if value is None else str(value)


def number_words(value: float) -> str:
    """A number for people."""
    from awry.report.charts import number

    return number(float(value))


def when(seconds: float | None) -> str:
    """A time of the service, which are seconds since 1970, in UTC."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", timespec="minutes")


def as_json(value: Any) -> str:
    """Strict JSON: what is not finite becomes null, objects become what they hold."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


@contextmanager
def warnings_told() -> Iterator[list[str]]:
    """Tell what is warned of inside in one line on standard error; gives what was told.

    Warnings that are for programmers, such as of what is deprecated, look as they always do.
    """
    told: list[str] = []
    shown = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, UserWarning):
            shown(message, category, *where, **more)
            return
        words = " ".join(str(message).split())
        if words not in told:
            told.append(words)
            click.echo(f"awry: {words}", err=True)

    warnings.showwarning = show
    try:
        yield told
    finally:
        warnings.showwarning = shown


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[None]:
    """Show the progress of what runs inside on standard error, if a person is there to see it."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(task: str, done: int, total: int | None) -> None:
            # What follows the dot, such as a loss, changes while the task stays.
            name = task.partition(" · ")[0]
            if name not in tasks:
                tasks[name] = bar.add_task(task, total=total)
            bar.update(tasks[name], description=task, completed=done, total=total)
            if total is not None and done >= total:
                bar.remove_task(tasks.pop(name))

        with listening(show):
            yield
