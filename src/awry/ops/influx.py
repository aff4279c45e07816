"""Scores and events in InfluxDB, too: written in batches, beside everything else."""

from __future__ import annotations

import base64
import http.client
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from urllib.parse import unquote, urlencode, urlsplit

from awry.core.errors import DataError
from awry.ops.judgement import Judgement
from awry.ops.line_protocol import lines_of
from awry.ops.posting import Poster, RefusedError

_log = logging.getLogger(__name__)

#: Rows that may wait to be written; of more, the newest are not.
_WAITING = 1_000_000
#: Points of one request.
_BATCH = 5_000
#: Seconds between tries, at first and at most, and that what is left at the end is given.
_SOON, _LATE, _LAST = 0.5, 30.0, 5.0
#: Answers that tell of the server's set-up, not of the points: no database yet, or a wrong token.
_SET_UP = (401, 403, 404)


class Influx:
    """An InfluxDB that points are written to.

    Parameters
    ----------
    url : str
        ``http://host:8086/database`` of version 1, ``http://host:8086/org/bucket`` of 2 and 3.
        Without a path the bucket AWRY_INFLUX_BUCKET of AWRY_INFLUX_ORG, or else the database
        AWRY_INFLUX_DATABASE, by default ``awry``.
    environment : mapping, optional
        Holds AWRY_INFLUX_TOKEN, or AWRY_INFLUX_USER and AWRY_INFLUX_PASSWORD.
    """

    def __init__(self, url: str, environment: Mapping[str, str] | None = None) -> None:
        known = os.environ if environment is None else environment
        parts = urlsplit(url)
        name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        path = [unquote(part) for part in parts.path.split("/") if part]
        if not path:
            bucket = known.get("AWRY_INFLUX_BUCKET")
            path = (
                [known.get("AWRY_INFLUX_ORG", ""), bucket]
                if bucket
                else [known.get("AWRY_INFLUX_DATABASE", "awry")]
            )
        if len(path) > 2:
            raise DataError(
                f"{name} names no database",
                remedy="write http://host:8086/database, or /org/bucket",
            )
        where = {"db": path[0]} if len(path) == 1 else {"org": path[0], "bucket": path[1]}
        self._place = ("/write?" if len(path) == 1 else "/api/v2/write?") + urlencode(
            {**where, "precision": "ns"}
        )
        self._poster, self._pinged = Poster(url, name), Poster(url, name, timeout=2.0)
        self._headers = _authorization(known)
        self._pinging = threading.Lock()

    def write(self, lines: Sequence[str]) -> None:
        """Write points.

        Raises
        ------
        OSError, http.client.HTTPException, RefusedError
            As :meth:`~awry.ops.posting.Poster.post`.
        """
        headers = {"Content-Type": "text/plain; charset=utf-8", **self._headers}
        self._poster.post("\n".join(lines).encode(), headers, self._place)

    def ping(self) -> None:
        """Raise where it does not answer; what all versions know is ``/ping``."""
        with self._pinging:
            self._pinged.request("GET", "/ping", headers=self._headers)

    def close(self) -> None:
        self._poster.close()
        self._pinged.close()


class InfluxMirror:
    """Writes what is judged to InfluxDB, and holds nobody up.

    What cannot be written now is tried again, less and less often; a million rows may wait. What
    InfluxDB will never take, such as a field of another type, is dropped.

    Attributes
    ----------
    lost : int
        Points that were dropped, or rows that did not find room to wait, since the process began.
    """

    def __init__(self, influx: Influx, *, most: int = _WAITING, pause: float = _SOON) -> None:
        self._influx, self._most, self._soonest = influx, most, pause
        self._waiting: deque[Judgement] = deque()
        self._rows = self.lost = 0
        self._lines: Iterator[str] = iter(())
        self._batch: list[str] = []
        self._trouble = ""
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def hear(self, made: Judgement) -> None:
        """Take a judgement, which must not be changed any more."""
        with self._lock:
            if self._rows + len(made.scores) > self._most:
                self.lost += len(made.scores)
                return
            self._rows += len(made.scores)
            self._waiting.append(made)
        self._wake.set()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="awry-influx", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, as far as that works at once, and stop."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_LAST)
        self._influx.close()

    def check(self) -> None:
        """Raise where InfluxDB does not answer, or does not take what it is told."""
        if self._trouble:
            raise ConnectionError(self._trouble)
        self._influx.ping()

    def _loop(self) -> None:
        pause = self._soonest
        while True:
            if self._send():
                pause = self._soonest
                if self._stop.is_set():
                    return
                self._wake.wait()
                self._wake.clear()
            elif self._stop.wait(pause):
                self._give_up()
                return
            else:
                pause = min(2 * pause, _LATE)

    def _send(self) -> bool:
        """Write all there is; whether that worked."""
        while self._next():
            try:
                self._influx.write(self._batch)
            except RefusedError as error:
                if error.status in _SET_UP:
                    self._tell(str(error))
                    return False
                self.lost += len(self._batch)
                _log.error("%d points are dropped: %s", len(self._batch), error)
            except (OSError, http.client.HTTPException) as error:
                self._tell(str(error) or type(error).__name__)
                return False
            self._batch = []
            if self._trouble:
                self._trouble = ""
                _log.warning("InfluxDB takes points again")
        return True

    def _next(self) -> bool:
        """Have a batch to write."""
        while not self._batch:
            self._batch = list(islice(self._lines, _BATCH))
            if self._batch:
                break
            with self._lock:
                if not self._waiting:
                    return False
                made = self._waiting.popleft()
                self._rows -= len(made.scores)
            self._lines = lines_of(made)
        return True

    def _tell(self, trouble: str) -> None:
        if not self._trouble:
            _log.warning("InfluxDB does not take points, it is tried again: %s", trouble)
        self._trouble = trouble

    def _give_up(self) -> None:
        with self._lock:
            self.lost += self._rows + len(self._batch) + sum(1 for _ in self._lines)
            self._waiting.clear()
            self._rows = 0
        _log.error("%d points were not written", self.lost)


def _authorization(known: Mapping[str, str]) -> dict[str, str]:
    token, user = known.get("AWRY_INFLUX_TOKEN"), known.get("AWRY_INFLUX_USER")
    if token:
        return {"Authorization": f"Token {token}"}
    if user:
        both = f"{user}:{known.get('AWRY_INFLUX_PASSWORD', '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(both).decode()}"}
    return {}
