"""Where alerts go: webhooks, Slack, e-mail, Alertmanager and files.

``AWRY_ALERT_SINKS`` names them, between commas, as ``NAME=ADDRESS``; what is secret stands in
``AWRY_ALERT_SECRET_`` and the name in capitals.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import re
import smtplib
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from awry.core.errors import AwryError
from awry.core.params import ParameterError
from awry.ops.names import PATTERN
from awry.ops.reach import ForbiddenError, Network, connect, networks
from awry.ops.settings import Settings

_TIMEOUT = 10.0
#: Statuses after which it is worth trying again.
_LATER = (408, 425, 429)
_COLOURS = {"warning": "#d9a400", "critical": "#d9480f", "emergency": "#c00000"}
_NAME = re.compile(PATTERN.removesuffix("$") + r"\Z")


class RefusedError(AwryError):
    """The other side will not take it, however often it is told."""


class AlertSink:
    """Somebody to be told of alerts.

    Parameters
    ----------
    name : str
    address : SplitResult
    secret : str or None
    allowed : sequence of networks
        That may be called although they are link-local or the like.
    """

    kind: ClassVar[str] = ""
    needs_secret: ClassVar[bool] = False

    def __init__(
        self,
        name: str,
        address: SplitResult,
        secret: str | None = None,
        allowed: tuple[Network, ...] = (),
    ) -> None:
        self.name, self._address, self._secret, self._allowed = name, address, secret, allowed
        if self.needs_secret and not secret:
            raise ParameterError(f"the sink {name} needs {secret_of(name)}")
        self._check()

    def send(self, message: Mapping[str, Any], number: int) -> None:
        """Tell of ``message``.

        Parameters
        ----------
        number : int
            Of the delivery; the same where it is told once more.

        Raises
        ------
        RefusedError, ForbiddenError
            Where trying again is no use.
        Exception
            Any other: it may work later.
        """
        raise NotImplementedError

    def _check(self) -> None:
        """Raise where the address is none of its kind."""
        try:
            sane = bool(self._address.hostname) and (self._address.port or 1) > 0
        except ValueError:
            sane = False
        if not sane:
            raise ParameterError(f"the sink {self.name} has an address without host or port")


class _Http(AlertSink):
    """Told by POST; redirects are not followed, since they could lead anywhere."""

    def _check(self) -> None:
        super()._check()
        if self._address.scheme not in ("http", "https"):
            raise ParameterError(f"the sink {self.name} must be reached by http or https")

    def _post(self, body: bytes, headers: Mapping[str, str], path: str | None = None) -> None:
        url, host = self._address, str(self._address.hostname)
        secure = url.scheme == "https"
        port = url.port or (443 if secure else 80)
        make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = make(host, port, timeout=_TIMEOUT)
        plain = connect(host, port, timeout=_TIMEOUT, allowed=self._allowed)
        connection.sock = plain
        try:
            if secure:
                context = ssl.create_default_context()
                connection.sock = context.wrap_socket(plain, server_hostname=host)
            place = (url.path or "/") if path is None else path
            place += f"?{url.query}" if url.query else ""
            told = {"Content-Type": "application/json", "User-Agent": "awry", **headers}
            connection.request("POST", place, body, told)
            answer = connection.getresponse()
            answer.read(1_000)
        finally:
            connection.close()
            plain.close()
        if answer.status >= 300:
            again = answer.status in _LATER or answer.status >= 500
            raise (OSError if again else RefusedError)(f"{self.name} answered {answer.status}")


class Webhook(_Http):
    """``webhook+https://host/path``: the message as JSON, signed.

    ``X-Awry-Signature`` is ``sha256=`` and HMAC-SHA256, with the secret, of ``X-Awry-Timestamp``,
    a dot and the body. ``X-Awry-Delivery`` is the same where a message is told once more.
    """

    kind, needs_secret = "webhook", True

    def send(self, message: Mapping[str, Any], number: int) -> None:
        assert self._secret is not None
        body, at = json.dumps(message).encode(), str(int(time.time()))
        headers = {
            "X-Awry-Timestamp": at,
            "X-Awry-Signature": sign(self._secret, at, body),
            "X-Awry-Delivery": str(number),
        }
        self._post(body, headers)


class Slack(_Http):
    """``slack+https://hooks.slack.com/services/…``; the secret, if any, is added to the path."""

    kind = "slack"

    def send(self, message: Mapping[str, Any], number: int) -> None:
        path = (self._address.path or "/") + (self._secret or "")
        shown = [f"*{_escape(a['summary'])}*" for a in message["alerts"]]
        if message["more"]:
            shown.append(f"and {message['more']:,} more")
        told = {
            "text": _escape(title(message)),
            "attachments": [
                {
                    "color": "#2f9e44"
                    if message["status"] == "resolved"
                    else _COLOURS[message["severity"]],
                    "mrkdwn_in": ["text"],
                    "text": "\n".join(shown),
                    "ts": int(message["at"]),
                }
            ],
        }
        self._post(json.dumps(told).encode(), {}, path)


