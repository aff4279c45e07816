"""Training models anew by their policies, trying the new versions, promoting and rolling back.

One process at a time goes through the policies, every ``rollout_seconds``: it holds a lease. What
takes long is a job, which outlives the process. Whatever is done is in the audit log, with the
reason in words, as done by ``policy``.
"""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from pyarrow import parquet
from sklearn.base import clone

from awry.core.params import ParameterError
from awry.core.plain import plain
from awry.data.tables import as_table
from awry.model import Model
from awry.ops import leases, watch
from awry.ops.audit import note as write_down
from awry.ops.beside import Beside
from awry.ops.blame import unfit
from awry.ops.comparison import Counts, compare
from awry.ops.drift import Drift
from awry.ops.errors import ConflictError, NotFoundError, OpsError, UnfitError
from awry.ops.golden import Golden
from awry.ops.jobs import Job, Jobs
from awry.ops.keeper import Keeper
from awry.ops.models import Models
from awry.ops.policy import Policy
from awry.ops.rollout import Rollout
from awry.ops.settings import Settings
from awry.ops.store import Store, insert_once
from awry.ops.tables import jobs as jobs_table
from awry.ops.tables import policies as table
from awry.ops.tables import versions
from awry.ops.window import Learnable, window, words

_log = logging.getLogger(__name__)
#: Who does what policies say.
BY = "policy"
#: Rows of streams and jobs that a challenger is tried on, the newest.
_TRIED = 5_000


