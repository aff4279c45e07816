"""Real servers for the tests, each on a free port of this machine, in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

_POSTGRES = Path("/usr/lib/postgresql")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until(ready: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Poll ``ready`` until it is true."""
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError(f"not ready after {seconds:g} s")
        time.sleep(0.05)


class Postgres:
    """A PostgreSQL server that tests may stop, start and kill.

    Parameters
    ----------
    programs : Path
        The folder of initdb and postgres.
    """

    def __init__(self, programs: Path) -> None:
        self._programs, self.port = programs, free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="awry-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        if self._user:
            shutil.chown(self._folder, "postgres", "postgres")
        subprocess.run(
            [programs / "initdb", "-D", self._folder / "data", "-U", "awry", "-A", "trust",
             "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True, capture_output=True, cwd=self._folder, **self._user,
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"postgresql://awry@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port),
             "-k", self._folder, "-h", "127.0.0.1", "-c", "fsync=off"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder, **self._user,
        )  # fmt: skip
        asked = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_until(lambda: subprocess.run(asked, check=False).returncode == 0)

    def stop(self) -> None:
        """Stop it at once; who is connected is sent away."""
        if self._process is not None:
            self._process.send_signal(2)  # SIGINT: fast shutdown
            self._process.wait(30)
            self._process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """All its processes are there meanwhile, and do nothing."""
        assert self._process is not None
        main = self._process.pid
        os.kill(main, signal.SIGSTOP)  # first, so that it begins no more
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGSTOP)
        try:
            yield
        finally:
            for each in (*map(int, children), main):
                os.kill(each, signal.SIGCONT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def make_database(self) -> str:
        """The address of a new, empty database."""
        return make_database(self.url)


def make_database(url: str) -> str:
    """The address of a new, empty database on the server at ``url``."""
    name = f"awry_{uuid.uuid4().hex[:12]}"
    with _administering(url) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return sa.make_url(url).set(database=name).render_as_string(hide_password=False)


def drop_database(url: str) -> None:
    """Remove the database at ``url``, whoever is connected."""
    name = sa.make_url(url).database
    with _administering(sa.make_url(url).set(database="postgres")) as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def _administering(url: str | sa.URL) -> Iterator[sa.Connection]:
    plain = sa.make_url(url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(plain, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server of its own, for tests that stop it; skips where there is none."""
    found = sorted(_POSTGRES.glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    server = Postgres(found[-1].parent)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server: that of AWRY_TEST_POSTGRES, else one started here."""
    if given := os.environ.get("AWRY_TEST_POSTGRES"):
        yield given
        return
    with postgres_server() as server:
        yield server.url


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The address of a new PostgreSQL database."""
    url = make_database(postgres)
    yield url
    drop_database(url)


@contextmanager
def mock_kafka(topic: str, messages: dict[int, list[bytes]]) -> Iterator[str]:
    """The address of a broker that has the messages of each partition of ``topic``."""
    with mock_broker(topic, messages) as (address, _):
        yield address


@contextmanager
def mock_broker(topic: str, messages: dict[int, list[bytes]]) -> Iterator[tuple[str, Any]]:
    """As :func:`mock_kafka`, with its process, which SIGUSR1 cuts off and SIGUSR2 lets back."""
    pytest.importorskip("confluent_kafka")
    script = Path(__file__).with_name("mock_kafka.py")
    process = subprocess.Popen(
        [sys.executable, str(script), topic], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        for partition, several in messages.items():
            process.stdin.writelines(b"%d\t%s\n" % (partition, m) for m in several)
        process.stdin.close()
        address = process.stdout.readline().decode().strip()
        assert address, "the mock cluster did not start"
        yield address, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def program(name: str, *arguments: str, port: int) -> Iterator[int]:
    """A server that listens at ``port``; skips where the program is not installed."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    with tempfile.TemporaryDirectory(prefix=f"awry-{name}-") as folder:
        process = subprocess.Popen(
            [path, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: _listens(port))
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


class Proxy:
    """Stands before a server at ``port`` of this machine, and can cut its connections.

    Attributes
    ----------
    port : int
        Where to connect to.
    """

    def __init__(self, port: int) -> None:
        self._to, self._whole, self._open = port, True, list[socket.socket]()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and let nobody connect."""
        self._whole = False
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def restore(self) -> None:
        """Let clients connect again."""
        self._whole = True

    def close(self) -> None:
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if not self._whole:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._to))
            self._open += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A :class:`Proxy` before a server of this machine."""
    made = Proxy(port)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def redis_server(port: int | None = None) -> Iterator[int]:
    """The port of an empty Redis; a given one, for one that was there before."""
    port = port or free_port()
    with program("redis-server", "--port", str(port), "--save", "", port=port):
        yield port


@contextmanager
def mosquitto() -> Iterator[int]:
    """The port of an MQTT broker."""
    port = free_port()
    with program("mosquitto", "-p", str(port), port=port):
        yield port


@contextmanager
def awry_server(**settings: Any) -> Iterator[str]:
    """The address of a service in this process, at a port of its own."""
    uvicorn = pytest.importorskip("uvicorn")
    from awry.ops.settings import Settings
    from awry.server import create_app

    made = Settings(port=free_port(), **settings)
    config = uvicorn.Config(create_app(made), host=made.host, port=made.port, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        yield f"http://127.0.0.1:{made.port}"
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def awry_process(home: Path, *options: str, **environment: str) -> Iterator[tuple[str, Any]]:
    """The address of `awry serve` and its process, which tests may kill."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "awry", "serve", "--port", str(port), "--log-level", "warning",
         *options],
        env={**os.environ, "AWRY_HOME": str(home), **environment},
    )  # fmt: skip
    try:
        wait_until(lambda: process.poll() is not None or _listens(port), seconds=90)
        assert process.poll() is None
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def influx_server(port: int | None = None, folder: Path | None = None) -> Iterator[int]:
    """The port of an InfluxDB 1; a given port and folder, for one that was there before."""
    port, other = port or free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="awry-influx-") as made:
        home = folder or Path(made)
        conf = home / "influx.conf"
        conf.write_text(
            f'bind-address = "127.0.0.1:{other}"\nreporting-disabled = true\n'
            f'[meta]\ndir = "{home}/meta"\n[data]\ndir = "{home}/data"\nwal-dir = "{home}/wal"\n'
            f'[http]\nbind-address = "127.0.0.1:{port}"\n'
        )
        with program("influxd", "-config", str(conf), port=port):
            yield port


def ask_influx(port: int, query: str, database: str = "d") -> list[dict[str, Any]]:
    """The series that InfluxDB 1 answers with."""
    asked = urlencode({"db": database, "q": query, "epoch": "ns"})
    with urlopen(f"http://127.0.0.1:{port}/query?{asked}", data=b"", timeout=10) as answer:
        [result] = json.load(answer)["results"]
    assert "error" not in result, result
    found: list[dict[str, Any]] = result.get("series", [])
    return found


class Receiver:
    """A web server that answers as told, and keeps what it was sent.

    Attributes
    ----------
    answers : list of int
        Statuses of the next answers; 204 after these.
    got : list of (path, headers, body)
    """

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.got.append((self.path, dict(self.headers), body))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A :class:`Receiver` at a free port."""
    made = Receiver()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def mlflow_server(port: int, folder: Path) -> Iterator[str]:
    """The address of an MLflow server that keeps what it is told in a folder."""
    for module in ("mlflow", "flask", "flask_cors"):
        pytest.importorskip(module)
    script = Path(__file__).with_name("mlflow_server.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(port), str(folder)],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: _listens(port), seconds=120.0)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
