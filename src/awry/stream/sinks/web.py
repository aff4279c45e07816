"""Sinks reached over HTTP: webhooks, and InfluxDB by its line protocol."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import msgspec

from awry.ops.influx import Influx
from awry.ops.line_protocol import line
from awry.ops.posting import Poster
from awry.stream.address import Address
from awry.stream.sinks.base import Mark, Message, Sink

#: Messages in one request.
_AT_ONCE = 1_000


class WebhookSink(Sink):
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
        self._poster = Poster(url + (f"?{query}" if query else ""), self.name)
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
            self._poster.post(msgspec.json.encode({"events": some}), headers)

    def close(self) -> None:
        self._poster.close()


class InfluxSink(Sink):
    """``influx://host:8086/database``, or ``/org/bucket`` of version 2; options ``measurement``
    and ``tls``. The token is AWRY_INFLUX_TOKEN.

    A point has the tags stream, key and severity, and the fields score, anomaly and offset. An
    equal point written again replaces itself, so that nothing is there twice.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._measurement = address.take("measurement", "awry")
        scheme = "https" if address.take("tls", False, bool) else "http"
        self._influx = Influx(
            f"{scheme}://{address.host}:{address.port or 8086}{quote(address.path)}"
        )

    def _send(self, messages: list[Message], mark: Mark) -> None:
        for at in range(0, len(messages), _AT_ONCE):
            self._influx.write([self._line(message) for message in messages[at : at + _AT_ONCE]])

    def _line(self, message: Message) -> str:
        tags = {
            "stream": message["stream"], "key": message.get("key"),
            "severity": message.get("severity"),
            "partition": f"{message['topic']}/{message['partition']}",
        }  # fmt: skip
        fields = {
            "offset": message["offset"], "score": message.get("score"),
            "anomaly": message.get("anomaly"),
        }  # fmt: skip
        # Events of the same moment would replace one another: the offset tells them apart.
        at = int(message.get("time", 0.0) * 1e6) * 1000 + message["offset"] % 1000
        return line(self._measurement, tags, fields, at)

    def close(self) -> None:
        self._influx.close()
