"""`awry remote` against a service that runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from tests.servers import awry_server, free_port, wait_until

pytest.importorskip("fastapi")

from awry.cli import main
from awry.ops.keys import Keys
from awry.ops.settings import Settings
from awry.ops.store import Store

rng = np.random.default_rng(0)
PAYMENTS = pa.table(
    {"amount": np.r_[rng.normal(50, 5, 299), 9000.0], "hour": rng.integers(8, 18, 300)}
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a service that wants keys, and one for each role."""
    home = tmp_path_factory.mktemp("home")
    store = Store(Settings(home=home))
    keys = {role: Keys(store).create(role, role) for role in ("read", "write", "admin")}
    store.close()
    with awry_server(
        home=home,
        require_key=True,
        rate=1e6,
        burst=10**6,
        poll_seconds=0.02,
        max_rows=1_000,
        alert_seconds=0.2,
    ) as url:
        yield url, keys


@pytest.fixture
def files(tmp_path: Path) -> Path:
    csv.write_csv(PAYMENTS, tmp_path / "payments.csv")
    return tmp_path


@pytest.fixture
def run(
    service: tuple[str, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs a command with the key of a role; its exit code and what it wrote."""
    monkeypatch.setenv("AWRY_URL", service[0])

    def call(*words: object, role: str = "admin") -> tuple[int, str, str]:
        monkeypatch.setenv("AWRY_KEY", service[1][role])
        with pytest.raises(SystemExit) as ended:
            main(["remote", *map(str, words)])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return call


def answer(found: tuple[int, str, str]) -> Any:
    code, out, err = found
    assert (code, err) == (0, ""), (out, err)
    return json.loads(out)


def test_from_a_file_to_feedback(run: Run, files: Path) -> None:
    assert run("upload", "payments", files / "payments.csv") == (
        0, "payments: 300 rows, 2 columns\n", "",
    )  # fmt: skip
    (dataset,) = answer(run("datasets", "--json", role="read"))
    assert (dataset["name"], dataset["rows"]) == ("payments", 300)
    columns = answer(run("stats", "payments", "--json"))["columns"]
    assert [c["name"] for c in columns] == ["amount", "hour"]
    assert "amount" in run("stats", "payments")[1]

    for version in (1, 2):
        code, out, _ = run("train", "fraud", "payments", "--method", "mcd", "--wait")
        assert (code, out) == (0, f"fraud has version {version}\n")
    assert answer(run("models", "--json"))[0]["champion"] == 1
    assert run("promote", "fraud", 2)[1] == "version 2 of fraud is in charge\n"
    assert answer(run("models", "fraud", "--json"))["version"] == 2
    assert run("rollback", "fraud")[1] == "version 1 of fraud is in charge\n"
    assert "mcd" in run("models", "fraud", "--version", 2)[1]

    scored = files / "scored.parquet"
    asked = ("--dataset", "payments", "--model", "fraud")
    found = answer(run("detect", *asked, "-o", scored, "--top", 3, "--json"))
    assert found["rows"] == parquet.read_metadata(scored).num_rows == 300
    assert found["flagged"] >= 1
    assert found["top"][0]["row"] == 300, "the planted one has the highest score"
    assert sorted(p.name for p in files.iterdir()) == ["payments.csv", "scored.parquet"]
    first = answer(run("jobs", "--limit", 1, "--json"))[0]
    assert (first["kind"], first["state"]) == ("detect", "done")
    assert answer(run("jobs", first["id"], "--json")) == first
    assert first["id"] in run("jobs")[1]

    event = answer(run("events", "--source", "payments", "--severity", "warning", "--json"))[0]
    assert "amount" in run("events", event["id"])[1]
    assert run("feedback", event["id"], "false_alarm", "--note", "a sale")[1] == (
        f"event {event['id']} is false alarm: resolved\n"
    )
    told = answer(run("events", event["id"], "--json"))
    assert told["feedback"][0]["note"] == "a sale"
    left = answer(run("events", "--status", "open", "--limit", 1000, "--json"))
    assert event["id"] not in [one["id"] for one in left]


def test_rows_of_a_file_are_sent_in_pieces(run: Run, files: Path) -> None:
    """More rows than one request may have, with times, which JSON has not."""
    n = 2_500
    rows = pa.table({
        "amount": np.r_[rng.normal(50, 5, n - 1), 9000.0],
        "at": pa.array(np.arange(n) * 10**9, pa.timestamp("ns")),
    })  # fmt: skip
    parquet.write_table(rows, files / "many.parquet")
    run("upload", "many", files / "many.parquet")
    run("train", "many", "many", "--method", "mcd", "--ignore", "at", "--wait")
    asked = ("detect", files / "many.parquet", "--model", "many")
    found = answer(run(*asked, "--json", role="read"))
    assert (found["rows"], found["top"][0]["row"]) == (n, n)
    assert found["top"][0]["reasons"][0]["column"] == "amount"
    code, out, _ = run(*asked, "--fail-on-anomaly")
    assert code == 1
    assert f"of {n:,} rows flagged" in out
    assert "9,000" in out


def test_what_the_service_refuses_is_told_in_a_line(run: Run, files: Path) -> None:
    (files / "junk.parquet").write_bytes(b"PAR1")
    run("upload", "refused", files / "payments.csv")
    for code, words, asked in [
        (2, "there is no data set 'none'", ("stats", "none")),
        (2, "there is no detector 'magic'", ("train", "m", "refused", "--method", "magic")),
        (2, "model 'none'", ("promote", "none", 99)),
        (2, "already", ("upload", "refused", files / "payments.csv")),
        (2, "file:", ("upload", "junk", files / "junk.parquet")),
        (2, "one of the two", ("detect",)),
        (2, "is for the rows of a --dataset", ("detect", "x.csv", "-o", files / "o.parquet")),
        (2, "give its ID", ("jobs", "--wait")),
        (2, "there is no job", ("jobs", "0" * 32)),
    ]:
        got, out, err = run(*asked)
        assert (got, out) == (code, ""), asked
        assert words in err, asked
        assert err.startswith("awry: ")
        assert err.count("\n") == 1
    assert "role admin" in run("promote", "none", 1, role="read")[2]
    assert "key" in run("--key", "awry_wrong", "datasets")[2]


def test_a_service_that_is_not_there_is_worth_trying_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run("--url", f"http://127.0.0.1:{free_port()}", "datasets")
    assert (code, out) == (3, "")
    assert "does not answer" in err
    assert run("ready")[0] == 0

    def gone(self: Store) -> None:
        raise OSError("gone")

    monkeypatch.setattr(Store, "ping", gone)
    code, out, _ = run("ready", "--json")
    assert code == 3
    assert json.loads(out)["status"] == "ok", "the process lives"
    assert json.loads(out)["dependencies"]["database"]["error"] == "OSError"


def test_a_version_is_tried_and_compared(run: Run, files: Path) -> None:
    run("upload", "tried", files / "payments.csv")
    for _ in range(2):
        run("train", "trial", "tried", "--method", "mcd", "--wait")
    assert run("shadow", "trial", 2)[1] == (
        "version 2 of trial is tried in the shadow beside version 1\n"
    )
    assert answer(run("ab", "trial", 2, 0.25, "--key", "hour", "--json"))["stage"] == "ab"
    assert "on 0.25 of requests" in run("challenger", "trial")[1]
    run("detect", files / "payments.csv", "--model", "trial")
    assert "version 1" in run("comparison", "trial")[1]
    assert answer(run("comparison", "trial", "--json"))["challenger"] == 2
    assert run("challenger", "trial", "--end")[1] == "no version of trial is tried\n"
    assert run("challenger", "trial")[0] == 2

    labelled = PAYMENTS.append_column("label", pa.array([0] * 299 + [1])).slice(200)
    csv.write_csv(labelled, files / "golden.csv")
    found = answer(run("golden", "trial", files / "golden.csv", "--json", role="write"))
    assert (found["rows"], found["anomalies"], found["recall"]) == (100, 1, 1.0)
    assert run("golden", "trial", files / "golden.csv", "--label", "hour2")[0] == 2
    assert answer(run("golden", "trial", "--clear", "--json"))["rows"] == 0


def test_drift_and_retraining(run: Run, files: Path) -> None:
    moved = PAYMENTS.set_column(0, "amount", pa.array(PAYMENTS["amount"].to_numpy() + 500.0))
    csv.write_csv(moved, files / "moved.csv")
    for name, file in (("before", "payments.csv"), ("after", "moved.csv")):
        run("upload", name, files / file)
    run("train", "watched", "before", "--method", "mcd", "--wait")
    for against in (("--reference", "before"), ("--model", "watched")):
        (report,) = answer(run("drift", "after", *against, "--wait", "--json"))
        assert report["drifted"]
    assert "amount" in run("drift", "after")[1]
    assert answer(run("drift", "after", "--steady", "--json")) == []
    assert len(answer(run("drift", "after", "--json"))) == 2

    made = answer(run("policies", "watched", "-p", "every_hours=12", "--json"))
    assert (made["policy"]["every_hours"], made["enabled"]) == (12, True)
    off = answer(run("policies", "watched", "--off", "--json"))
    assert (off["policy"], off["enabled"]) == (made["policy"], False)
    assert [one["model"] for one in answer(run("policies", "--json"))] == ["watched"]
    assert "every_hours" in run("policies", "watched", "-p", "every_hours=0")[2]
    assert run("retrain", "watched", role="write")[1].startswith("job ")
    assert run("policies", "watched", "--remove")[1] == "watched has no policy any more\n"
    assert answer(run("policies", "--json")) == []


def test_what_was_found_is_asked_about(run: Run, files: Path) -> None:
    run("upload", "asked", files / "payments.csv")
    run("train", "judge", "asked", "--method", "mcd", "-t", "0.02", "--wait")
    run("detect", "--dataset", "asked", "--model", "judge")
    (oddest, *_) = answer(run("anomalies", "--source", "asked", "--json"))
    assert oddest["model"] == "judge"
    assert "asked" in run("incidents", "--source", "asked")[1]
    assert "job" not in run("rates", "asked")[1]
    (hour,) = answer(run("rates", "asked", "--json"))
    assert hour["rows"] == 300
    assert answer(run("rates", "asked", "--now", 5, "--json"))["rows"] == 0, "no requests"

    state = answer(run("review", "judge", "--json", role="read"))
    first, left = state["question"]["id"], state["left"]
    assert state["question"]["reasons"][0]["column"] == "amount", "the planted one"
    state = answer(run("review", "judge", first, "confirmed", "--note", "theft", "--json"))
    assert (state["confirmed"], state["left"]) == (1, left - 1)
    assert state["question"]["id"] != first
    assert f"1 confirmed, 0 false alarms, {left - 1} left" in run("review", "judge")[1]
    assert "ID and a verdict" in run("review", "judge", first)[2]
    assert answer(run("counts", "--source", "asked", "--json"))["verdict"] == {"confirmed": 1}
    assert run("status", first, "resolved")[1] == f"event {first} is resolved\n"
    assert run("picture", first, "-o", files / "it.svg")[0] == 0
    assert "<svg" in (files / "it.svg").read_text()

    told = answer(run("threshold", "judge", "--rate", 0.1, "--json"))
    assert told["marks"] == 1
    assert run("threshold", "judge", "--rate", 0.1, "--apply")[1].startswith("judge has version 2")

    assert run("delete", "asked")[1] == "asked is deleted\n"
    assert run("datasets", "asked")[0] == 2


def test_rules_and_alerts(run: Run, files: Path) -> None:
    file = files / "rules.json"
    rule = {"name": "odd", "kind": "event", "at_least": "warning"}
    file.write_text(json.dumps({"rules": [rule]}))
    (made,) = answer(run("rules", file, "--json"))
    assert made["name"] == "odd"
    file.write_text(json.dumps([made | {"severity": "critical"}]))
    assert "critical" in run("rules", file)[1], "what --json prints is taken back"
    assert answer(run("rules", "--json", role="read"))[0]["severity"] == "critical"

    file.write_text(json.dumps([rule | {"window": -1}]))
    code, _, err = run("rules", file)
    assert (code, "rules.0.window: " in err) == (2, True), err
    file.write_text("{")
    assert "is no JSON" in run("rules", file)[2]
    file.write_text("[]")
    assert "role admin" in run("rules", file, role="read")[2]

    run("upload", "alarming", files / "payments.csv")
    run("detect", "--dataset", "alarming", "--method", "mcd")
    wait_until(lambda: bool(answer(run("alerts", "--state", "firing", "--json"))))
    alert = answer(run("alerts", "--rule", "odd", "--json"))[0]
    assert "odd" in run("alerts", "--severity", "warning")[1]
    assert run("acknowledge", alert["id"])[1].startswith(f"alert {alert['id']} is seen to by ")
    assert answer(run("deliveries", "--json")) == [], "there are no sinks"
    done = [one["action"] for one in answer(run("audit", "--limit", 5, "--json"))]
    assert "acknowledge" in done
