"""Challengers: a version that is tried beside the champion before it is put in charge.

In the stage ``shadow`` it judges what the champion answered, a second later, and nobody is told;
in ``ab`` it also answers a share of the requests, the same keys always. Where there is no
challenger, requests pay for one look into a dict.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from awry.ops.answers import Ask
from awry.ops.audit import note as write_down
from awry.ops.charge import Challenger
from awry.ops.comparison import Counts, compare, labelled
from awry.ops.detect import Judging
from awry.ops.errors import ConflictError, NotFoundError, UnfitError
from awry.ops.findings import Findings
from awry.ops.golden import Golden
from awry.ops.judgement import Judgement
from awry.ops.models import Models
from awry.ops.recorder import LEVELS
from awry.ops.sketch import Sketch
from awry.ops.store import Store, insert_once
from awry.ops.tables import comparisons, rollouts

STAGES = ("shadow", "ab")
#: Rows a challenger judges in the background of one second's requests, and requests that are timed.
_MOST, _TIMED = 20_000, 5
_HOUR = 3600


class Rollout:
    """Sets challengers, lets them judge, and compares them with champions."""

    def __init__(
        self, store: Store, models: Models, judging: Judging, findings: Findings, golden: Golden
    ) -> None:
        self._store, self._models, self._judging = store, models, judging
        self._findings, self._golden = findings, golden

    # -- setting ----------------------------------------------------------------------------------

    def start(
        self,
        name: str,
        version: int,
        *,
        stage: str = "shadow",
        share: float = 0.1,
        key: str | None = None,
        by: str,
        reason: str = "asked for",
    ) -> dict[str, Any]:
        """Try ``version`` beside the champion, in place of any that is tried now.

        Parameters
        ----------
        stage : {"shadow", "ab"}
        share : float
            Of the requests, or of the values of ``key``, that it answers in the stage ``ab``.
        key : str, optional
            The column whose value decides who answers; by default the request's first row does.
            The rows of a request may have several values: the champion answers unless all fall to
            the challenger.
        """
        if stage not in STAGES:
            raise UnfitError(
                f"there is no stage {stage!r}", field="stage", remedy=f"give {' or '.join(STAGES)}"
            )
        if stage == "ab" and not 0 < share < 1:
            raise UnfitError("must be between 0 and 1", field="share", remedy="such as 0.1")
        with self._store.write() as connection:
            self.place(connection, name, version, stage=stage, share=share, key=key, by=by)
            write_down(
                connection, by, stage, f"model {name}", version=version, reason=reason,
                **({"share": share, "key": key} if stage == "ab" else {}),
            )  # fmt: skip
        self._models.charge.changed()
        return self.get(name)

    def place(
        self,
        connection: sa.Connection,
        name: str,
        version: int,
        *,
        by: str,
        stage: str = "shadow",
        share: float = 0.0,
        key: str | None = None,
        automatic: bool = False,
    ) -> None:
        """Make ``version`` the challenger in the caller's transaction."""
        if self._models.lock(connection, name, version) == version:
            raise ConflictError(
                f"version {version} is in charge", field="version", remedy="try another one"
            )
        connection.execute(rollouts.delete().where(rollouts.c.model == name))
        connection.execute(
            rollouts.insert().values(
                model=name, version=version, stage=stage, share=share if stage == "ab" else 0.0,
                key=key, since=time.time(), by=by, automatic=automatic,
            )
        )  # fmt: skip

    def stop(self, name: str, *, by: str, reason: str = "asked for", action: str = "stop") -> None:
        """Try the challenger of ``name`` no longer."""
        found = self.get(name)
        with self._store.write() as connection:
            connection.execute(
                rollouts.delete().where(
                    rollouts.c.model == name, rollouts.c.version == found["version"]
                )
            )
            write_down(
                connection, by, action, f"model {name}", version=found["version"], reason=reason
            )
        self._models.charge.changed()

    def get(self, name: str) -> dict[str, Any]:
        """The challenger of a model."""
        champion = self._models.version(name)["version"]
        with self._store.read() as connection:
            row = connection.execute(
                sa.select(rollouts).where(rollouts.c.model == name)
            ).one_or_none()
        if row is None:
            raise NotFoundError(
                f"no version of {name!r} is tried beside the champion", field="name",
                remedy=f"begin with POST /models/{name}/shadow or /ab",
            )  # fmt: skip
        return {**row._mapping, "champion": champion}

    # -- answering --------------------------------------------------------------------------------

    def route(self, ask: Ask, name: str) -> int | None:
        """The version that answers in the champion's place, if one does."""
        tried = self._models.charge.challenger(name)
        if tried is None or tried.stage != "ab" or not ask.columns.keys() >= set(tried.row.columns):
            return None
        if tried.key is None:
            keys: set[Any] = {tuple(values[0] for values in ask.columns.values())}
        elif tried.key in ask.columns:
            keys = set(map(str, ask.columns[tried.key]))
        else:
            return None
        version: int = tried.row.version
        salt = f"{name} {version}"
        return version if all(position(str(key), salt) < tried.share for key in keys) else None

    # -- judging beside the champion --------------------------------------------------------------

    def hear(self, made: Judgement, heard: Sequence[Any]) -> None:
        """Take requests and the judgement of their rows; see :mod:`awry.ops.recorder`."""
        tried = None if made.model is None else self._models.charge.challenger(made.model)
        if tried is None or made.model is None:
            return
        # By another threshold than its own a version is not compared.
        heard = [one for one in heard if one.ask.threshold is None]
        if made.version == tried.row.version:
            rows = sum(one.answer.rows for one in heard)
            flagged = sum(one.answer.flagged for one in heard)
            champion = self._models.version(made.model)["version"]
            self._count(
                made.model, champion, tried, Counts(answered=rows, answered_flagged=flagged)
            )
        else:
            self._shadow(made, _some(heard), tried)

    def _shadow(self, made: Judgement, heard: list[Any], tried: Challenger) -> None:
        assert made.model is not None
        assert made.version is not None
        begun = time.perf_counter()
        asks = [_for(one.ask, made.model, tried.row.version) for one in heard]
        # What the challenger cannot judge is missing from the comparison.
        pairs = [
            (one, answer)
            for one, answer in zip(heard, self._judging.answer_aside(asks), strict=True)
            if answer is not None
        ]
        if not pairs:
            return
        seconds = (time.perf_counter() - begun) / len(pairs)
        old = [row for one, _ in pairs for row in one.answer.results]
        new = [row for _, answer in pairs for row in answer.results]
        severity = np.array([LEVELS[row.severity] for row in new], dtype=np.int64)
        self._findings.record(
            Judgement(
                source=made.source, origin=made.origin, role="challenger",
                items=[f"{one.number}/{row.row}" for one, a in pairs for row in a.results],
                scores=np.array([row.score for row in new], dtype=float), severity=severity,
                at=np.repeat([one.at for one, _ in pairs], [a.rows for _, a in pairs]),
                model=made.model, version=tried.row.version, threshold=pairs[0][1].threshold,
                seconds=seconds,
            )
        )  # fmt: skip
        judged = [
            (a.anomaly, b.anomaly)
            for a, b in zip(old, new, strict=True)
            if a.anomaly is not None and b.anomaly is not None
        ]
        counts = Counts(
            rows=len(judged),
            both=judged.count((True, True)),
            champion_only=judged.count((True, False)),
            challenger_only=judged.count((False, True)),
        )
        for one, _ in pairs[:_TIMED]:
            for version, sketch in (
                (made.version, counts.champion_seconds),
                (tried.row.version, counts.challenger_seconds),
            ):
                begun = time.perf_counter()
                self._judging.answer_aside([_for(one.ask, made.model, version)])
                sketch.counts += Sketch.of(np.array([time.perf_counter() - begun])).counts
        self._count(made.model, made.version, tried, counts)

    def _count(self, name: str, champion: int, tried: Challenger, counts: Counts) -> None:
        here = {
            "model": name, "champion": champion, "challenger": tried.row.version,
            "hour": int(time.time() // _HOUR),
        }  # fmt: skip
        where = [comparisons.c[column] == value for column, value in here.items()]
        with self._store.write() as connection:
            fresh = {**here, **Counts().to_row(), "updated": time.time()}
            insert_once(connection, comparisons, [fresh])
            row = connection.execute(sa.select(comparisons).where(*where).with_for_update()).one()
            total = Counts.of(row) + counts
            connection.execute(
                comparisons.update().where(*where).values(**total.to_row(), updated=time.time())
            )

    # -- comparing --------------------------------------------------------------------------------

    def comparison(self, name: str) -> dict[str, Any]:
        """Champion against challenger, with intervals; see :mod:`awry.ops.comparison`."""
        found = self.get(name)
        c = comparisons.c
        query = sa.select(comparisons).where(
            c.model == name, c.champion == found["champion"], c.challenger == found["version"],
            c.updated >= found["since"],
        )  # fmt: skip
        with self._store.read() as connection:
            total = sum(map(Counts.of, connection.execute(query)), Counts())
        table, labels = self._golden.table(name)
        judges = [self._models.load(name, found[which])[1] for which in ("champion", "version")]
        return {
            **{k: found[k] for k in ("model", "champion", "stage", "share", "key", "since")},
            "challenger": found["version"],
            **compare(total),
            "auprc": labelled(judges, table, labels),
        }


def position(key: str, salt: str) -> float:
    """Where in [0, 1) ``key`` falls: the same in every process, and independent between salts.

    Examples
    --------
    >>> position("card 1", "payments 2") == position("card 1", "payments 2")
    True
    """
    digest = hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8, person=_short(salt))
    return int.from_bytes(digest.digest(), "big") / 2**64


def _short(salt: str) -> bytes:
    return hashlib.blake2b(salt.encode(), digest_size=16).digest()


def _some(heard: Sequence[Any]) -> list[Any]:
    """The first requests, of no more rows than the background has time for."""
    ends = np.cumsum([one.answer.rows for one in heard])
    return list(heard[: int(np.searchsorted(ends, _MOST, "right"))])


def _for(ask: Ask, name: str | None, version: int) -> Ask:
    # A challenger may be of another method than the one that was asked for.
    return Ask(ask.columns, ask.rows, ask.numbers, "auto", name, version)
