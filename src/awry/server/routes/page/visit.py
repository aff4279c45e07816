"""Coming and going: the form that asks for a key, and what pages load."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from awry.server.auth import TheService
from awry.server.pages.render import PageRoute, asset_bytes, keep, show
from awry.server.pages.session import COOKIE, FILES, LOGIN, PREFIX, Session, own_path
from awry.server.routes.page import forms

router = APIRouter(route_class=PageRoute)
_UNKNOWN = {
    "what": "the key is not known, or has run out",
    "remedy": "check that all of it was pasted",
}


@router.get(LOGIN)
def login(request: Request, next: str = "/") -> Response:
    if request.state.caller is not None:
        return RedirectResponse(own_path(next), 303)
    return show(request, "login.html", error=None, next=own_path(next))


@router.post(LOGIN)
def open_session(request: Request, service: TheService, form: forms.Form) -> Response:
    caller = service.keys.check(forms.text(form, "key"))
    where = own_path(form.get("next"))
    if caller is None:
        return show(request, "login.html", status=401, error=_UNKNOWN, next=where)
    answer = RedirectResponse(where, 303)
    # Another session than before: what was known of that one is worth nothing in this.
    keep(request, answer, Session.new(caller.id))
    return answer


@router.post(f"{PREFIX}/logout")
def close_session(form: forms.Form) -> Response:
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@router.get(f"{PREFIX}/assets/{{name}}")
async def asset(name: Literal["page.css", "page.js"]) -> Response:
    return Response(
        asset_bytes(name),
        media_type=FILES[name],
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        },
    )


@router.get(PREFIX)
def start() -> Response:
    return RedirectResponse("/", 303)


@router.get(f"{PREFIX}/{{rest:path}}")
def nowhere(rest: str) -> Response:
    raise HTTPException(404, "there is no such page")
