"""`awry demo` tells the whole story, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.servers import wait_until

from awry.cli import app

pytest.importorskip("fastapi")
pytest.importorskip("msgspec")


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "awry", "demo", "--folder", str(folder), *options]
    with (folder.parent / "told.txt").open("w") as told:
        return subprocess.Popen(
            words, stdout=told, stderr=told, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )


def left_by(folder: Path) -> list[str]:
    """Processes whose environment names the folder's service."""
    home, found = str(folder / "service").encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if home in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:  # it ended, or is another's
            continue
    return found


def test_the_first_part_alone(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    result = CliRunner().invoke(
        app, ["demo", "--quick", "--folder", str(folder)], catch_exceptions=False
    )
    assert result.exit_code == 0
    found, odd = map(
        int, re.findall(r"(\d+) of the (\d+) malignant", result.output.replace("\n", " "))[0]
    )
    assert found >= odd / 2, "by chance it would be one in 36"
    assert sorted(path.name for path in folder.iterdir()) == ["anomalies.csv", "report.html"]
    assert "report of the first part" in result.output


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes where Linux has them")
def test_the_story_and_ctrl_c(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    told = tmp_path / "told.txt"
    process = start(folder, "--keep-serving")
    try:
        wait_until(
            lambda: "until Ctrl-C" in told.read_text() or process.poll() is not None, seconds=300
        )
        text = told.read_text()
        assert process.poll() is None, text
        assert len(left_by(folder)) == 2, "the service and the worker of the stream"
        url = re.findall(r"http://127\.0\.0\.1:\d+", text)[0]
        with urllib.request.urlopen(f"{url}/v1/models/payments") as answer:
            assert b'"version":1' in answer.read(), "rolled back"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode == 0
    assert left_by(folder) == []
    steps = re.findall(r"^(\d)\. ", text, re.M)
    assert steps == list("12345678")
    before, after = map(
        float, re.findall(r"version 1 flags ([\d.]+)% and version 2 ([\d.]+)%", text)[0]
    )
    assert after < before, "what was learnt anew fits what is normal now"
    assert "stolen-cards" in (folder / "alerts.jsonl").read_text()
    assert "is confirmed: acknowledged" in text
    assert "amount: median" in text, "it drifted"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes where Linux has them")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_as_soon_as_something_runs(sign: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    process = start(folder)
    try:
        wait_until(lambda: bool(left_by(folder)) or process.poll() is not None, seconds=120)
        process.send_signal(sign)
        process.send_signal(sign)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert left_by(folder) == []
