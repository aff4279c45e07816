"""Scores and events in a real InfluxDB 1.6, and in a receiver of version 2's form."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from awry.core.errors import DataError
from awry.ops.influx import Influx, InfluxMirror
from awry.ops.judgement import Found, Judgement
from awry.ops.line_protocol import apart, line, lines_of
from awry.ops.posting import RefusedError
from awry.ops.settings import Settings
from awry.ops.store import Store
from servers import ask_influx, free_port, influx_server, receiver, wait_until

NOW = 1_700_000_000.0
#: What names must come through as they are.
NASTY = [
    "plain", "a b", "a,b", "a=b", 'say "so"', "back\\slash", "a\\,b", "a\\=b", "a\\ b", "é ☃", "#x",
    " edge ", "tab\there", "'", "100%",
]  # fmt: skip


def without(name: str) -> str:
    """What there is a form for in names of fields and measurements."""
    return re.sub(r"\\(?=[,= ])", "", name)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with influx_server() as port:
        ask_influx(port, "CREATE DATABASE d")
        yield port


def judged(n: int = 4, **about: Any) -> Judgement:
    scores = np.arange(n, dtype=float)
    severity = (scores == n - 1).astype(np.int64)
    made = {
        "source": "s 1", "origin": "request", "items": [f"r{i}" for i in range(n)],
        "scores": scores, "severity": severity, "at": np.full(n, NOW), "model": "m", "version": 3,
        "judged": NOW,
    } | about  # fmt: skip
    return Judgement(**made)


def event(**about: Any) -> Found:
    made = {
        "first": 3, "last": 3, "peak": 3, "score": 3.5, "severity": 2, "size": 1,
        "start": NOW, "end": NOW + 1, "key": "web, 1", "words": 'x = 3 instead of "1"\nand more',
        "item": "r3",
    } | about  # fmt: skip
    return Found(**made)


def test_every_name_and_text_comes_back_as_it_was(port: int) -> None:
    influx = Influx(f"http://127.0.0.1:{port}/d", {})
    strings = [*NASTY, "two\nlines", "ends in \\", '\\"']
    lines = [line("nasty", {"tag": text}, {"n": i}, i) for i, text in enumerate(NASTY)]
    lines += [line("strings", {}, {"text": text}, i) for i, text in enumerate(strings)]
    lines += [line("fnames", {}, {text: 1.0}, 1) for text in NASTY]
    lines += [line("tnames", {text: "v"}, {"x": True}, i) for i, text in enumerate(NASTY)]
    measured = [text for text in NASTY if not text.startswith("#")]  # a comment, to 1.6
    lines += [line(f"in {text}", {}, {"x": 1.0}, 1) for text in measured]
    influx.write(lines)
    [series] = ask_influx(port, 'SELECT n, "tag" FROM nasty')
    assert [row[1:] for row in series["values"]] == [[i, text] for i, text in enumerate(NASTY)]
    [series] = ask_influx(port, "SELECT text FROM strings")
    assert [row[1] for row in series["values"]] == strings
    [series] = ask_influx(port, "SHOW FIELD KEYS FROM fnames")
    assert {row[0] for row in series["values"]} == set(map(without, NASTY))
    [series] = ask_influx(port, "SHOW TAG KEYS FROM tnames")
    assert {row[0] for row in series["values"]} == set(NASTY)
    [series] = ask_influx(port, "SHOW MEASUREMENTS")
    assert {f"in {without(text)}" for text in measured} <= {row[0] for row in series["values"]}
    influx.ping()
    influx.close()


@given(st.text(), st.text(min_size=1), st.text())
def test_a_line_stays_one_line(measurement: str, tag: str, text: str) -> None:
    made = line("m" + measurement, {"t" + tag: text, "empty": "", "none": None}, {"x": 1}, 5)
    assert "\n" not in made
    assert made.encode()
    assert "empty" not in made.replace(text, "") or "empty" in tag + measurement
    assert made.endswith(" x=1i 5")


def test_what_is_not_finite_is_never_sent(port: int) -> None:
    assert line("m", {}, {"x": math.nan, "y": math.inf}, 1) == ""
    assert line("m", {}, {"x": np.float64("nan"), "y": np.float32(2)}, 1) == "m y=2.0 1"
    scores = np.array([1.0, np.nan, np.inf, -np.inf])
    made = judged(4, scores=scores, source="finite")
    assert len(list(lines_of(made))) == 1
    assert not any("nan" in text or "inf" in text for text in lines_of(made))


@given(st.lists(st.sampled_from([0.0, 1.5, 1e9, 1e9 + 1e-6, -3.0]), max_size=30))
def test_points_of_one_moment_are_told_apart(at: list[float]) -> None:
    found = apart(np.array(at))
    assert len(set(found.tolist())) == len(at)
    assert np.abs(found / 1e9 - np.array(at)).max(initial=0.0) <= 1e-6


def test_a_judgement_is_all_there(port: int) -> None:
    made = judged(source="whole", events=[event(), event(start=NOW, item="r9")])
    kept = judged(source="kept", kept=np.array([False, False, True, True]))
    beside = judged(source="beside", role="challenger", events=[event()])
    mirror = InfluxMirror(Influx(f"http://127.0.0.1:{port}/d", {}))
    mirror.start()
    for one in (made, kept, beside, made):  # a point written again replaces itself
        mirror.hear(one)
    mirror.close()
    assert mirror.lost == 0
    [series] = ask_influx(
        port,
        "SELECT item, score, anomaly, severity, model, version FROM awry_scores "
        "WHERE source = 'whole' ORDER BY time",
    )
    assert [row[1:] for row in series["values"]] == [
        ["r0", 0, False, "none", "m", "3"], ["r1", 1, False, "none", "m", "3"],
        ["r2", 2, False, "none", "m", "3"], ["r3", 3, True, "warning", "m", "3"],
    ]  # fmt: skip
    assert series["values"][0][0] == int(NOW * 1e9)
    [series] = ask_influx(port, "SELECT item FROM awry_scores WHERE source = 'kept'")
    assert [row[1] for row in series["values"]] == ["r2", "r3"]
    [series] = ask_influx(port, 'SELECT "key", item, words, severity, "end" FROM awry_events')
    assert [row[1:] for row in series["values"]] == [
        ["web, 1", item, 'x = 3 instead of "1"\nand more', "critical", NOW + 1]
        for item in ("r3", "r9")
    ]


def test_what_waits_is_written_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    mirror = InfluxMirror(Influx(f"http://127.0.0.1:{port}/d", {}), pause=0.05, most=20)
    mirror.start()
    mirror.hear(judged(source="a"))
    wait_until(lambda: bool(caplog.records))
    with pytest.raises(ConnectionError):
        mirror.check()
    for _ in range(7):  # room for five of them
        mirror.hear(judged(4, source="b"))
    assert mirror.lost == 8, "of more than can wait the newest are counted and dropped"
    with influx_server(port, tmp_path):
        # It runs, but the database is not made yet: that is no reason to drop a point.
        wait_until(lambda: "not found" in mirror._trouble)
        lost = mirror.lost
        ask_influx(port, "CREATE DATABASE d")
        wait_until(lambda: not mirror._trouble)
        mirror.check()
        mirror.close()
        assert mirror.lost == lost
        [series] = ask_influx(port, "SELECT count(score) FROM awry_scores WHERE source = 'a'")
        assert series["values"][0][1] == 4
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2, "that it is gone, and that it is back"


def test_version_2_and_3() -> None:
    with receiver() as far:
        known = {
            "AWRY_INFLUX_TOKEN": "secret", "AWRY_INFLUX_ORG": "o 1", "AWRY_INFLUX_BUCKET": "b&1",
        }  # fmt: skip
        far.answers = [503, 429]
        mirror = InfluxMirror(Influx(f"http://127.0.0.1:{far.port}", known), pause=0.01)
        mirror.start()
        mirror.hear(judged())
        wait_until(lambda: len(far.got) == 3)
        mirror.close()
        influx = Influx(f"http://127.0.0.1:{far.port}/org/bucket", {})
        influx.write(["m x=1 1"])
        influx.close()
    path, headers, body = far.got[2]
    assert path == "/api/v2/write?org=o+1&bucket=b%261&precision=ns"
    assert headers["Authorization"] == "Token secret"
    assert body.decode().splitlines() == list(lines_of(judged()))
    assert far.got[0][2] == body, "what was not taken is sent again as it was"
    assert far.got[3][0] == "/api/v2/write?org=org&bucket=bucket&precision=ns"
    assert "Authorization" not in far.got[3][1]


def test_points_that_are_refused_are_dropped_and_those_after_written() -> None:
    with receiver() as far:
        far.answers = [400]
        mirror = InfluxMirror(Influx(f"http://127.0.0.1:{far.port}/d", {}), pause=0.01)
        mirror.start()
        mirror.hear(judged(source="wrong"))
        wait_until(lambda: mirror.lost == 4)
        mirror.hear(judged(source="right"))
        mirror.close()
    assert [b"right" in body for _, _, body in far.got] == [False, True]


def test_large_judgements_go_in_several_requests() -> None:
    with receiver() as far:
        mirror = InfluxMirror(Influx(f"http://127.0.0.1:{far.port}/d", {}))
        mirror.start()
        mirror.hear(judged(12_000))
        mirror.close()
    assert [body.count(b"\n") + 1 for _, _, body in far.got] == [5_000, 5_000, 2_000]


def test_who_writes_is_told_by_name_or_token() -> None:
    with receiver() as far:
        url = f"http://127.0.0.1:{far.port}/d"
        influx = Influx(url, {"AWRY_INFLUX_USER": "me", "AWRY_INFLUX_PASSWORD": "x:y"})
        influx.write(["m x=1 1"])
        influx.close()
        Influx(f"http://127.0.0.1:{far.port}", {}).write(["m x=1 1"])
        far.answers = [401]
        with pytest.raises(RefusedError, match="answers 401"):
            Influx(url, {}).write(["m x=1 1"])
    assert far.got[0][1]["Authorization"] == "Basic bWU6eDp5"
    assert far.got[1][0] == "/write?db=awry&precision=ns"


@pytest.mark.parametrize("url", ["http://host/a/b/c", "ftp://host/d", "nonsense", "http://h:x/d"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises((DataError, ValueError)):
        Influx(url, {})


def test_findings_are_heard_of_once_they_are_kept(tmp_path: Path) -> None:
    from awry.ops.findings import Findings

    store = Store(Settings(home=tmp_path))
    findings, heard = Findings(store), []
    findings.heard.append(heard.append)
    findings.record(judged())
    assert len(heard) == 1

    def fail() -> None:
        with store.write() as connection:
            findings.record(judged(), connection)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(heard) == 1, "what is not kept is not told"
    with store.write() as connection:
        for _ in range(2):
            findings.record(judged(), connection)
        assert len(heard) == 1
    assert len(heard) == 3
    store.close()
