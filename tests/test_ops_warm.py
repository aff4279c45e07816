"""Champions are loaded before anybody asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from msgspec import UNSET

import awry
from awry.ops.judgement import Judgement
from awry.ops.models import Models
from awry.ops.service import Service
from awry.ops.settings import Settings
from awry.ops.tables import judgements
from awry.ops.warm import Warm, one_row
from awry.server import create_app

rng = np.random.default_rng(0)
TABLE = {
    "amount": rng.normal(50, 5, 80),
    "city": rng.choice(["Rome", "Oslo"], 80),
    "at": [f"2024-03-{1 + i % 28:02d}T08:00:00" for i in range(80)],
}


def fit(detector: str = "isolation_forest", **options: Any) -> Any:
    return awry.fit(TABLE, detector=detector, **options)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def loaded(models: Models) -> set[str]:
    return set(models._loaded)


def file_of(models: Models, name: str, version: int) -> str:
    return str(models._row(name, version).file)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(Settings(home=tmp_path, workers=0, cached_models=3))
    service.models.add("m", fit(), about={}, by="me")
    service.models.add("m", fit("ecod"), about={}, by="me")
    yield service
    service.close()


def test_the_champion_is_loaded_at_the_start_and_after_each_change(service: Service) -> None:
    models = service.models
    one, two = (file_of(models, "m", version) for version in (1, 2))
    assert not loaded(models)
    service.start()
    until(lambda: one in loaded(models))
    until(lambda: not service.warm.warming)
    assert two not in loaded(models)
    models.promote("m", 2, by="me")
    until(lambda: service.warm._done == {two})  # and so nobody loads it any more
    assert two in loaded(models)
    models._loaded.clear()
    models.rollback("m", by="me")
    until(lambda: loaded(models) == {one})


def test_nobody_is_told_of_the_row_that_is_judged(service: Service) -> None:
    told: list[Judgement] = []
    asked: list[Any] = []
    aside = service.judging.answer_aside

    def answer_aside(asks: Any) -> Any:
        asked.append(aside(asks))
        return asked[-1]

    service.judging.answer_aside = answer_aside  # type: ignore[method-assign]
    service.recorder.listeners.append(lambda made, _: told.append(made))
    service.warm.look()
    ((answer,),) = asked
    assert (answer.rows, answer.rejected, answer.results[0].problems) == (1, 0, UNSET)
    service.recorder.flush()
    assert not told
    with service.store.read() as connection:
        assert not connection.execute(judgements.select()).all()


def test_what_cannot_be_loaded_is_no_hindrance_to_the_others(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    models = service.models
    models.add("broken", fit(), about={}, by="me")
    path = service.settings.home / "models" / file_of(models, "broken", 1)
    path.write_bytes(b"nothing")
    service.warm.look()
    assert loaded(models) == {file_of(models, "m", 1)}
    assert not service.warm.warming
    assert "version 1 of broken is not ready" in caplog.text


def test_a_champion_is_loaded_once_and_no_more_than_are_kept(service: Service) -> None:
    models = service.models
    for i in range(4):
        models.add(f"m{i}", fit("ecod"), about={}, by="me")
    service.warm.look()
    assert loaded(models) == {file_of(models, f"m{i}", 1) for i in (1, 2, 3)}
    # What has fallen out of the memory since is not fetched again and again.
    models._loaded.clear()
    service.warm.look()
    assert not loaded(models)


@pytest.mark.parametrize("options", [{}, {"by": "city"}, {"context": ["city"]}])
def test_a_usual_row_is_judged_by_models_of_every_kind(
    service: Service, options: dict[str, Any]
) -> None:
    version = service.models.add("other", fit(**options), about={}, by="me")
    judge = service.models.load("other")[1]
    row = one_row(judge, version["columns"])
    assert row["city"][0] in ("Rome", "Oslo") or options
    answer = service.judging.detect([{c: v for c, (v,) in row.items()}], model="other")
    assert answer.results[0].score is not None


def test_what_goes_before_and_after_is_done_once(service: Service) -> None:
    done: list[str] = []
    warm = Warm(service.models, service.judging)
    warm.before.append(lambda: done.append("before"))
    warm.after.append(lambda: done.append("after" if loaded(service.models) else "too early"))
    warm.look()
    warm.look()
    assert done == ["before", "after"]


def test_ready_says_whether_it_is_warming(tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path, workers=0))
    held = threading.Event()
    app.state.service.warm.before.append(lambda: held.wait(60))
    with TestClient(app, "http://localhost") as http:
        found = http.get("/ready").json()  # which does not wait for it
        assert (found["ready"], found["warming"]) == (True, True)
        held.set()
        until(lambda: not http.get("/ready").json()["warming"])
