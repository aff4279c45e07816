"""API keys: made here, shown once, kept as digests."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from typing import Any, NamedTuple

import sqlalchemy as sa

from awry.ops.audit import note as write_down
from awry.ops.errors import ConflictError, NotFoundError, UnfitError
from awry.ops.shared_local import Fading
from awry.ops.store import Store
from awry.ops.tables import keys

#: What keys may do; each role may do what those before it may.
ROLES = ("read", "write", "admin")
_PREFIX = "awry"
_DAY = 86_400.0
#: Keys are made and ended on the machine of the service alone.
_BY = "local"
#: Seconds for which another process may let a key in that was revoked in this one, and keys that
#: are remembered meanwhile.
FRESH = 1.0
_REMEMBERED = 10_000


class Caller(NamedTuple):
    """Who asks: the id of a key (or what stands for one) and its role."""

    id: str
    role: str

    def may(self, role: str) -> bool:
        """Whether the caller has ``role``, or one above it."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Keys:
    """The API keys of a service.

    A key reads ``awry_ID_SECRET``. The secret has 256 random bits, so that a plain digest, which
    costs no request anything, keeps it as well as a slow one would.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._recent: Fading[tuple[Caller, float | None]] = Fading(_REMEMBERED)
        self._changes = 0

    def create(self, name: str, role: str = "read", *, days: float | None = None) -> str:
        """A new key, which is not kept and cannot be shown again."""
        if role not in ROLES:
            raise UnfitError("is no role", field="role", remedy=f"use one of {', '.join(ROLES)}")
        with self._store.write() as connection:
            return _add(connection, name, role, None if days is None else time.time() + days * _DAY)

    def rotate(self, key_id: str, *, grace_days: float = 1.0) -> str:
        """A new key in the place of one, which works ``grace_days`` longer.

        The new one ends when the old one would have: it takes its place, and no more.

        Raises
        ------
        ConflictError
            Where the old one was revoked, or has run out: what is over stays so.
        """
        with self._store.write() as connection:
            old = connection.execute(
                sa.select(keys).where(keys.c.id == key_id).with_for_update()
            ).one_or_none()
            if old is None:
                raise _unknown(key_id)
            if _over(old.expires):
                raise ConflictError(
                    f"the key {key_id!r} was revoked, or has run out",
                    remedy="make a new one: awry keys create",
                )
            text = _add(connection, old.name, old.role, old.expires)
            _end(connection, key_id, time.time() + grace_days * _DAY)
        self._forget()
        return text

    def revoke(self, key_id: str) -> None:
        """Let a key work no longer."""
        with self._store.write() as connection:
            _end(connection, key_id, time.time())
        self._forget()

    def list(self) -> list[dict[str, Any]]:
        """The keys, oldest first, without their secrets."""
        shown = [keys.c[name] for name in ("id", "name", "role", "created", "expires")]
        with self._store.read() as connection:
            rows = connection.execute(sa.select(*shown).order_by(keys.c.created))
            return [dict(row) for row in rows.mappings()]

    def recall(self, text: str) -> Caller | None:
        """As :meth:`check`, if that was asked within the last second; None where it was not."""
        with self._lock:
            found = self._recent.get(_digest(text))
        if found is None or _over(found[1]):
            return None
        return found[0]

    def check(self, text: str) -> Caller | None:
        """Whose key ``text`` is; None where it is nobody's or has run out."""
        changes = self._changes
        prefix, _, rest = text.partition("_")
        key_id, _, _ = rest.partition("_")
        with self._store.read() as connection:
            row = connection.execute(
                sa.select(keys).where(keys.c.id == (key_id if key_id.isalnum() else ""))
            ).one_or_none()
        # An unknown id costs the same comparison as a wrong secret.
        expected = row.digest if row is not None else _digest("")
        digest = _digest(text)
        same = hmac.compare_digest(digest, expected)
        if row is None or not same or prefix != _PREFIX or _over(row.expires):
            return None
        caller = Caller(row.id, row.role)
        with self._lock:
            # What was read before a key was revoked here must not outlive that.
            if changes == self._changes:
                self._recent.put(digest, (caller, row.expires), FRESH)
        return caller

    def holder(self, key_id: str) -> Caller | None:
        """Whose key has this id, for who showed it before; None where it works no longer."""
        with self._store.read() as connection:
            row = connection.execute(sa.select(keys).where(keys.c.id == key_id)).one_or_none()
        if row is None or _over(row.expires):
            return None
        return Caller(row.id, row.role)

    def _forget(self) -> None:
        """Ask the database again whose keys those are that were looked up."""
        with self._lock:
            self._changes += 1
            self._recent = Fading(_REMEMBERED)


def _add(connection: sa.Connection, name: str, role: str, expires: float | None) -> str:
    """The text of a new key that works until ``expires``."""
    key_id, text, digest = _new()
    row = {"name": name, "role": role, "expires": expires}
    connection.execute(keys.insert().values(id=key_id, digest=digest, created=time.time(), **row))
    write_down(connection, _BY, "key", f"key {key_id}", **row)
    return text


def _end(connection: sa.Connection, key_id: str, when: float) -> None:
    """Let a key work no longer than until ``when``."""
    if not connection.scalar(sa.select(keys.c.id).where(keys.c.id == key_id)):
        raise _unknown(key_id)
    sooner = sa.or_(keys.c.expires.is_(None), keys.c.expires > when)
    connection.execute(keys.update().where(keys.c.id == key_id, sooner).values(expires=when))
    write_down(connection, _BY, "key", f"key {key_id}", expires=when)


def _over(expires: float | None) -> bool:
    return expires is not None and expires <= time.time()


def _new() -> tuple[str, str, str]:
    key_id = secrets.token_hex(6)
    text = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
    return key_id, text, _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _unknown(key_id: str) -> NotFoundError:
    return NotFoundError(f"there is no key {key_id!r}", remedy="see awry keys list")
