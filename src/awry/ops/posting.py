"""Requests to one server elsewhere, over a connection that is kept."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from awry.core.errors import AwryError, DataError

#: Seconds for an answer.
_TIMEOUT = 10.0
#: What passes: it took too long, came too early, or there is too much of it.
_PASSES = (408, 425, 429)


class RefusedError(AwryError):
    """The other side will never take it as it stands: trying again is no use.

    Attributes
    ----------
    status : int
        What it answered; 0 where it did not come to that.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Poster:
    """Sends requests to a server.

    Parameters
    ----------
    url : str
        ``http://host:port/…`` or ``https://``; its path is that of requests that name none.
    name : str
        What errors call it.
    """

    def __init__(self, url: str, name: str, *, timeout: float = _TIMEOUT) -> None:
        try:
            parts = urlsplit(url)
            self._host, self._port = parts.hostname, parts.port
        except ValueError as error:
            raise DataError(f"{name} is no address: {error}") from error
        if not self._host or parts.scheme not in ("http", "https"):
            raise DataError(f"{name} must be http://host:port/… or https://…")
        self.name, self._timeout = name, timeout
        self._encrypted = parts.scheme == "https"
        self.place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str], place: str | None = None) -> None:
        """Send ``body``.

        Raises
        ------
        OSError, http.client.HTTPException
            Where it may be tried again.
        RefusedError
            Where that is no use.
        """
        self.request("POST", place, body, headers)

    def request(
        self,
        method: str,
        place: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """As :meth:`post`, by any method; the beginning of the answer."""
        connection = self._connection or self._connect()
        try:
            connection.request(method, place or self.place, body, dict(headers or {}))
            answer = connection.getresponse()
            told = answer.read(500)
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if answer.status >= 300 or not answer.isclosed():
            self.close()
        if answer.status >= 300:
            words = f"{self.name} answers {answer.status}: {told.decode(errors='replace')[:200]}"
            if answer.status in _PASSES or answer.status >= 500:
                raise OSError(words)
            raise RefusedError(words, answer.status)
        return told

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        where = (str(self._host), self._port)
        self._connection = (
            http.client.HTTPSConnection(
                *where, timeout=self._timeout, context=ssl.create_default_context()
            )
            if self._encrypted
            else http.client.HTTPConnection(*where, timeout=self._timeout)
        )
        return self._connection
