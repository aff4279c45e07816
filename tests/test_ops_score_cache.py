"""Rows that are asked again are answered as they were, without being judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from awry import run
from awry.ops.answers import Answer
from awry.ops.score_cache import ScoreCache
from awry.ops.service import Service
from awry.ops.settings import Settings
from awry.ops.shared import Shared

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"a": RNG.normal(size=300), "b": RNG.normal(size=300)})
ROWS: list[dict[str, Any]] = [
    {"a": 0.1, "b": 0.2}, {"a": 90.0, "b": 0.2}, {"a": "x", "b": 0.2}, {"a": None, "b": 1.0},
    {"a": 0.1, "b": 0.2}, {"a": 0.2, "b": 0.1},
]  # fmt: skip


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(Settings(home=tmp_path, workers=0, score_cache_seconds=60.0))
    for detector in ("mcd", "modified_zscore"):
        made.models.add("m", run.fit(TABLE, detector=detector), about={}, by="me")
    yield made
    made.close()


def ask(service: Service, rows: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    [found] = service.judging.answer_quickly([service.judging.ask(rows, model="m", **options)])
    assert isinstance(found, Answer), found
    return found.to_dict()


def unable(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("it was judged")

    monkeypatch.setattr(service.judging, "_quickly", fail)


def test_what_is_remembered_is_what_is_judged(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, service.judging.cache = service.judging.cache, None
    assert cache is not None
    options: list[dict[str, Any]] = [{}, {"threshold": 0.4}, {"version": 2}]
    orders = [ROWS, ROWS[::-1], [{**row, "unknown": 1} for row in ROWS], ROWS[:1]]
    plain = [ask(service, rows, **option) for rows in orders for option in options]
    assert len({str(one) for one in plain}) == len(plain), "all are different"
    service.judging.cache = cache
    first = [ask(service, rows, **option) for rows in orders for option in options]
    unable(service, monkeypatch)
    again = [ask(service, rows, **option) for rows in orders for option in options]
    assert plain == first == again


def test_a_request_with_a_new_row_is_judged(service: Service) -> None:
    ask(service, ROWS)
    rows = [*ROWS, {"a": 5.0, "b": 5.0}]
    found = ask(service, rows)
    service.judging.cache = None
    assert found == ask(service, rows)


def test_numbers_as_one_array_are_remembered(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.array([[0.1, 0.2], [np.nan, 3.0]])
    asks = [service.judging.ask_numbers(["a", "b"], numbers, model="m") for _ in range(2)]
    first = service.judging.answer_quickly(asks[:1])
    unable(service, monkeypatch)
    assert service.judging.answer_quickly(asks[1:]) == first


def test_another_version_has_answers_of_its_own(service: Service) -> None:
    before = ask(service, ROWS)
    service.models.promote("m", 2, by="me")
    after = ask(service, ROWS)
    assert (before["model"]["version"], after["model"]["version"]) == (1, 2)
    assert before["results"][1]["score"] != after["results"][1]["score"]


def test_what_is_not_remembered(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    judging = service.judging
    kept: list[Any] = []
    shared = Shared()
    monkeypatch.setattr(shared, "keep", lambda values, seconds: kept.extend(values))
    judging.cache = ScoreCache(shared, 60.0)
    ask(service, ROWS, explain=True)
    ask(service, ROWS * 50)
    [error] = judging.answer_quickly([judging.ask([{"a": 1.0}], model="m")])
    assert isinstance(error, Exception)
    assert not kept
    found = judging.answer_quickly([judging.ask(ROWS, model="m")])
    assert len(kept) == len(set(map(str, ROWS)))
    kept.clear()
    assert isinstance(found[0], Answer)
    found[0].degraded = True
    told = {"name": "m", "version": 1}
    judging.cache.keep(told, [judging.ask(ROWS, model="m")], found)
    assert not kept, "what was judged in haste is judged anew"
