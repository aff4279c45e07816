"""The code in the docs runs, and nothing public goes undocumented."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

import awry
from awry.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```", re.M | re.S)


def _commands(block: str) -> list[list[str]]:
    joined = block.replace("\\\n", " ")
    return [
        shlex.split(line, comments=True)[1:]
        for line in joined.splitlines()
        if line.startswith("awry ")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_code_of_the_docs_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python blocks run in one namespace, ``awry`` commands one after the other, in one folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWRY_HOME", str(tmp_path / "service"))
    namespace: dict[str, object] = {}
    for language, block in _BLOCK.findall(page.read_text()):
        if language == "python":
            exec(compile(block, str(page), "exec"), namespace)
            continue
        for command in _commands(block):
            code = app.main(args=command, prog_name="awry", standalone_mode=False)
            assert code in (0, 1, None), command


def test_every_public_name_has_a_docstring() -> None:
    for name in awry.__all__:
        if not name.startswith("__"):
            assert getattr(awry, name).__doc__, name


def test_every_command_and_option_is_documented() -> None:
    context = click.Context(app)

    def check(command: click.Command, path: str) -> None:
        assert command.help, path
        for param in command.params:
            if isinstance(param, click.Option) and not param.help:
                # Defaults that are shown, and names such as --seed and --top, speak for themselves.
                assert param.show_default, f"{path} {param.opts[0]} says nothing"
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                check(inner, f"{path} {name}")

    check(app, "awry")


def test_the_docs_name_every_page_they_hold() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        if not page.name.startswith("_") and page.stem != "index":
            assert page.stem in index, f"docs/index.md does not list {page.stem}"


def test_the_lazy_names_resolve_to_their_modules() -> None:
    for name, module in awry._PUBLIC.items():
        assert hasattr(importlib.import_module(module), name)
