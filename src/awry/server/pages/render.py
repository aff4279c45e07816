"""Templates filled in and sent, with what keeps a page from being misused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

import awry
from awry.core.errors import AwryError
from awry.data.event_kinds import duration
from awry.data.wording import moment, number, share
from awry.ops.store import AWAY
from awry.report.charts import style
from awry.server.errors import blame, status_of
from awry.server.pages.session import ASSETS, COOKIE, SECONDS, Session

#: Nothing from elsewhere, no scripts and styles within pages. Charts place their words by the
#: attribute ``style``, which can run nothing.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Methods that choose one for the data.
CHOOSING = ("auto", "series_auto")
#: What is told at the top of a page after a form was sent, by the name the address carries.
_SAID = {
    "uploaded": "The data set is stored. Start a detection to see what stands out.",
    "confirmed": "Confirmed. The event is acknowledged.",
    "false_alarm": "Marked as a false alarm. The event is resolved.",
    "open": "The event is open again.",
    "acknowledged": "The event is acknowledged.",
    "resolved": "The event is resolved.",
    "seen_to": "The alert is acknowledged. It is not told again.",
    "tried": "It now judges beside the champion; nobody sees its answers but this page.",
    "stopped": "The trial is over. The champion answers alone.",
    "promoted": "Promoted. This version answers from now on.",
    "rolled_back": "Rolled back. The version before answers again.",
    "kept": "A version with the proposed threshold is kept. It answers once it is promoted.",
    "cancelled": "The job is told to stop.",
}


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.loader = jinja2.FunctionLoader(
        lambda name: files("awry.server.pages").joinpath(name).read_text(encoding="utf-8")
    )
    environment.filters |= {
        "number": number, "share": share, "when": when, "ago": ago, "size": size,
        "duration": duration, "method": method, "called": called,
        "count": lambda value: f"{value:,}",
    }  # fmt: skip
    environment.globals |= {"version": awry.__version__, "query": query, "asset": asset}
    return environment


def show(request: Request, template: str, *, status: int = 200, **content: Any) -> Response:
    """A page."""
    state = request.state
    caller, visitor, sessions = state.caller, state.visitor, state.sessions
    html = _environment().get_template(template).render(
        content,
        caller=caller,
        may=lambda role: caller is not None and caller.may(role),
        signed_in=bool(visitor.session.key),
        token=sessions.token(visitor.session),
        said=_SAID.get(request.query_params.get("done", "")),
        here=request.url.path,
    )  # fmt: skip
    answer = HTMLResponse(html.encode("utf-8", "replace"), status, headers=_HEADERS)
    if visitor.fresh:
        keep(request, answer, visitor.session)
    return answer


def keep(request: Request, answer: Response, session: Session) -> None:
    """Let the browser keep ``session``."""
    answer.set_cookie(
        COOKIE,
        request.state.sessions.pack(session),
        max_age=SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def go(path: str, **values: Any) -> RedirectResponse:
    """To another page, after a form: loading that one again sends the form no second time."""
    return RedirectResponse(query(path, **values), 303)


def query(path: str, **values: Any) -> str:
    """``path`` with the values that there are as its query."""
    given = {k: v for k, v in values.items() if v not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


class PageRoute(APIRoute):
    """A route whose errors are pages, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors shown."""
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await handle(request)
            except (
                AwryError, HTTPException, RequestValidationError, *AWAY,
            ) as error:  # fmt: skip
                return await run_in_threadpool(failed, request, error)

        return shown


def failed(request: Request, error: Exception) -> Response:
    """The page of an error: what is wrong, and what would be right."""
    blame(request.scope, error)
    if isinstance(error, HTTPException):
        status, told = error.status_code, {"what": str(error.detail)}
    elif isinstance(error, RequestValidationError):
        status, told = 404, {"what": "There is no such page."}
    elif isinstance(error, AWAY):
        status, told = 503, {"what": "The database does not answer. Try again in a moment."}
    else:
        status, told = status_of(error), complaint(error)
    return show(request, "error.html", status=status, status_code=status, **told)


def complaint(error: Exception) -> dict[str, Any]:
    """An error of awry's in words for people."""
    remedy = getattr(error, "remedy", None)
    # Programs are told of routes; people are looking at the page of the list already.
    remedy = None if remedy and remedy.startswith("see GET") else remedy
    return {"what": getattr(error, "what", None) or str(error), "remedy": remedy}


@cache
def asset_bytes(name: str) -> bytes:
    """A file pages load: the style, with that of the charts in front, or the script."""
    own = files("awry.server.pages").joinpath(name).read_text(encoding="utf-8")
    return (f"{style()}\n{own}" if name == "page.css" else own).encode()


@cache
def asset(name: str) -> str:
    """Its address, another one when it changes."""
    return f"{ASSETS}{name}?v={hashlib.sha256(asset_bytes(name)).hexdigest()[:12]}"


def when(seconds: float | None) -> str:
    """A time in UTC, to the minute.

    Examples
    --------
    >>> when(1700000000.0), when(None)
    ('2023-11-14 22:13', '–')
    """
    return "–" if seconds is None else moment(seconds // 60 * 60)


def called(event: Mapping[str, Any]) -> str:
    """What an event is called: by the number of its row, or else by when it was.

    Examples
    --------
    >>> called({"kind": "rows", "items": 4, "peak": "8/0", "start": 1700000000.0})
    '4 rows around 22:13'
    """
    kind, peak = event["kind"], event["peak"]
    if not kind.startswith("row"):
        return str(kind).capitalize()
    numbered = peak.isdecimal()
    at = peak if numbered else when(event["start"])[-5:]
    if kind == "rows":
        return f"{event['items']:,} rows around {at}"
    return f"Row {at}" if numbered else at


def ago(seconds: float | None) -> str:
    """How long ago a time is, roughly."""
    if seconds is None:
        return "–"
    past = datetime.now(UTC).timestamp() - seconds
    for length, unit in ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute")):
        if past >= length:
            n = int(past // length)
            return f"{n} {unit}{'s' if n > 1 else ''} ago"
    return "just now"


def method(name: str) -> str:
    """What a method is called; the ones that choose another stand for choosing."""
    return "chosen automatically" if name in CHOOSING else name.replace("_", " ")


def size(n: int) -> str:
    """Bytes in a unit people read.

    Examples
    --------
    >>> size(900), size(125_000), size(3_200_000)
    ('900 B', '125 kB', '3.2 MB')
    """
    for length, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n >= length:
            return f"{number(float(f'{n / length:.3g}'))} {unit}"
    return f"{n} B"
