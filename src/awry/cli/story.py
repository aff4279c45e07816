"""What `awry demo` tells: from four data sets to a model that is rolled back, one step each.

Each step is a function of the :class:`Stage`, does one thing through the client, and says what came
of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click
import pandas as pd

from awry.cli.children import Children, free_port
from awry.cli.view import table
from awry.client import Client
from awry.data.generate import LABELS, NAMES, generate

#: Rows of each data set, rows that come by the stream before the attack, and rows of the attack.
ROWS, QUIET, ATTACK = 3_000, 800, 150
#: Which data set the stream goes on with, and the model that judges both.
WORLD, MODEL, STREAM = "financial_transactions", "payments", "payments-live"
#: The payments of a later time, and how many of them two versions judge side by side.
LATER, TRIED = "financial_transactions_later", 1_000
#: How thieves spend: kinds of that world's anomalies.
THIEVES = ["large_amount", "impossible_travel"]
#: By how much prices rise, which makes yesterday's model wrong.
INFLATION = 4.0


@dataclass
class Stage:
    """Where it is told: a folder, a service, a client of it and the programs that run."""

    folder: Path
    home: Path
    client: Client
    children: Children
    metrics: int = 0
    live: pd.DataFrame = field(default_factory=pd.DataFrame)
    number: int = 0

    def say(self, title: str, *lines: str) -> None:
        """Tell of a step."""
        self.number += 1
        click.secho(f"\n{self.number}. {title}", bold=True)
        for line in lines:
            click.echo(f"   {line}")

    def wait(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job when it is done."""
        return self.client.wait(job["id"], every=0.05)


def environment(inherited: dict[str, str], home: Path, folder: Path, port: int) -> dict[str, str]:
    """The environment of a service with embedded defaults: nothing of another one's."""
    plain = {name: value for name, value in inherited.items() if not name.startswith("AWRY_")}
    return plain | {
        "AWRY_HOME": str(home),
        "AWRY_PORT": str(port),
        "AWRY_POLL_SECONDS": "0.1",
        "AWRY_ALERT_SECONDS": "0.5",
        "AWRY_ALERT_SINKS": f"file={(folder / 'alerts.jsonl').as_uri()}",
    }


def upload_and_train(stage: Stage) -> None:
    """Make the four data sets, and a model of each."""
    rows = []
    names = {name: MODEL if name == WORLD else name.replace("_", "-") for name in NAMES}
    for name in NAMES:
        stage.client.upload(name, _write(stage, name, generate(name, ROWS, seed=1)))
    jobs = {
        model: stage.client.train(model, name, method="isolation_forest", **{"as": "table"})
        for name, model in names.items()
    }
    for model, job in jobs.items():
        stage.wait(job)
        found = stage.client.model(model)
        rows.append([model, found["version"], found["method"], found["rows"], found["threshold"]])
    stage.say(
        "Four data sets are made and uploaded, and a model learns what is normal in each",
        f"files: {stage.folder}/*.parquet",
    )
    table(["model", "version", "method", "rows", "threshold"], rows)


def judge(stage: Stage) -> None:
    """Judge a data set whole."""
    name = "network_traffic"
    done = stage.wait(stage.client.detect_batch(name, model="network-traffic"))
    found = done["result"]
    lines = [f"{found['flagged']:,} of {found['rows']:,} flows are flagged; the gravest events:"]
    events = sorted(stage.client.events(source=name), key=lambda e: -e["score"])[:3]
    lines += [f"  event {e['id']}: {e['severity']}, {e['summary'][:90]}" for e in events]
    stage.say(f"The data set {name} is judged", *lines)


def start_stream(stage: Stage) -> None:
    """Let a worker judge payments as they come."""
    stage.live = generate(WORLD, 2 * QUIET, seed=2, anomaly_rate=0.2, kinds=THIEVES)
    stage.metrics = free_port()
    feed = stage.folder / "payments.jsonl"
    feed.write_bytes(b"")
    stage.children.start(
        "stream", "stream", "--from", feed.as_uri(), "--model", MODEL, "--name", STREAM,
        "--to", f"sqlite:///{stage.home / 'awry.db'}",
        "--every", "0.1", "--metrics-port", str(stage.metrics), "-q",
    )  # fmt: skip
    calm = stage.live[stage.live["is_anomaly"] == 0][:QUIET]
    _feed(feed, calm)
    stage.children.wait_for(lambda: _judged(stage) >= len(calm), "judged payments")
    events = _events(stage)
    stage.say(
        "A worker judges payments as they come",
        f"{_judged(stage):,} payments are judged, {len(events)} events among them",
        f"awry stream --from {feed.as_uri()} --model {MODEL} --name {STREAM} …",
    )


