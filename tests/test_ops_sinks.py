"""Sinks of alerts against receivers that listen, and the outbox that keeps what they are told."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
import socketserver
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from awry.core.params import ParameterError
from awry.ops import outbox, reach
from awry.ops.outbox import Outbox
from awry.ops.settings import Settings
from awry.ops.sinks import AlertSink, RefusedError, open_sinks
from awry.ops.store import Store
from awry.ops.tables import alert_deliveries
from servers import wait_until

ALERT = {
    "id": 7, "rule": "spike", "fingerprint": "f" * 64, "severity": "critical", "state": "firing",
    "started": 1.7e9, "resolved": None, "labels": {"alertname": "spike", "source": "pay"},
    "summary": "pay: <!channel> 30% & more flagged\r\nBcc: all@example.org",
}  # fmt: skip
MESSAGE = {
    "status": "firing", "rule": "spike", "severity": "critical", "at": 1.7e9, "until": 1.8e9,
    "alerts": [ALERT], "more": 0,
}  # fmt: skip


class Receiver:
    """An HTTP server that keeps what it is sent, and answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with serving(made.server):
        yield made


def sink(address: str, secret: str | None = None, allow: tuple[str, ...] = ()) -> AlertSink:
    settings = Settings(alert_sinks=(f"one={address}",), alert_allow=allow)
    return open_sinks(settings, {"AWRY_ALERT_SECRET_ONE": secret} if secret else {})["one"]


def test_a_webhook_is_signed_so_that_who_knows_the_secret_can_tell(receiver: Receiver) -> None:
    sink(f"webhook+{receiver.url}/in?a=1", "hush").send(MESSAGE, 12)
    ((path, headers, body),) = receiver.requests
    assert path == "/in?a=1"
    assert json.loads(body) == MESSAGE
    assert headers["X-Awry-Delivery"] == "12"
    signed = headers["X-Awry-Timestamp"].encode() + b"." + body
    made = hmac.new(b"hush", signed, hashlib.sha256).hexdigest()
    assert headers["X-Awry-Signature"] == f"sha256={made}"
    with pytest.raises(ParameterError, match="AWRY_ALERT_SECRET_ONE"):
        sink(f"webhook+{receiver.url}/in")


def test_slack_is_told_in_its_format_and_nobody_is_called_by_an_alert(receiver: Receiver) -> None:
    sink(f"slack+{receiver.url}/services/", "T/B/x").send({**MESSAGE, "more": 3}, 1)
    ((path, _, body),) = receiver.requests
    told = json.loads(body)
    assert path == "/services/T/B/x"
    assert told["text"] == "[firing, critical] spike: 4 alerts"
    (attachment,) = told["attachments"]
    assert "&lt;!channel&gt; 30% &amp; more" in attachment["text"]
    assert attachment["text"].endswith("and 3 more")


def test_alertmanager_is_told_by_its_api(receiver: Receiver) -> None:
    resolved = {**MESSAGE, "alerts": [ALERT, {**ALERT, "resolved": 1.75e9}]}
    sink(f"alertmanager+{receiver.url}/base/", "token").send(resolved, 1)
    ((path, headers, body),) = receiver.requests
    assert path == "/base/api/v2/alerts"
    assert headers["Authorization"] == "Bearer token"
    first, second = json.loads(body)
    assert first["labels"] == {"alertname": "spike", "source": "pay", "severity": "critical"}
    assert first["startsAt"] == "2023-11-14T22:13:20+00:00"
    assert (first["endsAt"][:4], second["endsAt"][:4]) == ("2027", "2025")


def test_a_file_gets_a_line_each_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    one = sink(f"file://{path}")
    one.send(MESSAGE, 1)
    one.send(MESSAGE, 2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["delivery"] for line in lines] == [1, 2]
    assert {k: v for k, v in lines[0].items() if k != "delivery"} == MESSAGE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


