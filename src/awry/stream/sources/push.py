"""Events that others send over HTTP."""

from __future__ import annotations

import hmac
import queue
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from awry.core.errors import DataError
from awry.stream.address import Address
from awry.stream.records import Batch, Position
from awry.stream.sources.base import MAX_MESSAGE, SinglePartition

_LOCAL = ("127.0.0.1", "localhost", "::1")
#: Requests that may wait; more are told to come again.
_MOST = 64
#: Seconds a request waits for its events to be kept.
_PATIENCE = 30.0


class _Request:
    """Events of one request, and whether they are kept."""

    def __init__(self, messages: list[bytes]) -> None:
        self.messages, self.kept, self.last = messages, threading.Event(), -1


class PushSource(SinglePartition):
    """``http://127.0.0.1:8081/``: events by POST, one in a line or a JSON array.

    The answer comes when they are kept: 200 and ``{"accepted": n}``. 503 where too many wait, 413
    for more than 8 MB; a client that got no answer and sends again sends other events. Beyond this
    machine, requests need ``Authorization: Bearer`` and AWRY_PUSH_TOKEN.
    """

    replays = False
    holds_back = True

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._host, self._port = address.host, address.port or 0
        self._token = address.secret("AWRY_PUSH_TOKEN")
        if self._host not in _LOCAL and not self._token:
            raise DataError(
                f"{self.name} can be reached by others",
                remedy="set AWRY_PUSH_TOKEN, or listen at 127.0.0.1",
            )
        self._waiting: queue.Queue[_Request] = queue.Queue(_MOST)
        self._open: list[_Request] = []
        self._next = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.server_address[1])

    def _begin(self, position: Position | None) -> None:
        self._next = 0 if position is None else position.next
        self._server = _Server((self._host, self._port), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, messages: list[bytes]) -> bool | None:
        """Queue events and wait until they are kept; None where too many wait already."""
        request = _Request(messages)
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            return None
        return request.kept.wait(_PATIENCE)

    def allowed(self, authorization: str | None) -> bool:
        """Whether a request may send events."""
        if self._token is None:
            return True
        return hmac.compare_digest((authorization or "").encode(), f"Bearer {self._token}".encode())

    def poll(self, most: int, timeout: float) -> list[Batch]:
        messages: list[bytes] = []
        try:
            request = self._waiting.get(timeout=timeout)
            while True:
                messages += request.messages
                request.last = self._next + len(messages) - 1
                self._open.append(request)
                if len(messages) >= most:
                    break
                request = self._waiting.get_nowait()
        except queue.Empty:
            if not messages:
                return []
        offsets = list(range(self._next, self._next + len(messages)))
        self._next += len(messages)
        return [Batch(self.topic, 0, offsets, messages, Position(self._next), time.time())]

    def done(self, topic: str, partition: int, position: Position) -> None:
        kept = [request for request in self._open if request.last < position.next]
        self._open = self._open[len(kept) :]
        for request in kept:
            request.kept.set()

    def lag(self) -> int | None:
        return sum(len(request.messages) for request in list(self._waiting.queue))

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who went away before the answer need not have it; other errors are told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(source: PushSource) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _PATIENCE

        def do_POST(self) -> None:
            if not source.allowed(self.headers.get("Authorization")):
                self._answer(401, error="the token is missing or not the right one")
                return
            length = self.headers.get("Content-Length", "")
            if not length.isdigit():
                self._answer(411, error="the request tells no Content-Length")
                return
            if int(length) > MAX_MESSAGE:
                self._answer(413, error=f"at most {MAX_MESSAGE:,} bytes are allowed")
                return
            body = self.rfile.read(int(length))
            if len(body) < int(length):  # who went away half way is not heard at all
                self.close_connection = True
                return
            try:
                messages = _messages(body)
            except msgspec.DecodeError as error:
                self._answer(400, error=f"no proper JSON: {error}")
                return
            kept = source.take(messages) if messages else True
            if kept is None:
                self._answer(503, error="too much waits; send again in a moment")
            elif not kept:
                self._answer(504, error="not known to be kept")
            else:
                self._answer(200, accepted=len(messages))

        def _answer(self, status: int, **words: Any) -> None:
            body = msgspec.json.encode(words)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 503:
                self.send_header("Retry-After", "1")
            # What was not read of a refused body must not be taken for the next request.
            if status in (401, 411, 413):
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not logged."""

    return Handler


def _messages(body: bytes) -> list[bytes]:
    """The events of a request's body."""
    if body.lstrip()[:1] == b"[":
        return [bytes(one) for one in msgspec.json.decode(body, type=list[msgspec.Raw])]
    return [line for line in body.splitlines() if line.strip()]