class Retraining:
    """The policies of models, and what they lead to."""

    #: The jobs of the service, which know this object's work.
    jobs: Jobs

    def __init__(
        self,
        store: Store,
        models: Models,
        keeper: Keeper,
        golden: Golden,
        rollout: Rollout,
        drift: Drift,
        settings: Settings,
    ) -> None:
        self._store, self._models, self._keeper = store, models, keeper
        self._golden, self._rollout, self._drift = golden, rollout, drift
        self._settings, self._holder = settings, uuid.uuid4().hex
        self._folder = settings.home / "snapshots"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._beside = Beside("awry-rollout", settings.rollout_seconds, self.run, at_once=False)
        self.start, self.close = self._beside.start, self._beside.close

    # -- policies ---------------------------------------------------------------------------------

    def put(
        self, name: str, policy: dict[str, Any], *, enabled: bool = True, by: str
    ) -> dict[str, Any]:
        """Give a model a policy, in place of any it has."""
        judge = self._models.load(name)[1]
        if not isinstance(judge, Model):
            raise UnfitError(
                f"{name!r} judges series, of which the rows of requests are no training data",
                field="name", remedy="train it with POST /models",
            )  # fmt: skip
        if judge.detector_.card.supervision == "required" or judge.rule_.needs_labels:
            raise UnfitError(
                f"{name!r} learns from labels, which the rows of requests have not",
                field="name", remedy="train it with POST /models",
            )  # fmt: skip
        try:
            made = Policy.of(policy)
        except (ParameterError, TypeError, ArithmeticError) as error:
            raise UnfitError(str(error), field="policy", remedy="see the docs") from None
        if made.continuous and not judge.detector_.card.online:
            raise UnfitError(
                f"{judge.detector_.card.name} cannot learn row after row", field="continuous",
                remedy="leave it out, or use an online detector such as half_space_trees",
            )  # fmt: skip
        now = time.time()
        fresh: dict[str, Any] = {
            "policy": {},
            "enabled": enabled,
            "updated": now,
            "by": by,
            "tried": now,
        }
        with self._store.write() as connection:
            insert_once(connection, table, model=name, **fresh, decision="", decided=now)
            connection.execute(
                table.update()
                .where(table.c.model == name)
                .values(policy=plain(made.to_dict()), enabled=enabled, updated=now, by=by)
            )
            write_down(
                connection, by, "policy", f"model {name}", enabled=enabled, policy=made.to_dict()
            )
        return self.get(name)

    def get(self, name: str) -> dict[str, Any]:
        """The policy of a model, and what was last decided."""
        self._models.version(name)
        with self._store.read() as connection:
            row = connection.execute(sa.select(table).where(table.c.model == name)).one_or_none()
        if row is None:
            raise NotFoundError(
                f"{name!r} has no policy", field="name", remedy=f"give one: PUT /policies/{name}"
            )
        return dict(row._mapping)

    def list(self) -> list[dict[str, Any]]:
        """All policies, by model."""
        with self._store.read() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.model))
            return [dict(row._mapping) for row in rows]

    def remove(self, name: str, *, by: str) -> None:
        """Let a model have no policy."""
        self.get(name)
        with self._store.write() as connection:
            connection.execute(table.delete().where(table.c.model == name))
            write_down(connection, by, "policy", f"model {name}", removed=True)

    def ask(self, name: str, *, by: str, reason: str = "asked for") -> dict[str, Any]:
        """Train a model anew by its policy, now: a job."""
        if self._under_way(name):
            raise ConflictError(f"{name!r} is being trained anew already", field="name")
        self.get(name)
        job = self.jobs.submit("retrain", {"name": name, "reason": reason}, by=by)
        with self._store.write() as connection:
            connection.execute(
                table.update().where(table.c.model == name).values(tried=time.time(), job=job["id"])
            )
            write_down(connection, by, "retrain", f"model {name}", reason=reason, job=job["id"])
        self._decide(name, f"is trained anew: {reason}")
        return job

    # -- training ---------------------------------------------------------------------------------

    def work(self, job: Job) -> None:
        """Train the next version of a model, try it on the golden set, and put it in the shadow."""
        name, reason = job.request["name"], job.request["reason"]
        policy = Policy.of(self.get(name)["policy"])
        card = self._models.version(name)
        learnt = window(
            policy, card, store=self._store, keeper=self._keeper, drift=self._drift,
            now=time.time(),
        )  # fmt: skip
        champion: Any = self._models.load(name)[1]
        with unfit("data"):
            model = champion.learn(learnt.table) if policy.continuous else clone(champion).fit(
                learnt.table
            )  # fmt: skip
        self._golden.learn(name)
        golden = self._golden.test(
            name, model, min_recall=policy.min_recall, max_false_alarms=policy.max_known_flagged
        )
        path, snapshot = self._snapshot(learnt.table)
        about = {
            "settings": card.get("settings"), "job": job.id, "reason": reason, "golden": golden,
            "snapshot": snapshot, "learnt": learnt.told, "learnt_until": learnt.until,
            "from_version": card["version"],
        }  # fmt: skip

        def settle(connection: sa.Connection, added: dict[str, Any]) -> None:
            failed = golden["passed"] is False
            write_down(
                connection, job.by, "reject" if failed else "shadow", f"model {name}",
                version=added["version"], golden=golden["reason"], learnt=words(learnt.told),
                reason="it fails on the golden set" if failed else reason,
            )  # fmt: skip
            if not failed:
                self._rollout.place(connection, name, added["version"], by=job.by, automatic=True)
            job.settle(connection, {**added, "passed": not failed, "reason": golden["reason"]})

        try:
            added = self._models.add(name, model, about=about, by=job.by, settle=settle)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._decide(name, _outcome(added, learnt))

    def _snapshot(self, rows: pa.Table) -> tuple[Any, dict[str, Any]]:
        """Keep what was learnt from, and say under which name and with what digest."""
        path = self._folder / f"{uuid.uuid4().hex}.parquet"
        parquet.write_table(rows, path, compression="zstd")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return path, {"file": path.name, "sha256": digest, "rows": rows.num_rows}

    def files(self) -> set[str]:
        """Names of the files that rows learnt from are kept in."""
        with self._store.read() as connection:
            facts = connection.scalars(sa.select(versions.c.facts))
            return {one["snapshot"]["file"] for one in facts if one.get("snapshot")}

    # -- going through the policies ---------------------------------------------------------------

    def run(self) -> bool:
        """Do all that is due, if no other process does."""
        seconds = max(3 * self._settings.rollout_seconds, self._settings.lease_seconds)
        if not leases.take(self._store, "rollout", self._holder, seconds):
            return False
        now = time.time()
        self._keeper.trim(now)
        self._drift.watch(now)
        for row in self.list():
            if row["enabled"] and not self._beside.stopping:
                try:
                    self._step(row, now)
                except OpsError as error:
                    self._decide(row["model"], str(error))
                except sa.exc.SQLAlchemyError:
                    raise
                except Exception:  # the policies of other models are gone through all the same
                    _log.exception("the policy of %s could not be gone through", row["model"])
                    self._decide(row["model"], "the policy could not be gone through; see the log")
        return True

    def _step(self, row: dict[str, Any], now: float) -> None:
        name, policy = row["model"], Policy.of(row["policy"])
        champion = self._models.version(name)["version"]
        if reason := watch.broken(self._store, policy, name, champion, now):
            back = self._models.rollback(name, by=BY, reason=reason)["version"]
            self._decide(name, f"version {champion} was rolled back to {back}: {reason}")
            return
        try:
            tried = self._rollout.get(name)
        except NotFoundError:
            self._perhaps_train(row, policy)
            return
        if tried["automatic"] and tried["stage"] == "shadow":
            self._perhaps_promote(name, policy, tried["version"])

    def _perhaps_promote(self, name: str, policy: Policy, version: int) -> None:
        comparison = self._rollout.comparison(name)
        if comparison["rows"] < policy.shadow_rows:
            comparison = self._on_kept_rows(name, comparison)
        kept, reason = watch.judged(policy, comparison)
        if kept is None:
            self._decide(name, f"version {version} is in the shadow: {reason}")
        elif not kept:
            self._rollout.stop(name, by=BY, reason=reason, action="reject")
            self._decide(name, f"version {version} was given up: {reason}")
        elif policy.promote == "policy":
            self._models.promote(name, version, by=BY, reason=reason)
            self._decide(name, f"version {version} was put in charge: {reason}")
        else:
            self._decide(name, f"version {version} waits for a person to promote it: {reason}")

    def _on_kept_rows(self, name: str, found: dict[str, Any]) -> dict[str, Any]:
        """Champion against challenger on rows of streams and jobs, which ask no challenger.

        ``found``, the comparison on requests, where that has more rows.
        """
        champion, challenger = found["champion"], found["challenger"]
        rows = self._keeper.rows(name, since=found["since"], until=time.time(), version=champion)
        rows = rows[-_TRIED:]
        if len(rows) <= found["rows"]:
            return found
        judge: Any = self._models.load(name, challenger)[1]
        with unfit("data"):
            new = judge.judge(as_table([row.row for row in rows])).severity > 0
        old = np.array([row.severity > 0 for row in rows])
        counts = Counts(
            rows=len(rows), both=int((old & new).sum()), champion_only=int((old & ~new).sum()),
            challenger_only=int((new & ~old).sum()),
        )  # fmt: skip
        # How long requests take, requests alone can tell.
        return found | compare(counts) | {"latency_ms": found["latency_ms"]}

    def _perhaps_train(self, row: dict[str, Any], policy: Policy) -> None:
        name = row["model"]
        if policy.due(row["tried"]) > 0 or self._under_way(name):
            return
        self._golden.learn(name)
        reason = watch.wanted(self._store, policy, name, row["tried"])
        if reason is None and policy.continuous:
            reason = "it learns all the time"
        if reason is not None:
            self.ask(name, by=BY, reason=reason)

    def _under_way(self, name: str) -> bool:
        query = sa.select(jobs_table.c.request).where(
            jobs_table.c.kind == "retrain", jobs_table.c.state.in_(("queued", "running"))
        )
        with self._store.read() as connection:
            return any(request["name"] == name for request in connection.scalars(query))

    def _decide(self, name: str, decision: str) -> None:
        with self._store.write() as connection:
            connection.execute(
                table.update()
                .where(table.c.model == name, table.c.decision != decision)
                .values(decision=decision, decided=time.time())
            )


def _outcome(added: dict[str, Any], learnt: Learnable) -> str:
    golden = added["golden"]
    what = "failed on the golden set" if golden["passed"] is False else "is in the shadow"
    return f"version {added['version']} {what}: {golden['reason']}; {words(learnt.told)}"
