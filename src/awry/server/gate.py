"""What every request passes: an id, a key, a rate, a bound on its body; a log line and metrics."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from awry.ops.service import Service
from awry.server.auth import LOCAL, identify, key_of
from awry.server.errors import problem
from awry.server.metrics import Metrics

_log = logging.getLogger("awry.server.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")
#: What answers anybody.
OPEN = ("/health", "/ready", "/openapi.json")
#: Callers whose rate is kept; those not heard of for longest are forgotten.
_CALLERS = 10_000


class Rate:
    """A token bucket for each caller.

    Parameters
    ----------
    rate : float
        Tokens a second.
    burst : int
        Tokens a bucket holds.

    Examples
    --------
    >>> bucket = Rate(1.0, 2)
    >>> [bucket.wait("me", now=0.0) for _ in range(3)], bucket.wait("me", now=1.0)
    ([0.0, 0.0, 1.0], 0.0)
    """

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, caller: str, now: float | None = None) -> float:
        """Take a token: 0, or the seconds until there is one."""
        now = time.monotonic() if now is None else now
        with self._lock:
            tokens, then = self._buckets.pop(caller, (float(self.burst), now))
            tokens = min(self.burst, tokens + (now - then) * self.rate)
            self._buckets[caller] = (tokens - 1 if tokens >= 1 else tokens, now)
            if len(self._buckets) > _CALLERS:
                self._buckets.popitem(last=False)
        return 0.0 if tokens >= 1 else (1 - tokens) / self.rate


class Gate:
    """Middleware around the whole application."""

    def __init__(self, app: ASGIApp, service: Service, metrics: Metrics) -> None:
        self.app, self.service, self.metrics = app, service, metrics
        self.rate = Rate(service.settings.rate, service.settings.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        # Of a header given twice, the first counts.
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in reversed(scope["headers"])}
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.match(given) else os.urandom(16).hex()
        seen: dict[str, Any] = {"status": 500}

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                told = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
                message = {**message, "headers": told}
            await send(message)

        try:
            try:
                await self._admit(scope, headers)
                await self.app(scope, self._bounded(headers, receive), tell)
            except HTTPException as error:
                refusal = problem(error.status_code, str(error.detail), headers=error.headers)
                await refusal(scope, receive, tell)
            except sa.exc.OperationalError:
                refusal = problem(503, "the database does not answer", remedy="try again")
                await refusal(scope, receive, tell)
        finally:
            seconds = time.perf_counter() - begun
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.answered(scope["method"], route, seen["status"], seconds)
            _log.info(
                "%s %s %d",
                scope["method"],
                route,
                seen["status"],
                extra={
                    "request_id": request_id,
                    "method": scope["method"],
                    "route": route,
                    "status": seen["status"],
                    "ms": round(1e3 * seconds, 2),
                    "caller": getattr(scope["state"].get("caller"), "id", None),
                },
            )

    async def _admit(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """Let a request in before its body is read, or raise."""
        scope.setdefault("state", {})
        if scope["path"] in OPEN or scope["method"] == "OPTIONS":
            return
        address = scope["client"][0] if scope.get("client") else "nobody"
        try:
            if key_of(headers) is None:  # no need to ask the database
                caller = identify(self.service, headers)
            else:
                caller = await run_in_threadpool(identify, self.service, headers)
        except HTTPException:
            # Guessing keys has its rate, too.
            self._charge(f"address {address}")
            raise
        self._charge(f"address {address}" if caller is LOCAL else f"key {caller.id}")
        scope["state"]["caller"] = caller

    def _charge(self, caller: str) -> None:
        seconds = self.rate.wait(caller)
        if seconds:
            raise HTTPException(
                429,
                f"more than {self.rate.rate:g} requests a second",
                headers={"Retry-After": str(max(1, round(seconds)))},
            )

    def _bounded(self, headers: Mapping[str, str], receive: Receive) -> Receive:
        """``receive``, until the body is longer than allowed."""
        settings = self.service.settings
        upload = headers.get("content-type", "").startswith("multipart/form-data")
        limit = settings.max_upload_bytes if upload else settings.max_body_bytes
        told = headers.get("content-length", "")
        if told.isdecimal() and int(told[:19]) > limit:
            raise _too_large(limit)
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise _too_large(limit)
            return message

        return bounded


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {limit:,} bytes")