class Post(socketserver.StreamRequestHandler):
    """As much of an SMTP server as it takes to be sent a letter."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split(None, 1)[0].upper()
            self.server.said.append(line.strip().decode())  # type: ignore[attr-defined]
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.letters.append(letter)  # type: ignore[attr-defined]
            if word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 fine\r\n")


def test_a_letter_reaches_all_and_an_alert_adds_nobody() -> None:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Post)
    server.letters, server.said = [], []  # type: ignore[attr-defined]
    with serving(server):
        port = server.server_address[1]
        to = f"smtp://127.0.0.1:{port}?from=awry@example.org&to=ann@example.org&to=bob@example.org"
        sink(to).send(MESSAGE, 9)
        # A password is not sent over a connection that is not encrypted.
        with pytest.raises(Exception, match="STARTTLS"):
            sink(to, "user:password").send(MESSAGE, 10)
        said = " ".join(server.said)  # type: ignore[attr-defined]
    (text,) = server.letters  # type: ignore[attr-defined]
    letter = message_from_bytes(text, policy=policy.default)
    assert letter["Subject"].startswith("[firing, critical] spike: pay: <!channel> 30%")
    assert letter["Bcc"] is None
    assert (letter["To"], letter["Message-ID"]) == (
        "ann@example.org, bob@example.org", "<awry-9@example.org>"
    )  # fmt: skip
    assert "RCPT TO:<ann@example.org>" in said.replace("rcpt", "RCPT")
    assert "all@example.org" not in said
    assert "password" not in said


@pytest.mark.parametrize(
    ("status", "final"), [(302, True), (404, True), (410, True), (429, False), (503, False)]
)
def test_what_is_refused_is_told_from_what_may_pass(
    receiver: Receiver, status: int, final: bool
) -> None:
    receiver.statuses = [status]
    with pytest.raises(RefusedError if final else OSError, match=str(status)):
        sink(f"slack+{receiver.url}/").send(MESSAGE, 1)
    assert len(receiver.requests) == 1  # and a redirect is not followed


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "100.100.100.200", "fd00:ec2::254",
     "0.0.0.0", "::", "224.0.0.1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"],
)  # fmt: skip
def test_addresses_of_a_machines_own_secrets_are_not_called(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolved(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

    called: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(socket, "create_connection", lambda place, _: called.append(place))
    one = sink("slack+https://innocent.example.org/")
    with pytest.raises(reach.ForbiddenError, match="AWRY_ALERT_ALLOW"):
        one.send(MESSAGE, 1)
    assert called == []
    mail = sink("smtp://innocent.example.org?from=a@example.org&to=b@example.org")
    with pytest.raises(reach.ForbiddenError):
        mail.send(MESSAGE, 1)
    network = ipaddress.ip_network(address)
    reach.connect("innocent.example.org", 80, timeout=1, allowed=[network])
    assert called == [(str(ipaddress.ip_address(address)), 80)]


def test_a_certificate_is_checked(receiver: Receiver) -> None:
    with pytest.raises(ssl.SSLError):
        sink(receiver.url.replace("http://", "slack+https://") + "/").send(MESSAGE, 1)


@pytest.mark.parametrize(
    "text",
    ["hook", "a=ftp://host/", "a=slack+ftp://host/", "a=slack+file:///etc/passwd", "a=slack+http://",
     "a=slack+http://host:99999/", "a=smtp://host?from=me", "a=file://host/x", "a b=file:///x",
     "a=file:///x,a=file:///y"],
)  # fmt: skip
def test_sinks_that_are_none_are_refused_at_the_start(text: str) -> None:
    with pytest.raises(ParameterError):
        open_sinks(Settings(alert_sinks=tuple(text.split(","))), {})


def test_settings_do_not_show_where_alerts_go() -> None:
    made = Settings.from_environment({"AWRY_ALERT_SINKS": "a=slack+https://h/T0KEN, b=file:///x"})
    assert len(made.alert_sinks) == 2
    assert "T0KEN" not in repr(made)
    with pytest.raises(ParameterError, match="AWRY_ALERT_ALLOW"):
        open_sinks(Settings(alert_allow=("everything",)), {})


# -- the outbox -----------------------------------------------------------------------------------


class Told(AlertSink):
    """Fails as told, then takes all."""

    def __init__(self, *failures: Exception | type[BaseException]) -> None:
        self.name, self.failures = "one", list(failures)
        self.numbers: list[int] = []

    def send(self, message: Any, number: int) -> None:
        self.numbers.append(number)
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(Settings(home=tmp_path))
    yield made
    made.close()


def put(box: Outbox, *names: str) -> None:
    with box._store.write() as connection:
        box.put(connection, names or ("one",), MESSAGE, 0.0)


def rows(store: Store) -> list[Any]:
    with store.read() as connection:
        return list(connection.execute(sa.select(alert_deliveries)).all())


def test_what_fails_is_tried_again_later_and_later(store: Store) -> None:
    told = Told(OSError("no"), OSError("no"), OSError("no"))
    box = Outbox(store, {"one": told})
    put(box)
    tried = []
    for now in range(60):
        before = len(told.numbers)
        box.deliver("one", float(now))
        tried += [now] * (len(told.numbers) - before)
    assert tried == [0, 5, 15, 35]
    assert len(set(told.numbers)) == 1
    (row,) = rows(store)
    assert (row.state, row.attempts, row.error) == ("done", 4, None)


def test_what_is_refused_or_fails_too_often_is_a_dead_letter(store: Store) -> None:
    box = Outbox(store, {"one": Told(RefusedError("410"), *[OSError("no")] * outbox.TRIES)})
    put(box)
    box.deliver("one", 1.0)
    put(box)
    for hour in range(1, 24):
        box.deliver("one", hour * 3_600.0)
    assert [(r.state, r.attempts) for r in rows(store)] == [("dead", 1), ("dead", outbox.TRIES)]
    assert rows(store)[0].error == "410"
    assert [r["id"] for r in box.list(state="dead").rows] == [2, 1]


def test_one_that_fails_holds_up_no_other(store: Store) -> None:
    told = Told(OSError("no"))
    box = Outbox(store, {"one": told})
    put(box)
    put(box)
    assert box.deliver("one", 1.0) == 1
    assert [r.state for r in rows(store)] == ["waiting", "done"]


def test_what_a_process_left_is_delivered_by_the_next(store: Store) -> None:
    put(Outbox(store, {"one": Told()}))  # it ends before it tells
    killed = Told(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):  # and this one while it tells
        Outbox(store, {"one": killed}).deliver("one", 1.0)
    told = Told()
    box = Outbox(store, {"one": told})
    assert box.deliver("one", 2.0) == 0  # it may still be at it
    assert box.deliver("one", 62.0) == 1
    assert told.numbers == killed.numbers


def test_of_two_that_see_a_delivery_one_has_it(store: Store) -> None:
    first, second = (Outbox(store, {"one": Told()}) for _ in range(2))
    put(first)
    (seen,) = rows(store)
    assert [box._claim(seen, 1.0) for box in (first, second)] == [True, False]
    (again,) = rows(store)  # when its lease has run out
    assert [box._claim(again, 99.0) for box in (second, first)] == [True, False]


def test_threads_deliver_what_was_put(store: Store, receiver: Receiver) -> None:
    receiver.statuses = [200]
    box = Outbox(store, {"one": sink(f"slack+{receiver.url}/")}, poll=0.02)
    box.start()
    try:
        put(box, "one", "gone")  # of a sink that is not configured any more
        wait_until(lambda: [r.state for r in rows(store)] == ["done"])
    finally:
        box.close()


def test_what_is_written_down_of_an_error_holds_no_address(store: Store) -> None:
    class Unreachable(AlertSink):
        name = "one"

        def __init__(self) -> None: ...

        def send(self, message: Any, number: int) -> None:
            raise ValueError("https://hooks.example.org/T0KEN is wrong")

    box = Outbox(store, {"one": Unreachable()})
    put(box)
    box.deliver("one", 1.0)
    assert "T0KEN" not in rows(store)[0].error
