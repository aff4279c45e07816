"""The quick way of a request to judge rows: decoded, judged and encoded without detours.

What it does not take (nested rows, bodies that are no such request) goes the ordinary way, which
also says what is wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from fastapi import Response
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from awry.core.errors import AwryError
from awry.kernels.json_rows import Keys, read_rows
from awry.ops.answers import Answer, Ask
from awry.ops.names import PATTERN
from awry.ops.service import Service
from awry.server.batches import Batches
from awry.server.bodies import SURROGATE
from awry.server.errors import blame, refusal
from awry.server.metrics import Metrics

#: Where rows are judged.
PATHS = ("/detect", "/v1/detect")
#: Characters of a column's name.
_NAME = 1_000
#: Bodies of more bytes are worth a way of their own, and so many shapes of rows are known again.
_LONG, _SHAPES = 16_384, 4


class _Asked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """As :class:`~awry.server.schemas.DetectRequest`."""

    method: Annotated[str, Meta(min_length=1, max_length=100)] = "auto"
    model: Annotated[str, Meta(pattern=PATTERN)] | None = None
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    threshold: float | Annotated[str, Meta(max_length=200)] | None = None
    explain: bool = False


class _Rows(_Asked, kw_only=True):
    data: list[dict[str, Any]]


_decode = msgspec.json.Decoder(_Rows).decode
_encode = msgspec.json.Encoder().encode


class _Shape(NamedTuple):
    """Rows of numbers: the columns of the model, as they are written, and their order."""

    names: list[str]
    keys: Keys
    order: Any


class Quick:
    """Middleware that answers requests to judge rows where it can.

    Long bodies that hold nothing but the numbers of a model are read as just that, once such a
    body has been seen.
    """

    def __init__(self, app: ASGIApp, service: Service, metrics: Metrics, batches: Batches) -> None:
        self._app, self._judging = app, service.judging
        self._metrics, self._batches = metrics, batches
        self._shapes: OrderedDict[tuple[str, ...], _Shape] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        # Any key that is let in may judge, so no role is asked for here.
        body = await _read(receive)
        if body is None:
            return
        try:
            answer = await self._answer(body)
        except AwryError as error:
            scope["route"] = SimpleNamespace(path=scope["path"])
            blame(scope, error)
            await refusal(error)(scope, receive, send)
            return
        if answer is None:
            await self._app(scope, _again(body, receive), send)
            return
        scope["route"] = SimpleNamespace(path=scope["path"])
        await answered(self._metrics, answer)(scope, receive, send)

    async def _answer(self, body: bytes) -> Answer | None:
        ask = self._ask_numbers(body) if len(body) > _LONG else None
        if ask is not None:
            return await self._batches.answer(ask)
        ask = self._ask(body)
        if ask is None:
            return None
        answer = await self._batches.answer(ask)
        if answer is None:
            return await run_in_threadpool(self._judging.answer, ask)
        if len(body) > _LONG:
            names = await run_in_threadpool(self._judging.numbers_of, ask)
            if names is not None:
                self._learn_shape(list(ask.columns), names)
        return answer

    def _ask(self, body: bytes) -> Ask | None:
        try:
            found = _decode(body)
        except (ValueError, RecursionError):
            return None
        # As many brackets as flat rows have: nothing is nested.
        if body.count(b"{") != len(found.data) + 1 or body.count(b"[") != 1:
            return None
        if b"\\u" in body and SURROGATE.search(body):
            return None
        ask = self._judging.ask(found.data, flat=True, **_options(found))
        return None if max(map(len, ask.columns), default=0) > _NAME else ask

    def _ask_numbers(self, body: bytes) -> Ask | None:
        """The request, where its rows are of a known shape."""
        for shape, (names, keys, order) in reversed(self._shapes.items()):
            rows = read_rows(body, keys)
            if rows is None:
                continue
            numbers, begin, end = rows
            try:
                # The only bracket that is left is that of the rows, which must not be missing.
                rest = _decode(body[:begin] + b"[]" + body[end:])
            except (ValueError, RecursionError):
                return None
            if b"[" in body[end:]:
                return None
            self._shapes.move_to_end(shape)
            return self._judging.ask_numbers(names, numbers[:, order], **_options(rest))
        return None

    def _learn_shape(self, given: Sequence[str], names: list[str]) -> None:
        """Know rows again whose columns come as ``given``; the model's are called ``names``."""
        places = [given.index(name) for name in names]
        order = slice(None) if places == sorted(places) else np.array(places)
        self._shapes[tuple(given)] = _Shape(names, Keys.of(given), order)
        while len(self._shapes) > _SHAPES:
            self._shapes.popitem(last=False)


def warm_up() -> None:
    """Load what reads long bodies."""
    read_rows(b'{"data":[{"x":1}]}', Keys.of("x"))


def answered(metrics: Metrics, answer: Answer) -> Response:
    """The response, with its rows counted."""
    model = answer.model
    metrics.judged(model["name"] if model else None, answer.method, answer.rows, answer.flagged)
    return Response(_encode(answer), media_type="application/json")


def _options(asked: _Asked) -> dict[str, Any]:
    return {
        "method": asked.method,
        "model": asked.model,
        "version": asked.version,
        "threshold": asked.threshold,
        "explain": asked.explain,
    }


def _is_json(scope: Scope) -> bool:
    return scope["method"] == "POST" and (b"content-type", b"application/json") in scope["headers"]


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None where the client has gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives ``body`` once more, then what ``receive`` gives."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
