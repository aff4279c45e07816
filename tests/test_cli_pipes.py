"""Who goes away ends neither a worker nor leaves half of what was said."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers import _listens, free_port, wait_until

pytest.importorskip("msgspec")
posix = pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="of POSIX")


def stream(home: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "awry", "stream", *options],
        env={**os.environ, "AWRY_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def send_and_go(port: int, request: bytes) -> None:
    """Send ``request`` and close at once, so that whatever is answered is refused."""
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(request)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@posix
def test_clients_that_go_away_leave_the_worker_alive(tmp_path: Path) -> None:
    port, metrics = free_port(), free_port()
    process = stream(
        tmp_path, "--from", f"http://127.0.0.1:{port}/", "--metrics-port", str(metrics), "-q"
    )
    try:
        wait_until(lambda: process.poll() is not None or (_listens(port) and _listens(metrics)))
        body = b'{"a": 1}\n{"a": 2}\n'
        head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
        for _ in range(20):
            send_and_go(port, head % len(body) + body)
            send_and_go(port, head % 9_000 + body)  # half a request: none of it counts
            send_and_go(metrics, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
            one.sendall(head % len(body) + body)
            assert one.recv(100).startswith(b"HTTP/1.1 200")
        assert process.poll() is None
    finally:
        process.terminate()
        _, told = process.communicate(timeout=30)
    assert process.returncode == 0
    # Whole requests alone are counted; what a broken connection still held may be lost.
    (line,) = told.splitlines()
    events = int(line.split()[0])
    assert 2 <= events <= 42
    assert events % 2 == 0


@posix
def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    process = stream(
        tmp_path, "--from", "generator://iot_sensors", "--to", "-", "-t", "quantile:0.5", "-q"
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert json.loads(process.stdout.readline())["anomaly"]
        process.stdout.close()
        assert process.wait(60) not in (0, -signal.SIGKILL)
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.stderr.close()
