"""Sinks reached over HTTP: webhooks, and InfluxDB by its line protocol."""

from __future__ import annotations

import http.client
import math
import ssl
from urllib.parse import urlencode, urlsplit

import msgspec

from awry.core.errors import DataError
from awry.stream.address import Address
from awry.stream.sinks.base import Mark, Message, RefusedError, Sink

_TIMEOUT = 10.0
#: Messages in one request.
_AT_ONCE = 1_000


class _Http(Sink):
    """Requests to one address, over a connection that is kept."""

    def _connect(self, url: str) -> None:
        parts = urlsplit(url)
        self._place = parts.path or "/"
        if parts.query:
            self._place += f"?{parts.query}"
        self._encrypted, self._host, self._port = (
            parts.scheme == "https",
            parts.hostname,
            parts.port,
        )
        if not self._host:
            raise DataError(f"{self.name} names no host")
        self._connection: http.client.HTTPConnection | None = None

    def _post(self, body: bytes, headers: dict[str, str]) -> None:
        if self._connection is None:
            self._connection = (
                http.client.HTTPSConnection(
                    str(self._host), self._port, timeout=_TIMEOUT,
                    context=ssl.create_default_context(),
                )
                if self._encrypted
                else http.client.HTTPConnection(str(self._host), self._port, timeout=_TIMEOUT)
            )  # fmt: skip
        try:
            self._connection.request("POST", self._place, body, headers)
            answer = self._connection.getresponse()
            told = answer.read(500)
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if answer.status >= 300:
            self.close()
            words = f"{self.name} answers {answer.status}: {told.decode(errors='replace')[:200]}"
            # Too many requests, and a server's own trouble, pass.
            again = answer.status in (408, 425, 429) or answer.status >= 500
            raise OSError(words) if again else RefusedError(words)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class WebhookSink(_Http):
    """``webhook+https://host/path``: ``{"events": […]}`` by POST, with the batch's own key.

    The header ``Idempotency-Key`` is the same when a batch is told once more; the header
    ``Authorization`` is AWRY_WEBHOOK_AUTHORIZATION.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        # What is not ours is the other side's own.
        query = urlencode(address.options)
        address.options.clear()
        url = address.text.removeprefix("webhook+").partition("?")[0]
        self._connect(url + (f"?{query}" if query else ""))
        self._authorization = address.secret("AWRY_WEBHOOK_AUTHORIZATION")

    def _send(self, messages: list[Message], mark: Mark) -> None:
        for at in range(0, len(messages), _AT_ONCE):
            some = messages[at : at + _AT_ONCE]
            headers = {
                "Content-Type": "application/json",
                "Idempotency-Key": f"{mark.stream}|{some[0]['id']}|{some[-1]['id']}".encode(
                    "ascii", "replace"
                ).decode(),
            }
            if self._authorization:
                headers["Authorization"] = self._authorization
            self._post(msgspec.json.encode({"events": some}), headers)


class InfluxSink(_Http):
    """``influx://host:8086/database``, or ``/org/bucket`` of version 2; options ``measurement``
    and ``tls``. The token is AWRY_INFLUX_TOKEN.

    A point has the tags stream, key and severity, and the fields score, anomaly and offset. An
    equal point written again replaces itself, so that nothing is there twice.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._measurement = address.take("measurement", "awry")
        encrypted = address.take("tls", False, bool)
        parts = [part for part in address.path.split("/") if part]
        if len(parts) == 1:
            place = "/write?" + urlencode({"db": parts[0], "precision": "ns"})
        elif len(parts) == 2:
            place = "/api/v2/write?" + urlencode(
                {"org": parts[0], "bucket": parts[1], "precision": "ns"}
            )
        else:
            raise DataError(
                f"{self.name} names no database", remedy="write influx://host:8086/database"
            )
        self._connect(
            f"{'https' if encrypted else 'http'}://{address.host}:{address.port or 8086}{place}"
        )
        self._token = address.secret("AWRY_INFLUX_TOKEN")

    def _send(self, messages: list[Message], mark: Mark) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._token:
            headers["Authorization"] = f"Token {self._token}"
        for at in range(0, len(messages), _AT_ONCE):
            lines = [self._line(message) for message in messages[at : at + _AT_ONCE]]
            self._post("\n".join(lines).encode(), headers)

    def _line(self, message: Message) -> str:
        tags = {
            "stream": message["stream"], "key": message.get("key"),
            "severity": message.get("severity"),
            "partition": f"{message['topic']}/{message['partition']}",
        }  # fmt: skip
        named = "".join(f",{name}={_tag(str(v))}" for name, v in tags.items() if v)
        score = message.get("score")
        fields = [f"offset={message['offset']}i"]
        if score is not None and math.isfinite(score):
            fields.append(f"score={score!r}")
        if "anomaly" in message:
            fields.append(f"anomaly={'true' if message['anomaly'] else 'false'}")
        # Events of the same moment would replace one another: the offset tells them apart.
        at = int(message.get("time", 0.0) * 1e6) * 1000 + message["offset"] % 1000
        return f"{_tag(self._measurement)}{named} {','.join(fields)} {at}"


def _tag(text: str) -> str:
    """Text in the line protocol, where commas, spaces and equal signs have a meaning."""
    text = " ".join(text.split()).rstrip("\\")
    for mark in (",", "=", " "):
        text = text.replace(mark, f"\\{mark}")
    return text or "-"
