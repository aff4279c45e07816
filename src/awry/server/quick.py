"""The quick way of a request to judge rows: decoded, judged and encoded without detours.

What it does not take (nested rows, bodies that are no such request) goes the ordinary way, which
also says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import msgspec
from fastapi import Request, Response
from msgspec import Meta
from starlette.concurrency import run_in_threadpool

from awry.ops.answers import Answer, Ask
from awry.ops.detect import Judging
from awry.ops.names import PATTERN
from awry.server.bodies import SURROGATE, StrictRoute

#: Characters of a column's name.
_NAME = 1_000
#: Bodies of fewer bytes are decoded as rows, whatever they hold.
_LONG = 16_384


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """As :class:`~awry.server.schemas.DetectRequest`."""

    data: list[dict[str, Any]]
    method: Annotated[str, Meta(min_length=1, max_length=100)] = "auto"
    model: Annotated[str, Meta(pattern=PATTERN)] | None = None
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    threshold: float | Annotated[str, Meta(max_length=200)] | None = None
    explain: bool = False


_decode = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode


class QuickRoute(StrictRoute):
    """The route that judges rows."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """A handler that tries the quick way first."""
        ordinary = super().get_route_handler()

        async def quick(request: Request) -> Response:
            body = await request.body()
            state = request.app.state
            ask = None
            if request.headers.get("content-type") == "application/json":
                ask = _read(body, state.service.judging)
            if ask is None:
                return await ordinary(_again(request, body))
            answer = await state.batches.answer(ask)
            if answer is None:
                answer = await run_in_threadpool(state.service.judging.answer, ask)
            return answered(request, answer)

        return quick


def answered(request: Request, answer: Answer) -> Response:
    """The response, with its rows counted."""
    model = answer.model
    request.app.state.metrics.judged(
        model and model["name"], answer.method, answer.rows, answer.flagged
    )
    return Response(_encode(answer), media_type="application/json")


def _read(body: bytes, judging: Judging) -> Ask | None:
    try:
        found = _decode(body)
    except (ValueError, RecursionError):
        return None
    rows = found.data
    # As many brackets as flat rows have: nothing is nested (nor in quotes, or it takes longer).
    if body.count(b"{") != len(rows) + 1 or body.count(b"[") != 1:
        return None
    if b"\\u" in body and SURROGATE.search(body):
        return None
    ask = judging.ask(
        rows,
        flat=True,
        method=found.method,
        model=found.model,
        version=found.version,
        threshold=found.threshold,
        explain=found.explain,
    )
    return None if max(map(len, ask.columns), default=0) > _NAME else ask


def _again(request: Request, body: bytes) -> Request:
    """``request``, with its body to be read once more."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)