class Alertmanager(_Http):
    """``alertmanager+http://host:9093``: its API, version 2; the secret is a bearer token."""

    kind = "alertmanager"

    def send(self, message: Mapping[str, Any], number: int) -> None:
        told = [
            {
                "labels": alert["labels"] | {"severity": alert["severity"]},
                "annotations": {"summary": alert["summary"]},
                "startsAt": _iso(alert["started"]),
                # It takes what it is not told of again for resolved.
                "endsAt": _iso(alert["resolved"] or message["until"]),
            }
            for alert in message["alerts"]
        ]
        headers = {"Authorization": f"Bearer {self._secret}"} if self._secret else {}
        path = self._address.path.rstrip("/") + "/api/v2/alerts"
        self._post(json.dumps(told).encode(), headers, path)


class Email(AlertSink):
    """``smtp://host:587?from=…&to=…&to=…``, or ``smtps://``; the secret is ``user:password``.

    Over ``smtp://`` the connection is encrypted where the other side offers it, and always before
    a password is sent.
    """

    kind = "email"

    def _check(self) -> None:
        super()._check()
        asked = parse_qs(self._address.query)
        self._from, self._to = "".join(asked.get("from", [])), asked.get("to", [])
        if not self._from or not self._to:
            raise ParameterError(f"the sink {self.name} needs ?from= and &to=")

    def send(self, message: Mapping[str, Any], number: int) -> None:
        letter = EmailMessage()
        letter["Subject"] = " ".join(title(message).split())[:200]
        letter["From"], letter["To"] = self._from, ", ".join(self._to)
        letter["Message-ID"] = f"<awry-{number}@{self._from.rpartition('@')[2]}>"
        lines = [f"{alert['severity']}: {alert['summary']}" for alert in message["alerts"]]
        lines += [f"and {message['more']:,} more"] if message["more"] else []
        letter.set_content("\n".join([title(message), "", *lines]))
        with self._connected() as server:
            if self._address.scheme == "smtp" and (server.has_extn("starttls") or self._secret):
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
            if self._secret:
                user, _, password = self._secret.partition(":")
                server.login(user, password)
            server.send_message(letter)

    def _connected(self) -> smtplib.SMTP:
        host, secure = str(self._address.hostname), self._address.scheme == "smtps"
        allowed = self._allowed

        class Checked(smtplib.SMTP_SSL if secure else smtplib.SMTP):  # type: ignore[misc]
            def _get_socket(self, host: str, port: int, timeout: float) -> Any:
                plain = connect(host, port, timeout=timeout, allowed=allowed)
                if not secure:
                    return plain
                return self.context.wrap_socket(plain, server_hostname=host)

        options: dict[str, Any] = {"context": ssl.create_default_context()} if secure else {}
        port = self._address.port or (465 if secure else 587)
        made: smtplib.SMTP = Checked(host, port, timeout=_TIMEOUT, **options)
        made.ehlo()
        return made


class File(AlertSink):
    """``file:///path``: a line of JSON each."""

    kind = "file"

    def _check(self) -> None:
        self._path = Path(unquote(self._address.path))
        if self._address.netloc or not self._path.is_absolute():
            raise ParameterError(f"the sink {self.name} must be file:///path")

    def send(self, message: Mapping[str, Any], number: int) -> None:
        line = json.dumps({"delivery": number, **message}).encode() + b"\n"
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "wb", buffering=0) as file:
            file.write(line)


#: By the scheme of an address, up to its plus sign.
_SCHEMES: dict[str, Callable[..., AlertSink]] = {
    "webhook": Webhook, "slack": Slack, "alertmanager": Alertmanager, "smtp": Email,
    "smtps": Email, "file": File,
}  # fmt: skip


def open_sinks(
    settings: Settings, environment: Mapping[str, str] | None = None
) -> dict[str, AlertSink]:
    """The sinks of ``settings``, by name, with the secrets of ``environment``.

    Raises
    ------
    ParameterError
        Where one is not what it has to be.

    Examples
    --------
    >>> list(open_sinks(Settings(alert_sinks=("log=file:///tmp/alerts.jsonl",))))
    ['log']
    """
    environment = os.environ if environment is None else environment
    try:
        allowed = networks(settings.alert_allow)
    except ValueError as error:
        raise ParameterError(f"AWRY_ALERT_ALLOW must be networks or addresses: {error}") from None
    found: dict[str, AlertSink] = {}
    for text in settings.alert_sinks:
        name, _, address = text.partition("=")
        scheme = address.partition(":")[0]
        kind = scheme.partition("+")[0]
        make = _SCHEMES.get(kind)
        if not _NAME.match(name) or make is None or name in found:
            raise ParameterError(
                "AWRY_ALERT_SINKS must be NAME=ADDRESS between commas, each name once and the "
                f"address one of {', '.join(_SCHEMES)}, got {name!r}"
            )
        url = urlsplit(address.removeprefix(f"{kind}+"))
        found[name] = make(name, url, environment.get(secret_of(name)), allowed)
    return found


def secret_of(name: str) -> str:
    """The variable that holds the secret of a sink.

    Examples
    --------
    >>> secret_of("on-call")
    'AWRY_ALERT_SECRET_ON_CALL'
    """
    return "AWRY_ALERT_SECRET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a webhook's body."""
    made = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"sha256={made.hexdigest()}"


def title(message: Mapping[str, Any]) -> str:
    """One line that says what ``message`` is about."""
    n = len(message["alerts"]) + message["more"]
    what = message["alerts"][0]["summary"] if n == 1 else f"{n:,} alerts"
    return f"[{message['status']}, {message['severity']}] {message['rule']}: {what}"


#: After these, trying again is no use.
FINAL = (RefusedError, ForbiddenError)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
