"""Who looks at the page: a signed cookie, opened with a key, in the place of one.

Programs send their key with each request; browsers send this cookie, which only pages take. It
holds the id of the key, never the key: what is revoked or has run out opens nothing any more.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from fastapi import HTTPException

from awry.ops.keys import Caller
from awry.ops.service import Service
from awry.server.auth import identify

COOKIE = "awry_session"
#: Seconds a session lasts.
SECONDS = 12 * 3600
#: Where pages are, and what of them anybody gets.
PREFIX, LOGIN, ASSETS = "/page", "/page/login", "/page/assets/"
FILES = {"page.css": "text/css", "page.js": "text/javascript"}


class Session(NamedTuple):
    """One browser's visit.

    Attributes
    ----------
    id : str
        Random; forms carry a token made of it.
    key : str
        Id of the key it was opened with; empty where none was given.
    expires : int
        Seconds since 1970.
    """

    id: str
    key: str
    expires: int

    @classmethod
    def new(cls, key: str = "") -> Session:
        return cls(secrets.token_hex(16), key, int(time.time()) + SECONDS)


class Visitor(NamedTuple):
    """Who asks for a page; ``caller`` is None where a key is needed and none was given."""

    caller: Caller | None
    session: Session
    fresh: bool


class Sessions:
    """Signs sessions and the tokens of their forms.

    Parameters
    ----------
    service : Service
        In whose folder the secret is kept, for all processes and after a restart.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._secret = _secret(service.settings.home / "page.secret")

    def visitor(self, headers: Mapping[str, str]) -> Visitor:
        """Who asks.

        Raises
        ------
        HTTPException
            403 where a page of another site, or under another name, asks a service that needs no
            key.
        """
        known = self.read(headers.get("cookie", ""))
        session = known or Session.new()
        if not self._service.settings.needs_key:
            about = {name: headers[name] for name in ("host", "origin") if name in headers}
            return Visitor(identify(self._service, about), session, known is None)
        caller = self._service.keys.holder(session.key) if session.key else None
        return Visitor(caller, session, known is None)

    def pack(self, session: Session) -> str:
        """The cookie's value."""
        text = f"{session.id}.{session.key}.{session.expires}"
        return f"{text}.{self._sign('session', text)}"

    def read(self, cookies: str) -> Session | None:
        """The session of a ``Cookie`` header; None where there is none that holds."""
        try:
            found = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return None
        text, _, signature = (found.value if found is not None else "").rpartition(".")
        if not _equal(signature, self._sign("session", text)):
            return None
        number, key, expires = text.split(".")
        session = Session(number, key, int(expires))
        return session if session.expires > time.time() else None

    def token(self, session: Session) -> str:
        """What the forms of a session carry, which no other site can know."""
        return self._sign("form", session.id)

    def holds(self, session: Session, token: object) -> bool:
        """Whether ``token`` is that of the session's forms."""
        return isinstance(token, str) and _equal(token, self.token(session))

    def _sign(self, use: str, text: str) -> str:
        message = f"{use}:{text}".encode("utf-8", "replace")
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()


def is_page(path: str) -> bool:
    """Whether a path is one of the page's, where the cookie counts and a key does not."""
    return path == "/" or path == PREFIX or path.startswith(f"{PREFIX}/")


def ask_for_key(path: str, query: str) -> HTTPException:
    """What sends a browser to where it is asked for a key, and then back."""
    wanted = path + (f"?{query}" if query else "")
    where = LOGIN if wanted == "/" else f"{LOGIN}?next={quote(wanted, safe='')}"
    return HTTPException(303, "a key is needed", headers={"Location": where})


def own_path(wanted: object) -> str:
    """``wanted`` if it is a path of the page, else its start: a form must lead to no other site.

    Examples
    --------
    >>> own_path("/page/events?source=a"), own_path("//evil.example"), own_path("/page/\\\\x")
    ('/page/events?source=a', '/', '/')
    """
    text = wanted if isinstance(wanted, str) else "/"
    plain = text.isascii() and text.isprintable() and "\\" not in text and len(text) < 2_000
    return text if plain and is_page(text.partition("?")[0]) else "/"


def _equal(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode("utf-8", "replace"), b.encode())


def _secret(path: Path) -> bytes:
    """The secret kept at ``path``; made by whoever comes first, and whole for all others."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_bytes()
