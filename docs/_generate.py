"""Pages made from the cards, the docstrings and the command line, so that none can lag behind."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import click

from awry.cli import app
from awry.core import registry
from awry.core.card import Card


def write_all(folder: Path) -> None:
    """Write every generated page into ``folder``."""
    folder.mkdir(exist_ok=True)
    pages = {
        "detectors.md": detectors(),
        "cli.md": cli(),
        "migration.md": migration(),
        "benchmarks.md": benchmarks(),
    }
    for cls in registry.detectors().values():
        pages[f"api_{cls.card.name}.md"] = _class_page(cls)
    for name, text in pages.items():
        path = folder / name
        # Unchanged pages keep their date, so a rebuild is quick.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


#: Order of the modalities on the page.
_ORDER = ("table", "series", "sequence", "stream", "image", "video", "graph", "text")


def detectors() -> str:
    """The table of detectors by family."""
    cards = sorted(registry.cards(), key=lambda c: (_ORDER.index(c.modality), c.family, c.name))
    lines = ["# Detectors", "", "Made from the cards, as `awry detectors` is.", ""]
    for (modality, family), members in itertools.groupby(cards, lambda c: (c.modality, c.family)):
        lines += [f"## {modality.capitalize()}: {family}", ""]
        lines += [
            "| detector | finds | misses | fit | score | paper |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(card) for card in members]
        lines.append("")
    lines += ["```{toctree}", ":hidden:", ""]
    lines += [f"api_{card.name}" for card in cards]
    lines += ["```", ""]
    return "\n".join(lines)


def _row(card: Card) -> str:
    marks = [
        word
        for word, holds in (
            ("needs labels", card.supervision == "required"),
            ("uses labels", card.supervision == "optional"),
            ("online", card.online),
            ("only the data it is fitted on", not card.inductive),
            (f"awry[{card.extra}]", card.extra is not None),
        )
        if holds
    ]
    name = f"[{card.name}](api_{card.name})" + (f"<br>*{', '.join(marks)}*" if marks else "")
    cells = [
        name,
        card.finds,
        card.misses,
        card.fit_cost,
        card.score_cost,
        f"{card.paper} {card.year}",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _class_page(cls: type) -> str:
    path = f"{cls.__module__}.{cls.__qualname__}"
    return f"# {cls.__name__}\n\n```{{eval-rst}}\n.. autoclass:: {path}\n   :no-members:\n```\n"


def migration() -> str:
    """PyOD's classes and awry's, side by side."""
    rows = [
        f"| `pyod.models.{cls.card.pyod}` | `awry.detectors.{cls.__name__}` |"
        for cls in registry.detectors("table").values()
        if cls.card.pyod is not None
    ]
    text = (Path(__file__).parent / "_migration.md").read_text()
    return text.replace("<!-- classes -->", "\n".join(sorted(rows)))


def benchmarks() -> str:
    """The benchmarks' tables, each under what it measures and the command that wrote it."""
    folder = Path(__file__).parent
    sections = re.split(r"^(?=## )", (folder / "_benchmarks.md").read_text(), flags=re.M)
    shown = []
    for section in sections:
        found = re.search(r"<!-- (\S+) -->", section)
        if found is None:
            shown.append(section)
        elif (folder / found[1]).exists():
            shown.append(section.replace(found[0], (folder / found[1]).read_text()))
    return "".join(shown)


def cli() -> str:
    """Every command with its options."""
    lines = ["# Command line", ""]
    lines += ["`--json` prints for machines. Exit codes: 0 done, 1 anomalies found where",
              "`--fail-on-anomaly` is given, 2 bad use or bad input, with one line that says where",
              "and the remedy, 130 interrupted.", ""]  # fmt: skip
    context = click.Context(app, info_name="awry")
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        assert command is not None
        lines += _command(command, context, name)
        if isinstance(command, click.Group):
            inner = click.Context(command, info_name=name, parent=context)
            for sub in command.list_commands(inner):
                lines += _command(command.get_command(inner, sub), inner, sub)
    return "\n".join(lines)


def _command(command: click.Command, parent: click.Context, name: str) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=96)
    return [f"## {context.command_path}", "", "```text", command.get_help(context), "```", ""]
