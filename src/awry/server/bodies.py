"""JSON bodies, strictly: no NaN, no text that is none, no nesting without end."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from awry.core.errors import no_such
from awry.ops.errors import TooLargeError, UnfitError
from awry.ops.limits import check_depth
from awry.server.errors import RefusedError

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
            raise RefusedError(
                413, f"the JSON is nested more than {limit} deep", remedy="nest it less"
            ) from None
        except ValueError as error:
            what, remedy = _wrong(error)
            raise RefusedError(
                400, f"the body is no JSON awry reads: {what}"[:300], remedy=remedy
            ) from None
        return value


def _wrong(error: ValueError) -> tuple[str, str]:
    """What is wrong with JSON, and the remedy: Python's own words where they are of the JSON."""
    if isinstance(error, (json.JSONDecodeError, _ConstantError)):
        return str(error), "send JSON (RFC 8259)"
    if isinstance(error, UnicodeDecodeError):
        return f"the byte at {error.start:,} is not UTF-8", "send it in UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "text holds half of a surrogate pair", "send whole characters"
    digits = sys.get_int_max_str_digits()
    return f"a number has more than {digits:,} digits", "send a shorter one, or text"


class _ConstantError(ValueError):
    """NaN or Infinity, which Python reads and JSON has not."""


class StrictRoute(APIRoute):
    """A route that reads its JSON as this module says, and takes no parameter it does not know.

    A filter with a typing error would else be none at all, and widen the answer.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with the request wrapped."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            self._refuse_unknown(request)
            return await handle(_JsonRequest(request.scope, request.receive))

        return strict

    def _refuse_unknown(self, request: Request) -> None:
        known = [param.alias for param in self.dependant.query_params]
        for name in request.query_params:
            if name not in known:
                what, remedy = no_such("parameter", name, known)
                raise UnfitError(
                    what, field=name, remedy=remedy if known else "leave it out: there are none"
                )


def _refuse_constant(name: str) -> None:
    raise _ConstantError(f"{name} is no JSON; use null")
