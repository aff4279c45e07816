"""Errors as problem+json (RFC 9457), with the field they are about and the remedy."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from awry.core.errors import AwryError, DataError
from awry.ops import errors as ops
from awry.ops.names import PATTERN as NAME_PATTERN
from awry.ops.names import REMEDY as NAME_REMEDY
from awry.ops.store import AWAY
from awry.server.schemas import (
    CLOCK_PATTERN,
    JOB_PATTERN,
    SOME_TEXT_PATTERN,
    TEXT_PATTERN,
)

_log = logging.getLogger("awry.server")
MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[BaseException], int] = {
    ops.NotFoundError: 404,
    ops.ConflictError: 409,
    ops.UnfitError: 422,
    ops.TooLargeError: 413,
    ops.BusyError: 503,
    ops.DamagedError: 503,
    DataError: 422,
}


class Json(JSONResponse):
    """JSON in ASCII, which holds any text a client may have sent, lone surrogates too."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def problem(
    status: int,
    detail: str,
    *,
    field: str | None = None,
    remedy: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """A response that says what is wrong, where, and what would be right."""
    told = {"field": field, "remedy": remedy, **more}
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **{k: v for k, v in told.items() if v is not None},
    }
    return Json(body, status, headers, MEDIA_TYPE)


_KINDS: dict[type[BaseException], str] = {
    RequestValidationError: "invalid",
    **dict.fromkeys(AWAY, "database"),
    ops.NotFoundError: "not_found",
    ops.ConflictError: "conflict",
    ops.TooLargeError: "too_large",
    ops.BusyError: "busy",
    ops.DamagedError: "damaged",
    AwryError: "unfit",
}

#: Remedies by the sort of what is wrong with a field.
_REMEDIES = {
    "missing": "give it",
    "extra_forbidden": "leave it out",
    "json_invalid": "send JSON",
    "int_type": "give a whole number, without quotes",
    "int_parsing": "give a whole number",
    "float_type": "give a number, without quotes",
    "float_parsing": "give a number",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "string_type": "give text",
    "list_type": "give a list",
    "dict_type": "give an object",
}
#: And by the pattern that text has not.
_PATTERNS = {
    NAME_PATTERN: NAME_REMEDY,
    JOB_PATTERN: "give an id as GET /jobs tells it",
    TEXT_PATTERN: "leave out the character NUL",
    SOME_TEXT_PATTERN: "give text without the character NUL",
    CLOCK_PATTERN: "give hours and minutes, such as 22:00",
}
#: Remedies of refusals that say none themselves, by their status.
_BY_STATUS = {
    400: "send JSON, or a form, as /openapi.json describes it",
    401: "send a key that `awry keys create` made, as Authorization: Bearer awry_…",
    403: "send a key that may; `awry keys create` makes one, --role says what it may",
    404: "see /openapi.json",
    405: "see /openapi.json",
    413: "send less at once",
    429: "wait as long as Retry-After says",
}


class RefusedError(HTTPException):
    """A refusal with a remedy of its own."""

    def __init__(self, status: int, detail: str, *, remedy: str) -> None:
        super().__init__(status, detail)
        self.remedy = remedy


def add_handlers(app: FastAPI) -> None:
    """Let ``app`` answer every error as a problem."""
    app.add_exception_handler(AwryError, _blaming(_awry))
    app.add_exception_handler(RequestValidationError, _blaming(_invalid))
    app.add_exception_handler(HTTPException, _blaming(_http))
    for kind in AWAY:
        app.add_exception_handler(kind, _blaming(_database))
    app.add_exception_handler(Exception, _blaming(_unexpected))


def kind_of(error: Exception) -> str:
    """The kind an error is counted as: ``not_found``, ``invalid``, ``database`` and so on."""
    if isinstance(error, HTTPException):
        return HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    known = next((words for kind, words in _KINDS.items() if isinstance(error, kind)), None)
    return known or "unexpected"


def blame(scope: Any, error: Exception) -> None:
    """Let the request that ``scope`` is of be counted as ended by ``error``."""
    scope.setdefault("state", {})["error"] = kind_of(error)


def _blaming(handle: Callable[[Request, Exception], JSONResponse]) -> Any:
    """``handle``, which also says what kind of error it was."""

    def told(request: Request, error: Exception) -> JSONResponse:
        blame(request.scope, error)
        return handle(request, error)

    return told


def _awry(_: Request, error: Exception) -> JSONResponse:
    return refusal(error)


def status_of(error: Exception) -> int:
    """The status that an error of awry's has."""
    return next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 422)


def refusal(error: Exception) -> JSONResponse:
    """What is answered to a request that ended in an error of awry's."""
    status = status_of(error)
    later = {"Retry-After": "1"} if status == 503 else None
    if isinstance(error, ops.OpsError):
        return problem(status, error.what, field=error.field, remedy=error.remedy, headers=later)
    if isinstance(error, DataError):
        return problem(status, str(error), field=error.column, remedy=error.remedy)
    return problem(status, str(error))


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()[:20]
    found = [{"field": _field(e["loc"][1:]), "detail": e["msg"]} for e in errors]
    return problem(
        422,
        found[0]["detail"],
        field=found[0]["field"] or None,
        remedy=_remedy(errors[0]),
        errors=found,
    )


def _field(place: Sequence[Any]) -> str:
    """The field at ``place``, without the type among several that a value was tried as."""
    return ".".join(map(str, place[:1] if place[:1] in (("threshold",), ("context",)) else place))


def _remedy(error: Mapping[str, Any]) -> str:
    """What would be right where pydantic found ``error``."""
    said = error.get("ctx", {})
    if error["type"] == "literal_error":
        return f"give {said['expected']}"
    known = _PATTERNS.get(said.get("pattern")) or _REMEDIES.get(error["type"])
    return known or "see /openapi.json"


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return http_refusal(error)


def http_refusal(error: HTTPException) -> JSONResponse:
    """What is answered to a request that the web's own rules refuse."""
    status = error.status_code
    remedy = getattr(error, "remedy", None) or _BY_STATUS.get(status)
    return problem(status, str(error.detail), remedy=remedy, headers=dict(error.headers or {}))


def _database(_: Request, error: Exception) -> JSONResponse:
    return away(error)


def away(error: Exception) -> JSONResponse:
    """What is answered where the database does not answer."""
    _log.error("the database does not answer: %s", error)
    return problem(
        503, "the database does not answer", remedy="try again", headers={"Retry-After": "1"}
    )


def _unexpected(_: Request, error: Exception) -> JSONResponse:
    # What went wrong inside is for the log, not for the client.
    _log.error("a request failed unexpectedly", exc_info=error)
    return problem(500, "the service failed; its log says why, under this request's id")
