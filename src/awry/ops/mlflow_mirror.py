"""Training runs and models in MLflow, too: what happens while it is down is told later."""

from __future__ import annotations

import importlib.util
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from awry.core.errors import AwryError
from awry.core.optional import optional
from awry.ops import leases
from awry.ops.beside import Beside
from awry.ops.datasets import Datasets
from awry.ops.mlflow_runs import TAG, log_run
from awry.ops.models import Models
from awry.ops.posting import Poster
from awry.ops.store import Store, insert_once
from awry.ops.tables import mirrored, models, promotions, rollouts, versions

_log = logging.getLogger(__name__)

#: Seconds between looks for what is new, between tries while MLflow does not answer, at most, and
#: for which one process tells MLflow and the others need not.
_PAUSE, _LATE, _LEASE = 5.0, 60.0, 300.0
#: What MLflow will say again however often it is told.
_REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


class MlflowMirror:
    """Tells MLflow of versions and of who is in charge.

    Each version becomes a run (parameters, metrics, curves, a report, the model as a pyfunc) and a
    version of the registered model of its name; aliases ``champion`` and ``challenger`` follow.
    The database says what there is, and the table ``mirrored`` what MLflow has been told: the
    difference is made up in the order things happened, by one process at a time. A run that an end
    left half done is begun anew, and a version that is there is found by its tag.

    Parameters
    ----------
    uri : str
        Of the tracking server, which keeps the registry, too.
    """

    def __init__(self, uri: str, store: Store, models: Models, datasets: Datasets) -> None:
        if importlib.util.find_spec("mlflow") is None:
            optional("mlflow", extra="mlflow", needed_by="AWRY_MLFLOW_URI")
        self._uri, self._store, self._models, self._datasets = uri, store, models, datasets
        self._me = uuid.uuid4().hex
        self._api: Any = None
        self._trouble, self._pause, self._not_before = "", _PAUSE, 0.0
        self._beside = Beside("awry-mlflow", _PAUSE, self._look)
        self.start = self._beside.start

    def close(self) -> None:
        """Stop, and let another process go on."""
        self._beside.close()
        leases.take(self._store, "mlflow", self._me, -1.0)

    def check(self) -> None:
        """Raise where MLflow does not answer."""
        if self._trouble:
            raise ConnectionError(self._trouble)
        if self._uri.startswith("http"):
            health = Poster(self._uri.rstrip("/") + "/health", "MLflow", timeout=2.0)
            try:
                health.request("GET")
            finally:
                health.close()

    def catch_up(self) -> int:
        """Tell MLflow what it does not know yet; how many things that were."""
        told = 0
        for tell in self._untold():
            # Telling takes a while: the lease is prolonged, and who lost it stops.
            if self._beside.stopping or not leases.take(self._store, "mlflow", self._me, _LEASE):
                break
            tell()
            told += 1
        return told

    def _untold(self) -> Iterator[Callable[[], None]]:
        for row in self._untold_versions():
            yield partial(self._once, f"version {row.model}/{row.version}", self._tell, row)
        for row in self._untold_promotions():
            yield partial(self._once, f"promotion {row.id}", self._promoted, row)
        for name, alias, version in self._aliases():
            yield partial(self._set_alias, name, alias, version)

    def _look(self) -> None:
        if time.monotonic() < self._not_before:
            return
        try:
            self.catch_up()
        except sa.exc.SQLAlchemyError:
            raise
        except Exception as error:
            told = str(error).partition("\n")[0] or type(error).__name__
            if not self._trouble:
                _log.warning("MLflow is not told of models, it is tried again: %s", told)
            self._trouble = told
            self._not_before = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LATE)
        else:
            if self._trouble:
                _log.warning("MLflow has caught up")
            self._trouble, self._pause = "", _PAUSE

    # -- what is to be told -----------------------------------------------------------------------

    def _untold_versions(self) -> list[Any]:
        item = (
            sa.literal("version ") + versions.c.model + "/" + sa.cast(versions.c.version, sa.String)
        )
        query = sa.select(versions).where(~_told(item))
        with self._store.read() as connection:
            return list(connection.execute(query.order_by(versions.c.created)).all())

    def _untold_promotions(self) -> list[Any]:
        item = sa.literal("promotion ") + sa.cast(promotions.c.id, sa.String)
        query = sa.select(promotions).where(~_told(item))
        with self._store.read() as connection:
            return list(connection.execute(query.order_by(promotions.c.id)).all())

    def _aliases(self) -> list[tuple[str, str, str]]:
        """Aliases that are not as they should be: the model, which, and the version or ``""``."""
        with self._store.read() as connection:
            known = self._told_as(connection, "alias ")
            wanted = {
                f"alias {name}/champion": str(version)
                for name, version in connection.execute(sa.select(models.c.name, models.c.champion))
            } | {
                f"alias {name}/challenger": str(version)
                for name, version in connection.execute(
                    sa.select(rollouts.c.model, rollouts.c.version)
                )
            }
        changed = {
            item: wanted.get(item, "")
            for item in sorted({*known, *wanted})
            if known.get(item, "") != wanted.get(item, "")
        }
        return [
            (*item.removeprefix("alias ").rsplit("/", 1), version)  # type: ignore[misc]
            for item, version in changed.items()
        ]

    def _told_as(self, connection: sa.Connection, begin: str) -> dict[str, str]:
        here = (mirrored.c.mirror == "mlflow", mirrored.c.item.startswith(begin, autoescape=True))
        query = sa.select(mirrored.c.item, mirrored.c.value).where(*here)
        return {row.item: row.value for row in connection.execute(query)}

    def _keep(self, item: str, value: str) -> None:
        with self._store.write() as connection:
            insert_once(
                connection, mirrored, mirror="mlflow", item=item, value=value, at=time.time()
            )
            connection.execute(
                mirrored.update()
                .where(mirrored.c.mirror == "mlflow", mirrored.c.item == item)
                .values(value=value, at=time.time())
            )

    def _once(self, item: str, tell: Callable[[Any], str], row: Any) -> None:
        try:
            value = tell(row)
        except Exception as error:
            if getattr(error, "error_code", None) not in _REFUSALS and not isinstance(
                error, AwryError
            ):
                raise
            # It will never be otherwise, and what comes after it is not to wait.
            _log.error("MLflow is not told of %s: %s", item, str(error).partition("\n")[0])
            value = ""
        self._keep(item, value)

    # -- telling ----------------------------------------------------------------------------------

    @property
    def _client(self) -> Any:
        if self._api is None:
            # Whoever is down is asked again by us, later.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
            tracking = optional("mlflow.tracking", extra="mlflow", needed_by="AWRY_MLFLOW_URI")
            self._api = tracking.MlflowClient(self._uri, self._uri)
        return self._api

    def _tell(self, row: Any) -> str:
        """A version as a run and a registered version; the number MLflow gives it."""
        client = self._client
        self._register(row.model)
        for known in client.search_model_versions(f"name = '{row.model}'"):
            if known.tags.get(TAG) == row.file:
                return str(known.version)
        found = client.get_experiment_by_name(f"awry/{row.model}")
        where = found.experiment_id if found else client.create_experiment(f"awry/{row.model}")
        done = self._run_of(row, where) or self._log_run(row, where)
        made = client.create_model_version(
            row.model,
            f"{done.info.artifact_uri}/model",
            done.info.run_id,
            tags={TAG: row.file, "awry.version": str(row.version), "awry.sha256": row.sha256},
        )
        return str(made.version)

    def _register(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except Exception as error:
            if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
                raise

    def _run_of(self, row: Any, where: str) -> Any:
        """The run of a version that was told of whole, without the version; halves are deleted."""
        for known in self._client.search_runs([where], f"tags.`{TAG}` = '{row.file}'"):
            if known.info.status == "FINISHED":
                return known
            self._client.delete_run(known.info.run_id)
        return None

    def _log_run(self, row: Any, where: str) -> Any:
        return log_run(
            self._client, where, row, self._models.data(row.model, row.version), self._rows(row)
        )

    def _rows(self, row: Any) -> Path | None:
        """What a version learnt from, if it is there yet."""
        dataset = row.facts.get("dataset") or {}
        try:
            return self._datasets.path(dataset["name"], dataset["id"])
        except (KeyError, AwryError):
            return None

    def _promoted(self, row: Any) -> str:
        """A stage change, written on the version."""
        number = self._number(row.model, row.version)
        if number:
            when = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="seconds")
            self._client.set_model_version_tag(
                row.model, number, f"awry.promoted.{row.id}", f"{when} by {row.by}"
            )
        return number

    def _set_alias(self, name: str, alias: str, version: str) -> None:
        number = self._number(name, version) if version else ""
        if number:
            self._client.set_registered_model_alias(name, alias, number)
        else:
            self._client.delete_registered_model_alias(name, alias)
        self._keep(f"alias {name}/{alias}", version)

    def _number(self, name: str, version: Any) -> str:
        """MLflow's number of a version."""
        item = f"version {name}/{version}"
        with self._store.read() as connection:
            return self._told_as(connection, item).get(item, "")


def _told(item: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.exists().where(mirrored.c.mirror == "mlflow", mirrored.c.item == item)
