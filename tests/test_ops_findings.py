"""Scores, events and incidents: kept, found again, rolled up and deleted in time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from awry import run
from awry.core.incidents import find_incidents
from awry.ops.errors import NotFoundError, UnfitError
from awry.ops.findings import Findings
from awry.ops.judgement import MAX_EVENTS, Found, Gathering, Judgement
from awry.ops.lookup import Lookup
from awry.ops.overview import Overview
from awry.ops.rollup import rates
from awry.ops.settings import Settings
from awry.ops.sketch import Sketch, sketches
from awry.ops.store import Store
from awry.ops.tables import events, feedback, incidents, judgements, score_rollups, scores
from awry.ops.upkeep import Upkeep
from awry.result import Reason
from test_ops_store import settings as settings

NOW = 1_700_000_000.0


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store(settings)
    yield opened
    opened.close()


def count(store: Store, table: sa.Table) -> int:
    with store.read() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def found(start: float, end: float, score: float, *, severity: int = 1, key: str | None = None,
          feature: str = "amount", size: int = 1) -> Found:  # fmt: skip
    return Found(
        0, 0, 0, score, severity, size, start, end, key, kind="spike", words=f"{feature} is high",
        item=f"{start:g}", reasons=[Reason(feature, "9", "1", 1.0)], features=[feature],
    )  # fmt: skip


def judged(*made: Found, source: str = "payments", gap: float | None = None, at: float = NOW,
           n: int = 4) -> Judgement:  # fmt: skip
    severity = np.zeros(n, dtype=np.int64)
    severity[: len(made)] = [event.severity for event in made][:n]
    return Judgement(
        source=source, origin="stream", items=[f"t/0/{i}" for i in range(n)],
        scores=np.arange(n, dtype=float)[::-1], severity=severity, at=at + np.arange(n) * 60.0,
        threshold=2.5, events=list(made), incidents=find_incidents(made, gap or 0.0), gap=gap,
        judged=at,
    )  # fmt: skip


# -- keeping --------------------------------------------------------------------------------------


def test_every_score_is_kept_as_it_was(store: Store) -> None:
    made = judged(n=5)
    made.scores[2], made.scores[3] = np.nan, np.inf
    made.items[0] = "tab\tnew\nline\\N 'quoted' é"  # type: ignore[index]
    number = Findings(store).record(made)
    with store.read() as connection:
        rows = connection.execute(sa.select(scores).order_by(scores.c.id)).all()
    assert [row.judgement for row in rows] == [number] * 5
    assert [row.item for row in rows] == list(made.items)
    assert [row.score for row in rows] == [4.0, 3.0, None, None, 0.0]
    assert [row.at for row in rows] == [NOW + 60 * i for i in range(5)]


def test_what_is_recorded_is_the_callers_to_commit(store: Store) -> None:
    findings = Findings(store)
    with store.write() as connection:
        findings.record(judged(found(NOW, NOW, 3.0)), connection)
        connection.rollback()
    assert [count(store, t) for t in (judgements, scores, events, incidents)] == [0] * 4
    with store.write() as connection:
        findings.record(judged(found(NOW, NOW, 3.0)), connection)
    assert [count(store, t) for t in (judgements, scores, events, incidents)] == [1, 4, 1, 1]


def test_events_and_incidents_go_on_across_judgements(store: Store) -> None:
    findings, lookup = Findings(store), Lookup(store)
    findings.record(judged(found(NOW, NOW + 10, 3.0, key="a"), gap=30.0))
    findings.record(judged(found(NOW + 40, NOW + 50, 7.0, key="a", severity=3), gap=30.0))
    findings.record(judged(found(NOW + 60, NOW + 60, 5.0, key="b", feature="hour"), gap=30.0))
    findings.record(judged(found(NOW + 500, NOW + 510, 1.0, key="a"), gap=30.0))
    rows = lookup.events().rows
    assert [(r["key"], r["start"] - NOW, r["end"] - NOW, r["items"]) for r in rows] == [
        ("a", 500, 510, 1), ("b", 60, 60, 1), ("a", 0, 50, 2),
    ]  # fmt: skip
    assert (rows[2]["score"], rows[2]["severity"]) == (7.0, "emergency")
    assert rows[1]["incident"] == rows[2]["incident"] != rows[0]["incident"]
    first = lookup.incidents().rows[-1]
    assert (first["events"], first["keys"], first["end"] - NOW) == (2, ["a", "b"], 60)
    assert first["summary"].startswith("2 series at once")


def test_an_event_is_of_one_version_and_its_incident_of_all(store: Store) -> None:
    findings, lookup = Findings(store), Lookup(store)
    for i, (model, version, threshold, score) in enumerate(
        [("pay", 1, 0.65, 0.7), ("pay", 2, 8.5, 8755.0), ("pay", 1, 0.65, 0.8),
         ("pay", 2, 8.5, 9.0), (None, None, None, 3.0), (None, None, None, 4.0)]
    ):  # fmt: skip
        made = judged(found(NOW + i, NOW + i, score), gap=60.0)
        made.model, made.version, made.threshold = model, version, threshold
        findings.record(made)
    rows = lookup.events().rows
    assert sorted((r["version"] or 0, r["threshold"], r["score"], r["items"]) for r in rows) == [
        (0, None, 4.0, 2), (1, 0.65, 0.8, 2), (2, 8.5, 8755.0, 2),
    ]  # fmt: skip
    assert [one["events"] for one in lookup.incidents().rows] == [3]


def test_judgements_that_are_whole_stay_apart(store: Store) -> None:
    for _ in range(2):
        Findings(store).record(judged(found(NOW, NOW + 10, 3.0)))
    assert (count(store, events), count(store, incidents)) == (2, 2)


def test_a_challenger_is_scored_without_events(store: Store) -> None:
    made = judged(found(NOW, NOW, 3.0))
    made.role = "challenger"
    Findings(store).record(made)
    assert (count(store, scores), count(store, events)) == (4, 0)
    assert Lookup(store).anomalies().rows == []


_KILLED = """
import os, signal, sys
import numpy as np
from awry.ops import findings
from awry.ops.judgement import Judgement
from awry.ops.settings import Settings
from awry.ops.store import Store

