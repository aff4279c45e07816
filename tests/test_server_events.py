"""Anomalies, events, incidents and feedback over HTTP, on SQLite and on PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awry.client import Client, ServiceError
from awry.ops.settings import Settings
from awry.server import create_app
from servers import drop_database, make_database
from test_server_api import LOCAL, csv, problem

HOUR = np.timedelta64(3600, "s")
START = np.datetime64("2024-03-01", "s")


def table() -> pa.Table:
    rng = np.random.default_rng(0)
    amount = rng.normal(50, 5, 300)
    amount[[100, 200]] = [900, 700]
    return pa.table({"amount": amount, "a<b>&c": rng.normal(0, 1, 300)})


def series() -> pa.Table:
    load = np.sin(np.arange(400) / 24 * 2 * np.pi)
    load[250:253] += 6
    return pa.table({"time": pa.array(START + np.arange(400) * HOUR), "load": load})


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def http(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    url = ""
    if request.param == "postgresql":
        url = make_database(request.getfixturevalue("postgres"))
    made = Settings(
        home=tmp_path_factory.mktemp("home"), database_url=url, rate=1e6, burst=10**6,
        poll_seconds=0.02,
    )  # fmt: skip
    with TestClient(create_app(made), LOCAL, raise_server_exceptions=False) as client:
        yield client
    if url:
        drop_database(url)


@pytest.fixture(scope="module")
def client(http: TestClient) -> Client:
    """A service that has judged a table by a model, and a series by itself."""
    made = Client(http=http)
    for name, data in (("payments", table()), ("load", series())):
        made.upload(name, io.BytesIO(csv(data)))
    trained = made.train("fraud", "payments", method="mcd", threshold=0.0075)
    assert made.wait(trained["id"], every=0.02)["state"] == "done"
    for job in (
        made.detect_batch("payments", model="fraud"),
        made.detect_batch("load", threshold=0.01),
    ):
        ended = made.wait(job["id"], every=0.02)
        assert ended["state"] == "done", ended
        assert ended["result"]["events"] >= 1
    return made


def test_a_batch_job_leaves_its_scores_events_and_incidents(client: Client) -> None:
    flagged = list(client.anomalies(source="payments"))
    assert {row["item"] for row in flagged} == {"101", "201"} | {row["item"] for row in flagged}
    assert all(row["model"] == "fraud" and row["version"] == 1 for row in flagged)
    assert all(row["score"] > row["threshold"] for row in flagged)
    job = next(job for job in client._send("GET", "/v1/jobs").json() if job["kind"] == "detect")
    events = list(client.events(source="payments", feature="amount"))
    best = max(events, key=lambda one: one["score"])
    assert (best["peak"], best["kind"], best["status"]) == ("101", "row", "open")
    assert best["reasons"][0]["column"] == "amount"
    (incident,) = client.incidents(source="payments")
    assert incident["events"] == len(list(client.events(incident=incident["id"])))
    assert job["result"]["rows"] in (300, 400)


def test_anomalies_are_those_of_the_events_that_are_asked_for(client: Client) -> None:
    for source, feature in (("payments", "amount"), ("load", "load")):
        everything = list(client.anomalies(source=source))
        spans = [(e["start"], e["end"]) for e in client.events(source=source)]
        inside = [r for r in everything if any(a <= r["at"] <= b for a, b in spans)]
        assert inside
        assert list(client.anomalies(source=source, status="open")) == inside
        assert list(client.anomalies(source=source, status="resolved")) == []
        assert list(client.anomalies(source=source, feature="nothing")) == []
        shown = list(client.anomalies(source=source, feature=feature, status="open"))
        assert shown
        filters = {"source": source, "feature": feature, "limit": 1}
        assert list(client._pages("/v1/anomalies", filters)) == shown
    rows = {row["item"] for row in client.anomalies(source="payments", feature="amount")}
    assert "101" in rows
    assert rows == {event["peak"] for event in client.events(source="payments", feature="amount")}
    best = next(e for e in client.events(source="payments") if e["peak"] == "101")
    client.set_status(best["id"], "acknowledged")
    try:
        seen = client.anomalies(source="payments", status="acknowledged")
        assert [row["item"] for row in seen] == ["101"]
    finally:
        client.set_status(best["id"], "open")


def test_a_series_tells_when_and_what(client: Client) -> None:
    (event, *_) = client.events(source="load", since="2024-03-11T00:00:00Z",
                                until="2024-03-12T00:00:00")  # fmt: skip
    assert event["start"] == pytest.approx(float((START + 250 * HOUR).astype(float)), abs=3600)
    assert event["summary"]
    assert list(client.events(source="load", since="2024-03-20T00:00:00Z")) == []
    hours = client.rates("load", since="2024-03-01", until="2024-03-20")
    assert (len(hours), sum(hour["rows"] for hour in hours)) == (400, 400)
    assert sum(hour["flagged"] for hour in hours) == len(list(client.anomalies(source="load")))


@pytest.mark.parametrize("source", ["payments", "load"])
def test_pictures_are_svg_that_shows_the_event(
    client: Client, http: TestClient, source: str
) -> None:
    event = max(client.events(source=source), key=lambda one: one["score"])
    answer = http.get(f"/events/{event['id']}/picture.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    root = ElementTree.fromstring(answer.text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    marks = [e.get("class", "") for e in root.iter("{http://www.w3.org/1999/xhtml}path")]
    marks += [e.get("class", "") for e in root.iter("{http://www.w3.org/2000/svg}path")]
    assert any(event["severity"] in mark for mark in marks), marks


def test_feedback_changes_status_and_counts_and_is_learnt_from(
    client: Client, http: TestClient
) -> None:
    events = sorted(client.events(model="fraud"), key=lambda one: -one["score"])[:2]
    before = client.event_counts("payments")["status"]["open"]
    told = client.feedback(events[0]["id"], "confirmed", note="a stolen card\n")
    assert (told["status"], told["verdict"]) == ("acknowledged", "confirmed")
    client.feedback(events[1]["id"], "confirmed")
    told = client.feedback(events[1]["id"], "false_alarm", note="a planned sale")
    assert (told["status"], told["verdict"]) == ("resolved", "false_alarm")
    assert [one["verdict"] for one in told["feedback"]] == ["confirmed", "false_alarm"]
    found = client.event_counts("payments")
    assert found["status"].get("open", 0) == before - 2
    assert found["verdict"] == {"confirmed": 1, "false_alarm": 1}
    known = http.app.state.service.feedback.labelled("fraud")  # type: ignore[attr-defined]
    by_score = dict(zip(known.scores.tolist(), known.verdicts.tolist(), strict=True))
    assert by_score == {events[0]["score"]: 1, events[1]["score"]: 0}
    assert known.features.shape == (2, len(known.names))
    assert (known.features[:, known.names.index("amount")] > 0.5).all()
    assert next(client.audit())["action"] == "feedback"


def test_an_incident_is_as_open_as_its_events(client: Client) -> None:
    (incident,) = client.incidents(source="load")
    for event in client.events(incident=incident["id"]):
        client.set_status(event["id"], "resolved")
    assert [one["id"] for one in client.incidents(source="load", status="resolved")] == [
        incident["id"]
    ]
    client.set_status(event["id"], "open")
    assert list(client.incidents(source="load", status="resolved")) == []


def test_what_was_done_is_written_down(client: Client, http: TestClient) -> None:
    client.upload("short-lived", io.BytesIO(b"a\n1\n2\n"))
    client.delete_dataset("short-lived")
    last = next(client.audit())
    assert (last["action"], last["object"], last["by"]) == (
        "delete", "data set short-lived", "local",
    )  # fmt: skip
    with pytest.raises(ServiceError, match="no data set"):
        client.stats("short-lived")


def test_statistics_of_a_data_set_are_whole(client: Client) -> None:
    found = client.stats("payments")
    amount, other = found["columns"]
    assert (amount["name"], amount["type"], amount["missing"]) == ("amount", "double", 0)
    assert (other["name"], amount["max"]) == ("a<b>&c", 900.0)
    assert sum(amount["histogram"]["counts"]) == 300
    assert len(amount["histogram"]["edges"]) == len(amount["histogram"]["counts"]) + 1
    values = np.array(table()["amount"])
    middle = amount["quantiles"]["0.5"] if isinstance(amount["quantiles"], dict) else None
    if middle is not None:
        assert middle == pytest.approx(np.median(values))


def test_pages_are_walked_to_their_end(client: Client, http: TestClient) -> None:
    whole = [one["id"] for one in http.get("/events").json()["rows"]]
    walked = [one["id"] for one in client.events(limit=1)]
    assert walked == whole
    assert len(whole) == len(set(whole)) >= 3


def test_what_is_wrong_is_said(client: Client, http: TestClient) -> None:
    assert problem(http.get("/events?cursor=nonsense"), 422)["field"] == "cursor"
    assert problem(http.get("/events?severity=mild"), 422)["field"] == "severity"
    assert problem(http.get("/events?source=%00"), 422)["field"] == "source"
    problem(http.get("/events/999999"), 404)
    problem(http.get("/events/99999999999999999999"), 422)
    problem(http.get("/events/999999/picture.svg"), 404)
    problem(http.post("/events/999999/feedback", json={"verdict": "confirmed"}), 404)
    body = {"verdict": "maybe"}
    assert problem(http.post("/events/1/feedback", json=body), 422)["field"] == "verdict"


_texts = st.text(max_size=12)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/anomalies", "/events", "/incidents", "/rates", "/audit"]),
    asked=st.dictionaries(
        st.sampled_from(
            ["source", "model", "severity", "status", "feature", "since", "until", "cursor",
             "limit", "incident"]
        ),
        _texts | st.integers().map(str) | st.floats().map(str)
        | st.sampled_from(["2024-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31", "open"]),
        max_size=4,
    ),
)  # fmt: skip
def test_no_question_breaks_it(
    http: TestClient, client: Client, path: str, asked: dict[str, str]
) -> None:
    answer = http.get(path, params=asked)
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        problem(answer, 422)


def test_roles(tmp_path: Any) -> None:
    with TestClient(
        create_app(Settings(home=tmp_path, require_key=True, workers=0)), LOCAL
    ) as http:
        keys = http.app.state.service.keys  # type: ignore[attr-defined]
        for role, expected in (
            ("read", (200, 403, 403, 403)),
            ("write", (200, 404, 404, 403)),
            ("admin", (200, 404, 404, 200)),
        ):
            heads = {"Authorization": f"Bearer {keys.create(role, role)}"}
            found = (
                http.get("/events", headers=heads),
                http.post("/events/1/feedback", json={"verdict": "confirmed"}, headers=heads),
                http.post("/events/1/status", json={"status": "open"}, headers=heads),
                http.get("/audit", headers=heads),
            )
            assert tuple(one.status_code for one in found) == expected
        actions = [row["action"] for row in http.get("/audit", headers=heads).json()["rows"]]
        assert actions == ["key"] * 3
