"""What the commands of `awry remote` share: their options, and how they show what was answered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import click

from awry.cli.view import as_json, table
from awry.core.plain import plain

#: Rows that the service gives at once, at most.
_PAGE = 1_000
#: Rows of a file that are sent at a time.
_AT_ONCE = 1_000

json_ = click.option("--json", "json_", is_flag=True, help="Print JSON for machines.")
wait = click.option("--wait/--no-wait", default=False, help="Until the job is done.")
limit = click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
severity = click.option("--severity", type=click.Choice(["warning", "critical", "emergency"]),
                        help="This or graver.")  # fmt: skip
source = click.option("--source", metavar="NAME", help="A data set, a stream, or a model.")
since = click.option("--since", metavar="TIME", help="ISO 8601.")
until = click.option("--until", metavar="TIME", help="ISO 8601.")


def first(pages: Any, limit: int, *of: Any, **filters: Any) -> list[dict[str, Any]]:
    """The first ``limit`` rows of what a client gives ``of`` something, page by page."""
    found: Iterable[dict[str, Any]] = pages(*of, limit=min(limit, _PAGE), **filters)
    return list(islice(found, limit))


def show(
    found: Any, head: Sequence[str], rows: Sequence[Sequence[Any]], json_: bool, *lines: str
) -> None:
    """Print what was answered, as JSON or as a table."""
    say(found, lines, json_)
    if not json_ and (rows or not lines):
        table(head, rows)


def say(found: Any, lines: Sequence[str], json_: bool) -> None:
    """Print what was answered, as JSON or in words."""
    for line in [as_json(found)] if json_ else lines:
        click.echo(line)


def facts(found: dict[str, Any], json_: bool, *names: str, **more: Any) -> None:
    """Print the values called ``names``, and ``more``, one below another."""
    told = {name: found[name] for name in names} | more
    show(found, ["", ""], [[name.replace("_", " "), one] for name, one in told.items()], json_)


def why(reasons: Any) -> str:
    """Reasons in words; a job's are words already."""
    if not isinstance(reasons, list):
        return reasons or ""
    return "; ".join(f"{r['column']} {r['value']} (typical {r['typical']})" for r in reasons)


def interval(one: Any) -> str:
    """A figure, with the interval in which it lies with 95 % confidence where that is known."""
    if not isinstance(one, dict):
        return "" if one is None else f"{one:.4g}"
    if one["value"] is None:
        return ""
    low, high = ("?" if one[end] is None else f"{one[end]:.4g}" for end in ("low", "high"))
    return f"{one['value']:.4g} ({low} to {high})"


def pieces(file: str) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file of data, so many at a time as one request may have."""
    from awry.data.readers import open_source

    for batch in open_source(file).batches():
        rows = [plain(row) for row in batch.to_pylist()]
        for begin in range(0, len(rows), _AT_ONCE):
            yield rows[begin : begin + _AT_ONCE]


def document(file: str) -> Any:
    """What a file of JSON holds; ``-`` is the standard input."""
    with click.open_file(file, encoding="utf-8") as opened:
        try:
            return json.load(opened)
        except ValueError as error:
            raise click.BadParameter(f"{file} is no JSON: {error}", param_hint="FILE") from None
