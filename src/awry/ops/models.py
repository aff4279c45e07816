"""The registry of models: versions that stay as they are, and which of them is in charge."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from awry import io
from awry.core import registry
from awry.core.errors import ModelError
from awry.core.files import write_whole
from awry.core.plain import plain
from awry.judge import Judge
from awry.ops.audit import note as write_down
from awry.ops.charge import Charge
from awry.ops.errors import ConflictError, DamagedError, NotFoundError, UnfitError
from awry.ops.names import check_name
from awry.ops.settings import Settings
from awry.ops.store import Store, insert_once
from awry.ops.tables import models, promotions, rollouts, versions


class Models:
    """Models by name, their versions, and the champion of each: the version that answers."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._kept = store, settings.cached_models
        self._folder = settings.home / "models"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._loaded: OrderedDict[str, Judge] = OrderedDict()
        self._lock = threading.Lock()
        #: Who is in charge of each model, and who is tried.
        self.charge = Charge(store)

    def add(
        self,
        name: str,
        model: Judge,
        *,
        about: dict[str, Any],
        by: str,
        promote: bool = False,
        settle: Callable[[sa.Connection, dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Keep a fitted model as the next version of ``name``; the first one is champion.

        Parameters
        ----------
        about : dict
            Plain data kept beside it: what it learnt from, and how.
        settle : callable, optional
            Called with the connection and what was added, in the same transaction: either both
            are kept or none is.
        """
        check_name(name)
        data = io.dumps(model, about=about)
        file = f"{uuid.uuid4().hex}.awry"
        path = write_whole(self._folder / file, data)
        try:
            with self._store.write() as connection:
                insert_once(connection, models, name=name, created=time.time())
                champion = self._lock_model(connection, name)
                last = connection.scalar(
                    sa.select(sa.func.max(versions.c.version)).where(versions.c.model == name)
                )
                number: int = (last or 0) + 1
                added: dict[str, Any] = {"model": name, "version": number}
                connection.execute(
                    versions.insert().values(
                        **added,
                        created=time.time(),
                        file=file,
                        sha256=hashlib.sha256(data).hexdigest(),
                        method=model.detector_.card.name,
                        columns=_columns(model),
                        facts=plain({**_facts(model), **about}),
                    )
                )
                if promote or champion is None:
                    _set_champion(connection, name, number, by)
                if settle is not None:
                    settle(connection, added)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self.charge.changed()
        return self.version(name, number)

    def list(self) -> list[dict[str, Any]]:
        """The models, by name, with their versions' numbers."""
        query = (
            sa.select(models.c.name, models.c.created, models.c.champion, versions.c.version)
            .join(versions, versions.c.model == models.c.name)
            .order_by(models.c.name, versions.c.version)
        )
        found: dict[str, dict[str, Any]] = {}
        with self._store.read() as connection:
            for row in connection.execute(query).mappings():
                one = found.setdefault(row["name"], {**row, "versions": []})
                one.pop("version", None)
                one["versions"].append(row["version"])
        return list(found.values())

    def version(self, name: str, version: int | None = None) -> dict[str, Any]:
        """All that is known of a version; of the champion by default."""
        row = self._row(name, version)
        shown = {k: v for k, v in row._mapping.items() if k not in ("file", "facts")}
        return {**shown, "champion": row.version == row.champion, **row.facts}

    def load(self, name: str, version: int | None = None) -> tuple[int, Judge]:
        """A version's number and the fitted model, which must not be changed."""
        row = self.charge.row(name, version) or self._row(name, version)
        with self._lock:
            if row.file in self._loaded:
                self._loaded.move_to_end(row.file)
                return row.version, self._loaded[row.file]
        loaded = self._read(row)
        loaded.prepare()
        with self._lock:
            self._loaded[row.file] = loaded
            while len(self._loaded) > self._kept:
                self._loaded.popitem(last=False)
        return row.version, loaded

    def newest_champions(self) -> Sequence[tuple[str, int, str]]:
        """Names, versions and files of those in charge, as many as are kept in memory."""
        rows = self.charge.champions()[: self._kept]
        return [(row.model, row.version, row.file) for row in rows]

    def unpromoted(self, method: str, columns: Iterable[str]) -> tuple[str, int] | None:
        """The newest version of ``method`` for ``columns`` that is not in charge: name, number."""
        wanted, given = registry.get(method).card.name, frozenset(columns)
        query = (
            sa.select(versions.c.model, versions.c.version, versions.c.columns)
            .join(models, models.c.name == versions.c.model)
            .where(versions.c.method == wanted, models.c.champion != versions.c.version)
            .order_by(versions.c.created.desc())
        )
        with self._store.read() as connection:
            for row in connection.execute(query):
                if given.issuperset(row.columns):
                    return row.model, row.version
        return None

    def check_method(self, name: str, version: int | None, method: str) -> None:
        """Refuse a ``method`` that a version, by default the champion, is not of."""
        row = self._row(name, version)
        trained = (row.facts.get("settings") or {}).get("detector", row.method)
        if method != "auto" and registry.get(method).card.name not in (
            row.method, registry.get(trained).card.name,
        ):  # fmt: skip
            raise UnfitError(
                f"version {row.version} of {name!r} is of {row.method}, not of {method}",
                field="method",
                remedy="leave it out, or name a version of this method",
            )

    def promote(
        self, name: str, version: int, *, by: str, force: bool = False, **why: Any
    ) -> dict[str, Any]:
        """Put ``version`` in charge; where it is the challenger, it is one no more.

        Parameters
        ----------
        force : bool
            Also where it failed on the golden set.
        **why
            What the audit log is told besides.
        """
        golden = self._row(name, version).facts.get("golden") or {}
        failed = golden.get("passed") is False
        if failed and not force:
            raise ConflictError(
                f"version {version} of {name!r} failed on the golden set: {golden['reason']}",
                field="version",
                remedy="train another one, or promote it with force",
            )
        with self._store.write() as connection:
            before = self._lock_model(connection, name)
            if before != version:
                _set_champion(connection, name, version, by)
                why |= {"forced": True, "golden": golden["reason"]} if failed else {}
                write_down(
                    connection, by, "promote", f"model {name}", version=version, was=before, **why
                )
            connection.execute(
                rollouts.delete().where(rollouts.c.model == name, rollouts.c.version == version)
            )
        self.charge.changed()
        return self.version(name, version)

    def rollback(self, name: str, *, by: str = "local", **why: Any) -> dict[str, Any]:
        """Put the version in charge that was before the present one."""
        self._row(name, None)
        with self._store.write() as connection:
            self._lock_model(connection, name)
            done = connection.execute(
                sa.select(promotions.c.id, promotions.c.version)
                .where(promotions.c.model == name, promotions.c.undone.is_(False))
                .order_by(promotions.c.id.desc())
                .limit(2)
            ).all()
            if len(done) < 2:
                raise ConflictError(
                    f"no version of {name!r} was in charge before this one",
                    remedy="promote the one you want",
                )
            connection.execute(
                promotions.update().where(promotions.c.id == done[0].id).values(undone=True)
            )
            connection.execute(
                models.update().where(models.c.name == name).values(champion=done[1].version)
            )
            now, was = done[1].version, done[0].version
            # Who is in charge again is tried no more.
            connection.execute(
                rollouts.delete().where(rollouts.c.model == name, rollouts.c.version == now)
            )
            write_down(connection, by, "rollback", f"model {name}", version=now, was=was, **why)
        self.charge.changed()
        return self.version(name, done[1].version)

    def tell(self, name: str, version: int, **facts: Any) -> dict[str, Any]:
        """Write ``facts`` on a version's card, which is all that may change of it."""
        with self._store.write() as connection:
            self._lock_model(connection, name)
            here = (versions.c.model == name, versions.c.version == version)
            known = connection.scalar(sa.select(versions.c.facts).where(*here)) or {}
            told = plain({**known, **facts})
            connection.execute(versions.update().where(*here).values(facts=told))
        return self.version(name, version)

    def files(self) -> set[str]:
        """Names of the files that versions are kept in."""
        with self._store.read() as connection:
            return set(connection.scalars(sa.select(versions.c.file)))

    def _row(self, name: str, version: int | None) -> Any:
        check_name(name, "model")
        wanted = models.c.champion if version is None else version
        query = (
            sa.select(versions, models.c.champion)
            .join(models, models.c.name == versions.c.model)
            .where(versions.c.model == name, versions.c.version == wanted)
        )
        with self._store.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            what = f"there is no model {name!r}"
            what += f" with a version {version}" if version is not None else ""
            raise NotFoundError(what, field="model", remedy="see GET /models")
        return row

    def data(self, name: str, version: int) -> bytes:
        """The file of a version, which is the one that was registered."""
        row = self._row(name, version)
        with _damage(row):
            return self._bytes(row)

    def _bytes(self, row: Any) -> bytes:
        data = (self._folder / row.file).read_bytes()
        if hashlib.sha256(data).hexdigest() != row.sha256:
            raise ModelError("the file is not the one that was registered")
        return data

    def _read(self, row: Any) -> Judge:
        with _damage(row):
            loaded = io.loads(self._bytes(row), source=f"{row.model}, version {row.version}")
            if not isinstance(loaded, Judge):
                raise ModelError("the file holds no model")
            return loaded

    def lock(self, connection: sa.Connection, name: str, version: int) -> int | None:
        """The champion of ``name``, as :meth:`_lock_model`; ``version`` must be there."""
        champion = self._lock_model(connection, name)
        here = (versions.c.model == name, versions.c.version == version)
        if connection.scalar(sa.select(versions.c.version).where(*here)) is None:
            raise NotFoundError(
                f"there is no model {name!r} with a version {version}", field="version",
                remedy="see GET /models",
            )  # fmt: skip
        return champion

    def _lock_model(self, connection: sa.Connection, name: str) -> int | None:
        """The champion of ``name``, which nobody else changes before the transaction ends."""
        query = sa.select(models.c.champion).where(models.c.name == name).with_for_update()
        champion: int | None = connection.scalar(query)
        return champion


@contextmanager
def _damage(row: Any) -> Iterator[None]:
    """Say of which version it is that a file cannot be read."""
    try:
        yield
    except (OSError, ModelError) as error:
        raise DamagedError(
            f"version {row.version} of {row.model!r} cannot be loaded: {error}",
            field="model",
            remedy="roll back, or train it anew",
        ) from error


def _set_champion(connection: sa.Connection, name: str, version: int, by: str) -> None:
    connection.execute(models.update().where(models.c.name == name).values(champion=version))
    connection.execute(
        promotions.insert().values(model=name, version=version, at=time.time(), by=by, undone=False)
    )


def _columns(model: Judge) -> list[str]:
    """Columns the model cannot do without."""
    words = [c["column"] for c in model.column_words()]
    encoder = getattr(model, "encoder_", None)
    return (
        words
        if encoder is None
        else [*(getattr(model, "by", None) or []), *_context(model), *encoder.source_names_]
    )


def _context(model: Judge) -> list[str]:
    context = getattr(model, "context_", None)
    return [] if context is None else list(context.columns)


def _facts(model: Judge) -> dict[str, Any]:
    return {
        "card": model.detector_.card.to_dict(),
        "detector": model.describe(),
        "threshold": model.threshold_,
        "threshold_reason": model.rule_.reason_,
        "stated_rate": model.rule_.stated_rate_,
        "rows": len(model.train_scores_),
        "described_columns": model.column_words(),
    }
