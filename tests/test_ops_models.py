"""The registry keeps one champion, and data sets one owner of a name."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
import sqlalchemy as sa

from awry.model import Model
from awry.ops.datasets import Datasets
from awry.ops.errors import ConflictError, NotFoundError
from awry.ops.models import Models
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import promotions
from test_ops_store import settings as settings

TABLE = pa.table({"a": [float(i % 7) for i in range(60)], "b": [float(i % 5) for i in range(60)]})


def fit(*columns: str, method: str = "modified_zscore") -> Model:
    return Model(method).fit(TABLE.select(list(columns)))


@pytest.fixture
def models(settings: Settings) -> Iterator[Models]:
    store = Store(settings)
    yield Models(store, settings)
    store.close()


def at_once(*works: Callable[[], object]) -> list[BaseException]:
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_the_model_for_columns(models: Models) -> None:
    models.add("narrow", fit("a"), about={}, by="me")
    models.add("wide", fit("a", "b"), about={}, by="me")
    models.add("other", fit("a", "b", method="iqr"), about={}, by="me")
    assert models.charge.find("modified_zscore", ["a", "b", "c"]) == "wide", "the most columns"
    assert models.charge.find("modified_zscore", ["a", "c"]) == "narrow"
    assert models.charge.find("iqr", ["a"]) is None, "a column it needs is missing"
    assert models.charge.find("auto", ["a", "b"]) == "other", "any method, the newest"
    assert models.charge.find("mcd", ["a", "b"]) is None


def test_rollback_undoes_promotions_in_turn(models: Models) -> None:
    for _ in range(3):
        models.add("m", fit("a"), about={}, by="me")
    for version in (2, 3, 3):
        models.promote("m", version, by="me")
    assert models.rollback("m")["version"] == 2
    models.promote("m", 3, by="me")
    assert [models.rollback("m")["version"] for _ in range(2)] == [2, 1]
    with pytest.raises(ConflictError):
        models.rollback("m")
    with pytest.raises(NotFoundError):
        models.promote("m", 4, by="me")


def test_versions_added_at_once_are_numbered_without_gaps(
    settings: Settings, models: Models
) -> None:
    model = fit("a")
    stores = [Store(settings) for _ in range(4)]
    works = [
        lambda store=store: Models(store, settings).add("m", model, about={}, by="me")
        for store in stores
    ]
    assert not at_once(*works)
    assert models.list()[0]["versions"] == [1, 2, 3, 4]
    for store in stores:
        store.close()


def test_two_servers_keep_one_champion(settings: Settings, models: Models) -> None:
    for _ in range(3):
        models.add("m", fit("a"), about={}, by="me")
    store = Store(settings)
    other = Models(store, settings)

    def turns(own: Models, version: int) -> Callable[[], None]:
        def work() -> None:
            for _ in range(8):
                own.promote("m", version, by="me")
                own.rollback("m")

        return work

    failures = at_once(turns(models, 2), turns(other, 3))
    assert all(isinstance(error, ConflictError) for error in failures)
    with store.read() as connection:
        left = connection.scalars(
            sa.select(promotions.c.version)
            .where(promotions.c.undone.is_(False))
            .order_by(promotions.c.id)
        ).all()
    assert models.version("m")["version"] == left[-1] == other.version("m")["version"]
    store.close()


def test_what_is_not_settled_is_not_kept(settings: Settings, models: Models) -> None:
    def fail(connection: sa.Connection, added: dict[str, object]) -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError):
        models.add("m", fit("a"), about={}, by="me", settle=fail)
    assert models.list() == []
    assert list((settings.home / "models").iterdir()) == []


def test_one_of_two_uploads_of_a_name_wins(settings: Settings) -> None:
    stores = [Store(settings) for _ in range(4)]
    works = [
        lambda store=store: Datasets(store, settings).add("d", io.BytesIO(b"a\n1\n2\n"))
        for store in stores
    ]
    failures = at_once(*works)
    assert [type(error) for error in failures] == [ConflictError] * 3
    assert len(list((settings.home / "datasets").iterdir())) == 1
    for store in stores:
        store.close()