def attack(stage: Stage) -> None:
    """Plant what thieves do with stolen cards, and wait until somebody is told."""
    rule: dict[str, Any] = {
        "name": "stolen-cards", "kind": "rate", "source": STREAM, "window": 60.0, "least": 50,
        "threshold": 0.05, "severity": "critical", "cooldown": 60.0,
    }  # fmt: skip
    stage.client.set_alert_rules([rule])
    stolen = stage.live[stage.live["is_anomaly"] == 1][:ATTACK]
    before = {event["id"] for event in _events(stage)}
    _feed(stage.folder / "payments.jsonl", stolen)
    told = stage.folder / "alerts.jsonl"
    (alert,) = stage.children.wait_for(
        lambda: list(islice(stage.client.alerts(state="firing", rule=rule["name"]), 1)),
        "alert",
    )
    stage.children.wait_for(lambda: rule["name"] in told.read_text(), "told alert")
    new = [event for event in _events(stage) if event["id"] not in before]
    flagged = sum(event["items"] for event in new)
    stage.say(
        f"Thieves use stolen cards: {len(stolen)} payments, dear and far from home",
        f"{flagged} of them are flagged, as {len(new)} events",
        f"alert {alert['id']}: {alert['severity']}, {alert['summary']}",
        f"told to: {told}",
    )


def give_feedback(stage: Stage) -> None:
    """Confirm the gravest event, and say of another that it was nothing."""
    events = sorted(_events(stage), key=lambda event: -event["score"])
    lines = []
    for event, verdict, note in (
        (events[0], "confirmed", "cards were stolen"),
        (events[-1], "false_alarm", "the customer was asked"),
    )[: len(events)]:
        made = stage.client.feedback(event["id"], verdict, note=note)
        lines.append(f"event {event['id']} is {verdict.replace('_', ' ')}: {made['status']}")
    stage.say("A person looks, and says what the events were", *lines)


def prices_rise(stage: Stage) -> None:
    """Show what drifted, and that the model is wrong now."""
    new = generate(WORLD, ROWS, seed=3)
    new["amount"] = (new["amount"] * INFLATION).round(2)
    stage.client.upload(LATER, _write(stage, LATER, new))
    stage.wait(stage.client.compare_drift(LATER, model=MODEL))
    found = next(stage.client.drift(LATER))["report"]
    moved = [one for one in found["features"] if one["drifted"]]
    stage.say(
        f"Prices rise to {INFLATION:g} times what they were: {len(moved)} of "
        f"{len(found['features'])} columns drifted",
        *(f"{one['feature']}: {one['change']}" for one in moved[:3]),
    )


def retrain(stage: Stage) -> None:
    """Learn anew, try the new version unseen, and put it in charge."""
    job = stage.client.train(MODEL, LATER, method="isolation_forest", **{"as": "table"})
    version = stage.wait(job)["result"]["version"]
    stage.client.shadow(MODEL, version)
    rows = pd.read_parquet(stage.folder / f"{LATER}.parquet")[:TRIED].astype({"timestamp": str})
    stage.client.detect(json.loads(rows.to_json(orient="records")), model=MODEL)
    stage.children.wait_for(lambda: stage.client.comparison(MODEL)["rows"] >= TRIED, "comparison")
    rates = stage.client.comparison(MODEL)["alert_rate"]
    before, after = (rates[which]["value"] for which in ("champion", "challenger"))
    stage.client.promote(MODEL, version)
    stage.say(
        "The model learns from what is normal now, and is tried unseen before it answers",
        f"of {TRIED:,} new payments, version 1 flags {before:.1%} and version {version} "
        f"{after:.1%}",
        f"version {stage.client.model(MODEL)['version']} is in charge",
    )


def roll_back(stage: Stage) -> None:
    """Take it back."""
    made = stage.client.rollback(MODEL)
    done = [f"{e['action']} {e['object']} by {e['by']}" for e in islice(stage.client.audit(), 3)]
    stage.say(
        "That was too soon: one call takes it back",
        f"version {made['version']} is in charge again",
        f"the audit log holds it: {'; '.join(done)}",
    )


#: The story, in its order.
STEPS: Sequence[Callable[[Stage], None]] = (
    upload_and_train, judge, start_stream, attack, give_feedback, prices_rise, retrain, roll_back,
)  # fmt: skip


def clear(home: Path) -> None:
    """Remove what an earlier demo left, if that is what is there."""
    if (home / "awry.db").exists():
        shutil.rmtree(home)


def _write(stage: Stage, name: str, rows: pd.DataFrame) -> Path:
    """Keep rows as a file, without the truth: that is not known in life."""
    path = stage.folder / f"{name}.parquet"
    rows.drop(columns=list(LABELS)).to_parquet(path)
    return path


def _feed(path: Path, rows: pd.DataFrame) -> None:
    """Let payments happen: lines at the end of a file."""
    plain = rows.drop(columns=list(LABELS)).astype(object).where(rows.notna(), None)
    with path.open("a", encoding="utf-8") as file:
        for row in plain.to_dict("records"):
            file.write(json.dumps(row, default=str) + "\n")


def _judged(stage: Stage) -> int:
    """Payments the worker has judged, as it tells Prometheus."""
    import httpx2

    try:
        text = httpx2.get(f"http://127.0.0.1:{stage.metrics}/metrics").text
    except httpx2.TransportError:  # it is not up yet
        return 0
    counts = [line for line in text.splitlines() if line.startswith("awry_stream_events_total")]
    return sum(int(float(line.split()[-1])) for line in counts)


def _events(stage: Stage) -> list[dict[str, Any]]:
    return list(stage.client.events(source=STREAM))
