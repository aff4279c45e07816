"""What every request passes: an id, a key, a rate, a bound on its body; a log line and metrics."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from awry.ops.service import Service
from awry.ops.shared import Rates
from awry.ops.store import AWAY
from awry.server.auth import LOCAL, identify, key_of
from awry.server.errors import away, blame, http_refusal
from awry.server.metrics import Metrics
from awry.server.pages.session import ASSETS, FILES, LOGIN, Sessions, ask_for_key, is_page

_log = logging.getLogger("awry.server.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")
#: What answers anybody.
OPEN = ("/health", "/ready", "/openapi.json")
_STATIC = tuple(f"{ASSETS}{name}" for name in FILES)


class Gate:
    """Middleware around the whole application."""

    def __init__(self, app: ASGIApp, service: Service, metrics: Metrics) -> None:
        self.app, self.service, self.metrics = app, service, metrics
        settings = service.settings
        self.rate = Rates(service.shared, settings.rate, settings.burst)
        self.sessions = Sessions(service)

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
                blame(scope, error)
                await http_refusal(error)(scope, receive, tell)
            except AWAY as error:
                blame(scope, error)
                await away(error)(scope, receive, tell)
        except Exception as error:
            blame(scope, error)
            raise
        finally:
            seconds = time.perf_counter() - begun
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.answered(scope["method"], route, seen["status"], seconds)
            if kind := scope["state"].get("error"):
                self.metrics.failed(kind)
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
        if scope["path"] in _STATIC:
            # Anybody gets them, also while the threads of requests wait for the database.
            await self._charge(f"address {address}", asyncio.to_thread)
            return
        if is_page(scope["path"]):
            await self._admit_to_page(scope, headers, address)
            return
        try:
            text = key_of(headers)
            caller = None if text is None else self.service.keys.recall(text)
            if caller is None and text is None:  # no need to ask the database
                caller = identify(self.service, headers)
            elif caller is None:
                caller = await run_in_threadpool(identify, self.service, headers)
        except HTTPException:
            # Guessing keys has its rate, too.
            await self._charge(f"address {address}")
            raise
        await self._charge(f"address {address}" if caller is LOCAL else f"key {caller.id}")
        scope["state"]["caller"] = caller

    async def _admit_to_page(self, scope: Scope, headers: Mapping[str, str], address: str) -> None:
        """Let a browser in by its session, or send it where it is asked for a key."""
        visitor = await run_in_threadpool(self.sessions.visitor, headers)
        who, path = visitor.caller, scope["path"]
        await self._charge(f"address {address}" if who in (None, LOCAL) else f"key {who.id}")
        scope["state"] |= {"caller": who, "visitor": visitor, "sessions": self.sessions}
        if who is None and path != LOGIN:
            # A form that is too late is not sent again by itself: only what is looked at.
            back = scope["method"] in ("GET", "HEAD")
            query = scope["query_string"].decode("latin-1")
            raise ask_for_key(path, query) if back else ask_for_key("/", "")

    async def _charge(self, caller: str, aside: Any = run_in_threadpool) -> None:
        seconds = self.rate.wait_at_once(caller)
        if seconds is None:  # processes share it, and Redis is to be asked
            seconds = await aside(self.rate.wait, caller)
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
