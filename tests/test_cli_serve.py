"""`awry serve` and `awry keys`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from awry.cli import app
from awry.ops.keys import Keys
from awry.ops.settings import Settings
from awry.ops.store import Store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWRY_HOME", str(tmp_path))
    return tmp_path


def run(*args: str) -> str:
    result = CliRunner().invoke(app, ["keys", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_keys_from_beginning_to_end(home: Path) -> None:
    text = run("create", "ci", "--role", "write", "--days", "2")
    assert re.fullmatch(r"awry_[0-9a-f]{12}_[\w-]{43}", text)
    (listed,) = json.loads(run("list", "--json"))
    assert (listed["name"], listed["role"]) == ("ci", "write")
    assert listed["expires"] - listed["created"] == pytest.approx(2 * 86_400)
    assert text.rpartition("_")[2] not in run("list")
    new = run("rotate", listed["id"], "--grace-days", "0")
    store = Store(Settings(home=home))
    assert Keys(store).check(text) is None
    assert Keys(store).check(new) is not None
    run("revoke", new.split("_")[1])
    assert Keys(store).check(new) is None
    store.close()
    result = CliRunner().invoke(app, ["keys", "revoke", "nobody"])
    assert result.exit_code != 0
    assert "no key 'nobody'" in result.output


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_serve_hands_over_what_was_said(
    host: str, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import uvicorn

    seen: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda app, **more: seen.update(more, app=app))
    monkeypatch.setattr("awry.server.logs.log_to_stderr", lambda level: None)
    result = CliRunner().invoke(
        app, ["serve", "--host", host, "--port", "9123"], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert (seen["host"], seen["port"]) == (host, 9123)
    assert seen["app"].state.service.settings.needs_key == warned
    assert ("awry keys create" in result.output) == warned
