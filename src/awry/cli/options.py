"""Options that several commands share, and what they turn into."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click


class Target(click.Path):
    """A file to write, in a folder that is there: told before the work, not after it."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = str(super().convert(value, param, ctx))
        if not Path(path).parent.is_dir():
            self.fail(f"the folder {str(Path(path).parent)!r} does not exist", param, ctx)
        if not os.access(Path(path).parent, os.W_OK):
            self.fail(f"the folder {str(Path(path).parent)!r} cannot be written to", param, ctx)
        return path


F = TypeVar("F", bound=Callable[..., Any])


def _stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def param(
    what: str = "A parameter of the detector, a list between commas; may be repeated.",
) -> Callable[[F], F]:
    """The option that gives parameters by name."""
    return click.option("-p", "--param", "params", multiple=True, metavar="KEY=VALUE", help=what)


#: What is read.
reading = _stack(
    click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    click.option("--query", help="SQL query, where FILE is sqlite:///... or postgresql://..."),
    click.option("--format", "format_", help="csv, parquet, arrow, json or jsonl; else sniffed."),
)

#: How it is judged, whatever the detector.
ruling = _stack(
    param(),
    click.option("-t", "--threshold", metavar="RULE",
                 help="0.01 or quantile:0.99 (share flagged), sigma:3, mad:3.5, gaussian:0.001, "
                      "pot:0.001, adaptive:0.01, levels:0.01,0.001,0.0001, fixed:0.7 (a score), "
                      "dynamic (of a series' scores), fpr:0.01 (false-positive rate), cost:1,50; "
                      "with --label f1, fbeta:2, feedback:0.01."),
    click.option("--as", "as_", type=click.Choice(["auto", "table", "series"]), default="auto",
                 show_default=True, help="Judge rows by themselves, or as points of series."),
    click.option("--time", metavar="COLUMN", help="Series: when each row was."),
    click.option("--value", metavar="COLUMNS", help="Series: what is measured."),
    click.option("--causal", is_flag=True,
                 help="Series: judge each point by what came before it alone."),
    click.option("--holidays", metavar="COUNTRY|DATES",
                 help="Series: a country code, or dates between commas, for detectors with a "
                      "calendar."),
    click.option("--context", metavar="COLUMNS",
                 help="Judge rows given these columns, such as hour,merchant; or auto."),
    click.option("--by", metavar="COLUMNS",
                 help="One detector, or series, per value of these columns."),
    click.option("--kind", "kinds", multiple=True, metavar="COLUMN=KIND",
                 help="What a column is: number, category, boolean, time, text, identifier."),
    click.option("--ignore", metavar="COLUMNS", help="Columns not to look at."),
    click.option("--label", metavar="COLUMN", help="Column of labels: not judged, used by -t f1."),
    click.option("--seed", "random_state", type=click.IntRange(0), default=0, show_default=True),
)  # fmt: skip

#: How it is judged, by one detector.
judging = _stack(
    click.option("-d", "--detector", default="auto", show_default=True, help="See awry detectors."),
    ruling,
)

#: How it is shown.
showing = _stack(
    click.option("--json", "json_", is_flag=True, help="Print JSON for machines."),
    click.option("-q", "--quiet", is_flag=True, help="No progress."),
)


def settings(
    detector: str,
    params: tuple[str, ...],
    threshold: str | None,
    as_: str,
    time: str | None,
    value: str | None,
    causal: bool,
    holidays: str | None,
    context: str | None,
    by: str | None,
    kinds: tuple[str, ...],
    ignore: str | None,
    random_state: int,
) -> dict[str, Any]:
    """The settings of :func:`awry.run.detect` that the options of :data:`judging` say."""
    days = names(holidays)
    return {
        "detector": detector,
        "params": parameters(detector, pairs(params, "--param")) or None,
        "threshold": None if threshold is None else literal(threshold),
        "as_": as_,
        "time": time,
        "value": names(value),
        "causal": causal,
        # A country's code is no date: dates have digits.
        "holidays": holidays if days and len(days) == 1 and days[0].isalpha() else days,
        "context": "auto" if context == "auto" else names(context),
        "by": names(by),
        "kinds": pairs(kinds, "--kind") or None,
        "ignore": names(ignore),
        "random_state": random_state,
    }


def names(text: str | None) -> list[str] | None:
    """Names between commas."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def pairs(items: tuple[str, ...], option: str) -> dict[str, str]:
    """``KEY=VALUE`` items as a dict."""
    for item in items:
        if "=" not in item:
            raise click.BadParameter(f"{item!r} must be KEY=VALUE", param_hint=option)
    return {key.strip(): value for key, _, value in (item.partition("=") for item in items)}


def parameters(detector: str, given: dict[str, str]) -> dict[str, Any]:
    """Values of a detector's parameters: a list where only that is allowed."""
    if not given:
        return {}
    from awry.core import registry

    constraints = registry.get(detector).constraints
    found = {}
    for key, text in given.items():
        value, several = literal(text), [literal(name) for name in names(text) or ()]
        _, fits = constraints.get(key, ("anything", lambda _: True))
        found[key] = several if fits(several) and not fits(value) else value
    return found


def literal(text: str) -> Any:
    """A Python literal if it is one, else the text."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
