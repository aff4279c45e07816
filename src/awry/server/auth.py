"""Who asks, and what they may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.security import APIKeyHeader, HTTPBearer

from awry.ops.keys import Caller
from awry.ops.service import Service
from awry.ops.settings import LOCAL_HOSTS

#: Who needs no key: this machine alone can ask.
LOCAL = Caller("local", "admin")

# The gate has looked at the key before these run; they tell OpenAPI how it is sent. What needs no
# thread takes none: all may be waiting for the database.
_bearer = HTTPBearer(auto_error=False, description="An API key made with `awry keys create`.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False)


def key_of(headers: Mapping[str, str]) -> str | None:
    """The API key a request carries."""
    kind, _, text = headers.get("authorization", "").partition(" ")
    given = text.strip() if kind.lower() == "bearer" else headers.get("x-api-key")
    return given or None


def identify(service: Service, headers: Mapping[str, str]) -> Caller:
    """Who asks.

    Raises
    ------
    HTTPException
        401 where a key is missing or not known; 403 where a page of another site asks a service
        that needs no key.
    """
    text = key_of(headers)
    if text is not None:
        found = service.keys.check(text)
        if found is None:
            raise _unauthorized("the API key is not known, or has run out")
        return found
    if service.settings.needs_key:
        raise _unauthorized("an API key is needed: Authorization: Bearer awry_…")
    origin = headers.get("origin")
    local = _host(f"//{headers.get('host', '')}") in LOCAL_HOSTS
    ours = origin is None or _host(origin) in LOCAL_HOSTS
    # A page from elsewhere, open in a browser here, must not use a service without keys.
    if not local or not (ours or origin in service.settings.cors_origins):
        raise HTTPException(403, "without an API key only programs and pages of this machine may")
    return LOCAL


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


def _needs(role: str) -> Callable[..., Awaitable[Caller]]:
    async def check(
        request: Request,
        bearer: Annotated[object, Depends(_bearer)] = None,
        header: Annotated[object, Depends(_header)] = None,
    ) -> Caller:
        caller: Caller = request.state.caller
        if not caller.may(role):
            raise HTTPException(403, f"this needs a key with the role {role}")
        return caller

    return check


Reader = Annotated[Caller, Depends(_needs("read"))]
Writer = Annotated[Caller, Depends(_needs("write"))]
Admin = Annotated[Caller, Depends(_needs("admin"))]


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


#: The service, in a route.
TheService = Annotated[Service, Depends(_service)]
