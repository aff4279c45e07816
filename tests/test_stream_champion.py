"""A version that is promoted judges what a running worker reads from then on."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from awry.cli import main
from awry.cli.stream import stream
from awry.core.errors import DataError
from awry.data.tables import as_table
from awry.ops import charge
from awry.ops.keeper import SAMPLED
from awry.ops.models import Models
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.ops.tables import judgements, kept_rows, scores, stream_offsets
from awry.run import fit
from awry.stream.champion import Champion
from awry.stream.keys import TemporarySpill
from awry.stream.lane import Lane
from awry.stream.metrics import _Collector
from awry.stream.plan import Plan
from awry.stream.records import Batch, Position
from awry.stream.sources import open_source
from awry.stream.worker import Tally, Worker

EVENTS = 3_000


def records(n: int = EVENTS) -> list[dict[str, float]]:
    rng = np.random.default_rng(0)
    return [{"a": float(a), "b": float(b)} for a, b in rng.normal(size=(n, 2))]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # What another process promoted is known at once, not half a second later.
    monkeypatch.setattr(charge, "_FRESH", 0.0)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records()))
    return tmp_path


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    made = Store(Settings(home=home))
    yield made
    made.close()


def registry(store: Store, home: Path) -> Models:
    """The registry as another process has it."""
    return Models(store, Settings(home=home))


def trained(store: Store, home: Path, detector: str, n: int, **more: Any) -> int:
    model = fit(records(n), detector=detector)
    added = registry(store, home).add("m", model, about={}, by="me", **more)
    return int(added["version"])


def worker(store: Store, home: Path, **more: Any) -> Worker:
    models = registry(store, home)
    version, model = models.load("m")
    plan = Plan(model=model, model_name="m", model_version=version, **more)
    source = open_source(f"file://{home / 'in.jsonl'}?follow=0")
    champion = Champion(models, "m", every=0.0)
    return Worker(
        source, plan, store, name="s", batch=50, every=0.0, every_items=50, champion=champion
    )


def kept(store: Store) -> list[Any]:
    """Version, item and score of each event, in order."""
    j, s = judgements.c, scores.c
    query = sa.select(j.version, s.item, s.score).join(judgements, j.id == s.judgement)
    with store.read() as connection:
        return list(connection.execute(query.order_by(s.id)))


def run(made: Worker, at: dict[int, Any]) -> Tally:
    """Let it work, and call each of ``at`` once so many events are kept."""

    def heartbeat() -> None:
        for n in [n for n in at if made.tally.events >= n]:
            at.pop(n)()

    return made.run(heartbeat)


def test_between_micro_batches(home: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "awry.stream.worker")
    trained(store, home, "ecod", 500)
    made = worker(store, home, drift=400)
    tally = run(made, {
        1_000: lambda: trained(store, home, "ecod", 900, promote=True),
        2_000: lambda: registry(store, home).rollback("m"),
    })  # fmt: skip
    assert (tally.events, tally.swaps) == (EVENTS, 2)
    assert "version 2 of m judges from here on, in place of version 1" in caplog.text
    found = kept(store)
    versions = [row.version for row in found]
    first, last = versions.index(2), EVENTS - 1 - versions[::-1].index(2)
    assert 1_000 <= first < 1_200
    assert 2_000 <= last < 2_200
    assert versions == [1] * first + [2] * (last + 1 - first) + [1] * (EVENTS - 1 - last)
    # Each event once, by the version that it says.
    assert [row.item.rpartition("/")[2] for row in found] == _offsets(home)
    table = as_table(records())
    models = registry(store, home)
    wanted = np.array([models.load("m", v)[1].judge(table).scores for v in (1, 2)])
    expected = wanted[np.array(versions) - 1, np.arange(EVENTS)]
    np.testing.assert_allclose([row.score for row in found], expected, rtol=1e-12)
    with store.read() as connection:
        assert connection.scalar(sa.select(stream_offsets.c.next)) == _size(home)
    told = {family.name: family.samples for family in _Collector(made).collect()}
    assert told["awry_stream_model_swaps"][0].value == 2
    assert told["awry_stream_model_version"][0].value == 1


def test_an_idle_worker_follows_too(home: Path, store: Store) -> None:
    trained(store, home, "ecod", 500)
    made = worker(store, home)
    made.source = open_source(f"file://{home / 'in.jsonl'}?follow=1")
    promote = lambda: trained(store, home, "ecod", 900, promote=True)  # noqa: E731
    at = {EVENTS: promote}

    def heartbeat() -> None:
        if made.tally.events >= EVENTS and at:
            at.pop(EVENTS)()
        if made.tally.swaps:
            made.stop()

    assert made.run(heartbeat).swaps == 1
    assert made.plan.model_version == 2


def test_a_version_that_cannot_be_had_is_not_waited_for(
    home: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    trained(store, home, "ecod", 500)
    made = worker(store, home)

    def damage() -> None:
        trained(store, home, "ecod", 900, promote=True)
        newest = max((home / "models").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        newest.write_bytes(b"?")

    tally = run(made, {1_000: damage})
    assert (tally.events, tally.swaps) == (EVENTS, 0)
    assert {row.version for row in kept(store)} == {1}
    assert "the version of m in charge cannot be had" in caplog.text


def test_what_a_version_learnt_is_not_given_to_another(home: Path, store: Store) -> None:
    trained(store, home, "half_space_trees", 300)
    one = registry(store, home).load("m")[1]
    trained(store, home, "half_space_trees", 600, promote=True)
    other = registry(store, home).load("m")[1]
    some = records(1_000)

    def lane(model: Any, version: int, saved: bytes | None = None) -> Lane:
        plan = Plan(model=model, model_name="m", model_version=version)
        return Lane(plan, "t", 0, TemporarySpill(), saved)

    def judged(made: Lane, low: int, high: int) -> Any:
        made.clear()
        offsets = list(range(low, high))
        made.feed(Batch("t", 0, offsets, some[low:high], Position(high), 2e9))
        return made.judged[0].scores

    first = lane(one, 1)
    judged(first, 0, 500)
    saved = first.save()
    goes_on = judged(first, 500, 600)
    np.testing.assert_array_equal(judged(lane(one, 1, saved), 500, 600), goes_on)
    fresh = judged(lane(other, 2), 500, 600)
    assert not np.array_equal(fresh, goes_on)
    np.testing.assert_array_equal(judged(lane(other, 2, saved), 500, 600), fresh)


def test_the_program_keeps_rows_to_learn_from(home: Path, store: Store) -> None:
    trained(store, home, "ecod", 500)
    words = ["--from", f"file://{home / 'in.jsonl'}?follow=0", "--model", "m", "--name", "s", "-q"]
    words += ["--to", f"sqlite:///{home / 'awry.db'}"]
    env = {"AWRY_HOME": str(home), "AWRY_KEPT_ROWS_PER_HOUR": "40"}
    done = CliRunner().invoke(stream, words, env=env)
    assert done.exit_code == 0, done.output
    assert {row.version for row in kept(store)} == {1}
    sampled = sa.select(kept_rows.c.row).where(kept_rows.c.priority < SAMPLED)
    with store.read() as connection:
        rows = list(connection.scalars(sampled))
    assert len(rows) >= 40
    assert all(row in records() for row in rows)


def test_what_a_model_has_of_its_own_is_refused_beside_it(home: Path, store: Store) -> None:
    trained(store, home, "ecod", 500)
    words = ["--from", f"file://{home / 'in.jsonl'}?follow=0", "--model", "m", "--name", "s"]
    words += ["--to", f"sqlite:///{home / 'awry.db'}"]
    for given in (
        ["-d", "ecod"], ["-p", "n=1"], ["-t", "adaptive:0.001"], ["--fields", "a"], ["--per-key"],
        ["--amount", "a"], ["--place", "a,b"], ["--warmup", "256"],
    ):  # fmt: skip
        done = CliRunner().invoke(stream, [*words, *given], env={"AWRY_HOME": str(home)})
        assert done.exit_code == 2
        assert "has no effect beside --model, which has its own" in done.output
    assert not kept(store)


def test_the_program_names_a_class_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: Any) -> None:
        raise DataError("MIDASR: edges are whole numbers")

    (tmp_path / "in.jsonl").write_text("{}")
    monkeypatch.setenv("AWRY_HOME", str(tmp_path))
    monkeypatch.setattr(Worker, "run", run)
    with pytest.raises(SystemExit) as ended:
        main(["stream", "--from", f"file://{tmp_path / 'in.jsonl'}?follow=0", "--to", "-"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "awry: MIDASR: edges are whole numbers\n"


def _offsets(home: Path) -> list[str]:
    lines = (home / "in.jsonl").read_bytes().splitlines(keepends=True)
    return [str(n) for n in np.cumsum([0, *map(len, lines[:-1])]).tolist()]


def _size(home: Path) -> int:
    return (home / "in.jsonl").stat().st_size
