"""JSON bodies, strictly: no NaN, no text that is none, no nesting without end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from awry.ops.errors import TooLargeError
from awry.ops.limits import check_depth

#: Half of a pair that stands for one character, which alone is no text.
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class _JsonRequest(Request):
    async def json(self) -> Any:
        body, limit = await self.body(), self.app.state.service.settings.max_json_depth
        try:
            value = json.loads(body, parse_constant=_refuse_constant)
            check_depth(value, limit)
            if SURROGATE.search(body):
                json.dumps(value, ensure_ascii=False).encode()
        except (RecursionError, TooLargeError):
            raise HTTPException(413, f"the JSON is nested more than {limit} deep") from None
        except ValueError as error:
            # Digits past Python's limit, bytes that are no UTF-8, half of a surrogate pair.
            raise HTTPException(400, f"the body is no JSON awry reads: {error}"[:300]) from None
        return value


class StrictRoute(APIRoute):
    """A route that reads its JSON as this module says."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with the request wrapped."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return strict


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON; use null")