class Items(list):
    def __iter__(self):
        yield from (str(i) for i in range(30_000))
        os.kill(os.getpid(), signal.SIGKILL)

store = Store(Settings(home=sys.argv[1], database_url=sys.argv[2]))
n = 60_000
made = Judgement("s", "job", Items("x" * n), np.zeros(n), np.zeros(n, dtype=int))
findings.Findings(store).record(made)
"""


def test_a_bulk_insert_that_is_killed_leaves_nothing(settings: Settings, store: Store) -> None:
    command = [sys.executable, "-c", _KILLED, str(settings.home), settings.database_url]
    assert subprocess.run(command, check=False).returncode == -9
    assert [count(store, t) for t in (judgements, scores, score_rollups)] == [0, 0, 0]
    Findings(store).record(judged())
    assert count(store, scores) == 4


# -- from results ---------------------------------------------------------------------------------


def planted(n: int = 400) -> pa.Table:
    rng = np.random.default_rng(0)
    amount = rng.normal(50, 5, n)
    amount[[120, 121, 300]] = [500, 900, 400]
    return pa.table({"amount": amount, "hour": rng.integers(8, 18, n)})


def test_rows_of_a_table_are_events_with_reason_and_extract(store: Store) -> None:
    result = run.detect(planted(), detector="mcd", threshold=0.0075)
    gathering = Gathering()
    gathering.add(result)
    made = gathering.judgement(source="payments", origin="job", model="m", version=2)
    Findings(store).record(made)
    rows = Lookup(store).events(feature="amount").rows
    assert {row["peak"] for row in rows} == {"121", "122", "301"}
    best = max(rows, key=lambda row: row["score"])
    assert (best["peak"], best["model"], best["version"], best["kind"]) == ("122", "m", 2, "row")
    assert best["reasons"][0]["column"] == "amount"
    assert "amount 900" in best["summary"]
    whole = Lookup(store).event(best["id"])
    assert whole["extract"]["row"]["amount"] == "900.0"
    assert max(whole["extract"]["scores"]) == best["score"]
    assert count(store, incidents) == 1  # they happened at once: when they were judged


def test_events_do_not_depend_on_how_the_data_were_cut() -> None:
    table = planted().append_column(
        "time",
        pa.array(np.datetime64("2024-01-01", "s") + np.arange(400) * np.timedelta64(60, "s")),
    )
    model = run.fit(
        table, detector="isolation_forest", threshold=0.0075, as_="table", random_state=0
    )
    found_by_cut = []
    for size in (7, 121, 400):
        gathering = Gathering(table.take)
        for result in run.score(table, model, batch_rows=size):
            gathering.add(result)
        made = gathering.judgement(source="s", origin="job", judged=NOW)
        found_by_cut.append([(e.item, e.start, e.size, e.words, e.extract) for e in made.events])
    assert found_by_cut[0] == found_by_cut[1] == found_by_cut[2]
    # Rows 121 and 122 are one event, which a cut after row 121 must not part.
    assert {(item, size) for item, _, size, _, _ in found_by_cut[0]} & {("121", 2), ("122", 2)}


def test_series_give_events_in_words_and_their_surroundings(store: Store) -> None:
    rng = np.random.default_rng(0)
    value = np.sin(np.arange(600) / 24 * 2 * np.pi) + rng.normal(0, 0.05, 600)
    value[400:403] += 8
    times = np.datetime64("2024-01-01", "s") + np.arange(600) * np.timedelta64(3600, "s")
    result = run.detect(pa.table({"time": pa.array(times), "load": value}), threshold=0.01)
    gathering = Gathering()
    gathering.add(result)
    Findings(store).record(gathering.judgement(source="load", origin="job"))
    rows = Lookup(store).events().rows
    start = float((times[400] - np.datetime64(0, "s")).astype(float))
    assert any(abs(row["start"] - start) <= 3600 for row in rows)
    event = Lookup(store).event(rows[0]["id"])
    assert event["extract"]["channels"] == ["load"]
    assert max(v for (v,) in event["extract"]["values"] if v is not None) > 6
    assert len(event["extract"]["times"]) <= 300


def test_events_of_one_judgement_are_bounded_and_the_gravest_stay() -> None:
    n = 3 * MAX_EVENTS
    result = run.detect(planted(), detector="mcd", threshold=0.01)
    result.table, result.times = planted(n), None
    result.scores, result.rows = np.arange(n, dtype=float), np.arange(1, n + 1)
    result.severity = np.ones(n, dtype=np.int64)
    gathering = Gathering()
    gathering.add(result)
    made = gathering.judgement(source="s", origin="job")
    assert [e.item for e in made.events] == [str(i) for i in range(n - MAX_EVENTS + 1, n + 1)]


# -- looking --------------------------------------------------------------------------------------


def test_filters(store: Store) -> None:
    findings, lookup = Findings(store), Lookup(store)
    findings.record(judged(found(NOW, NOW + 60, 3.0, severity=1)))
    findings.record(
        judged(found(NOW + 3600, NOW + 3700, 9.0, severity=3, feature="hour"), source="other")
    )
    for look in (lookup.events, lookup.incidents):
        whole = [row["source"] for row in look().rows]
        assert whole == ["other", "payments"]
        for chosen, expected in (
            ({"source": "payments"}, ["payments"]),
            ({"severity": "critical"}, ["other"]),
            ({"severity": "warning"}, whole),
            ({"status": "resolved"}, []),
            ({"feature": "hour"}, ["other"]),
            ({"since": NOW + 30}, whole),  # under way then
            ({"since": NOW + 61}, ["other"]),
            ({"until": NOW + 3600}, ["payments"]),
        ):  # fmt: skip
            assert [r["source"] for r in look(**chosen).rows] == expected, chosen  # type: ignore[operator]
    flagged = lookup.anomalies(source="other").rows
    assert [(r["item"], r["severity"], r["threshold"]) for r in flagged] == [
        ("t/0/0", "emergency", 2.5)
    ]
    assert lookup.anomalies(severity="critical", source="payments").rows == []
    assert lookup.counts()["status"] == {"open": 2}


def test_anomalies_are_in_events_that_go_on_and_in_runs_of_rows_around_their_peak(
    store: Store,
) -> None:
    findings, lookup = Findings(store), Lookup(store)
    for minute in (0, 4):  # a stream's event goes on in the next batch
        at = NOW + 60.0 * minute
        findings.record(judged(found(at, at + 60, 2.0, size=2), found(at, at + 60, 2.0, size=2),
                               gap=600.0, at=at))  # fmt: skip
    assert len(lookup.events(feature="amount").rows) < 4
    flagged = lookup.anomalies().rows
    assert len(flagged) == 4
    assert lookup.anomalies(status="open", feature="amount").rows == flagged
    assert lookup.anomalies(status="resolved").rows == []

    rows = pa.table({"x": np.zeros(9), "y": np.arange(9.0)})
    severity = np.array([0, 1, 1, 0, 0, 1, 0, 1, 1])
    events = [
        Found(0, 0, 0, 5.0, 1, size, NOW, NOW, None, kind=kind, item=peak, features=[feature])
        for size, kind, peak, feature in (
            (2, "rows", "1", "x"), (1, "row", "5", "y"), (2, "rows", "8", "y"),
        )
    ]  # fmt: skip
    findings.record(
        Judgement("table", "job", [str(i) for i in range(rows.num_rows)], np.arange(9.0), severity,
                  np.full(9, NOW), events=events, judged=NOW)
    )  # fmt: skip
    for feature, expected in (("x", {"1", "2"}), ("y", {"5", "7", "8"}), ("z", set())):
        here = lookup.anomalies(source="table", feature=feature).rows
        assert {row["item"] for row in here} == expected


def test_pages_hold_each_row_once_while_more_come_in(store: Store) -> None:
    findings, lookup = Findings(store), Lookup(store)
    for i in range(7):  # some at the same time
        findings.record(judged(found(NOW + i // 2, NOW + 9, float(i))))
    seen, cursor = [], None
    while True:
        got = lookup.events(limit=2, cursor=cursor)
        seen += [row["score"] for row in got.rows]
        findings.record(judged(found(NOW + 50, NOW + 50, 99.0)))
        if got.next is None:
            break
        cursor = got.next
    assert seen == [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize("cursor", ["", "!", "bnVsbA", "WzEsMl0", "W05hTiwxXQ", "é", "A" * 500])
def test_what_is_no_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(UnfitError, match="cursor"):
        Lookup(store).events(cursor=cursor)


def test_an_event_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no event 7"):
        Lookup(store).event(7)


# -- in the long run ------------------------------------------------------------------------------


def test_hours_add_up_to_what_was_judged(store: Store) -> None:
    rng, n = np.random.default_rng(0), 4_000
    values, at = rng.lognormal(size=n), NOW + rng.uniform(0, 5 * 3600, n)
    for part in np.array_split(np.arange(n), 3):
        Findings(store).record(
            Judgement(
                source="s", origin="stream", items=[""] * len(part), scores=values[part],
                severity=(values[part] > 5).astype(int), at=at[part],
            )
        )  # fmt: skip
    told = rates(store, source="s", since=NOW - 3600, until=NOW + 7 * 3600)
    for hour in told:
        inside = values[(at // 3600) == hour["at"] // 3600]
        assert (hour["rows"], hour["flagged"]) == (len(inside), (inside > 5).sum())
        for q, value in hour["quantiles"].items():
            exact = np.quantile(inside, float(q), method="lower")
            assert value == pytest.approx(exact, rel=0.0101)
    assert sum(hour["rows"] for hour in told) == n


def test_what_a_job_judges_again_counts_once(store: Store) -> None:
    """Of each data set and model the newest; requests and streams add up."""
    findings, overview = Findings(store), Overview(store)

    def keep(n: int, flagged: int, judged: float, **more: Any) -> None:
        made = {"origin": "job", "model": "m", "version": 1, **more}
        findings.record(
            Judgement(
                source="s", items=[""] * n, scores=np.arange(n, dtype=float),
                severity=(np.arange(n) >= n - flagged).astype(int),
                at=NOW + np.arange(n) * 600.0, judged=judged, **made,
            )
        )  # fmt: skip

    def seen() -> list[tuple[int, int]]:
        (source,) = overview.sources()
        hours, listed = overview.rates("s"), rates(store, source="s", since=0, until=2 * NOW)
        day = overview.judged(NOW - 1)
        assert len({(hour["at"], hour["model"], hour["version"]) for hour in listed}) == len(listed)
        return [
            (source["rows"], source["flagged"]),
            (int(hours.rows.sum()), int(hours.flagged.sum())),
            (sum(hour["rows"] for hour in listed), sum(hour["flagged"] for hour in listed)),
            (day["rows"], day["flagged"]),
        ]

    keep(20, 2, NOW)
    assert seen() == [(20, 2)] * 4
    keep(12, 3, NOW + 1)  # fewer hours: none of the first stays
    assert seen() == [(12, 3)] * 4
    keep(12, 5, NOW + 2, version=2)
    assert seen() == [(12, 5)] * 4
    assert {v: one["rows"] for v, one in overview.record("m").items()} == {1: 12, 2: 12}
    keep(12, 1, NOW + 3, model=None, version=None)
    assert seen() == [(24, 6)] * 4, "another model's view is its own"
    keep(12, 2, NOW + 4, model=None, version=None)
    assert seen() == [(24, 7)] * 4
    for i in range(2):
        keep(5, 1, NOW + 5 + i, origin="stream", version=2)
    assert seen() == [(34, 9)] * 4
    keep(12, 4, NOW + 8)
    assert seen() == [(34, 8)] * 4, "the first version again, which is now the newest"
    keep(50, 50, NOW + 9, role="challenger")
    assert seen() == [(34, 8)] * 4


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60), st.integers(0, 60))
def test_sketches_add_up_and_keep_their_accuracy(values: list[float], cut: int) -> None:
    x = np.array(values)
    whole = Sketch.of(x)
    assert (Sketch.of(x[:cut]) + Sketch.of(x[cut:])).counts == whole.counts
    assert Sketch.load(whole.save()).counts == whole.counts
    for q in (0.0, 0.3, 0.5, 1.0):
        exact = float(np.quantile(x, q, method="lower"))
        assert whole.quantile(q) == pytest.approx(exact, rel=0.0101, abs=1.1e-12)
    groups = np.arange(len(x)) % 3
    for group, one in sketches(x, groups).items():
        assert one.counts == Sketch.of(x[groups == group]).counts


def test_what_is_too_old_is_deleted_and_nothing_else(settings: Settings, store: Store) -> None:
    day = 86_400.0
    findings = Findings(store)
    for age in (0, 10, 40, 400):
        findings.record(judged(found(1.0, 2.0, 3.0), at=NOW - age * day))
    with store.write() as connection:
        for event in connection.scalars(sa.select(events.c.id)).all():
            connection.execute(
                feedback.insert().values(event=event, verdict="confirmed", note="", by="x", at=NOW)
            )
    upkeep = Upkeep(store, settings)
    # 8 scores, 2 judgements, 1 event, its incident, the hour (found in the same second).
    assert upkeep.run(NOW) == 8 + 2 + 1 + 1 + 1
    left = (scores, judgements, events, incidents, feedback, score_rollups)
    assert [count(store, table) for table in left] == [8, 2, 3, 3, 3, 3]
    assert upkeep.run(NOW) == 0


def test_settings_of_retention_are_checked(tmp_path: Path) -> None:
    from awry.core.params import ParameterError

    with pytest.raises(ParameterError, match="AWRY_SCORES_DAYS"):
        Settings(home=tmp_path, scores_days=0)
