"""The page over HTTP: forms and their tokens, sessions and roles, and names that are meant ill."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from pyarrow import parquet

from awry.client import Client
from awry.ops import audit
from awry.ops.neighbours import normal_neighbours
from awry.ops.settings import Settings
from awry.server import create_app
from awry.server.pages.session import COOKIE, SECONDS, Session, Sessions, own_path
from servers import wait_until
from test_server_api import LOCAL, csv

HOSTILE = "<script>alert(1)</script>"
PATHS = ("/", "/page/data", "/page/events", "/page/review", "/page/models", "/page/jobs")


def table() -> pa.Table:
    rng = np.random.default_rng(0)
    amount = rng.normal(50, 5, 300).round(3)
    amount[[100, 200]] = [900, 700]
    kind = np.where(np.arange(300) % 3 == 0, f"{HOSTILE}\"'", "plain")
    return pa.table({"amount": amount, f"col{HOSTILE}": rng.normal(0, 1, 300), "kind": kind})


def page_of(home: Path, **more: Any) -> TestClient:
    made = Settings(home=home, rate=1e6, burst=10**6, poll_seconds=0.02, **more)
    return TestClient(create_app(made), LOCAL, raise_server_exceptions=False)


def token_in(text: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', text)
    assert found, text
    return found[1]


def send(http: TestClient, path: str, at: str = "/page/data", **values: Any) -> Any:
    """Send a form as the page at ``at`` would."""
    values["token"] = token_in(http.get(at).text)
    return http.post(path, data=values)


def sign_in(http: TestClient, key: str) -> Any:
    return send(http, "/page/login", "/page/login", key=key, next="/page/events?status=open")


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service on this machine that has judged a table by a model of two versions."""
    with page_of(tmp_path_factory.mktemp("home")) as client:
        made = Client(http=client)
        made.upload("payments", io.BytesIO(csv(table())))
        for method in ("mcd", "isolation_forest"):
            job = made.train("fraud", "payments", method=method, threshold=0.0075)
            assert made.wait(job["id"], every=0.02)["state"] == "done"
        job = made.detect_batch("payments", model="fraud")
        assert made.wait(job["id"], every=0.02)["result"]["events"] >= 1
        yield client


@pytest.fixture(scope="module")
def event(http: TestClient) -> dict[str, Any]:
    return max(Client(http=http).events(source="payments"), key=lambda one: one["score"])


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """A service that needs keys, and one of each role."""
    with page_of(tmp_path, require_key=True, workers=0) as client:
        keys = client.app.state.service.keys  # type: ignore[attr-defined]
        yield client, {role: keys.create(role, role) for role in ("read", "write", "admin")}


# -- what is shown --------------------------------------------------------------------------------


def test_every_page_is_whole_and_keeps_itself_safe(http: TestClient, event: dict[str, Any]) -> None:
    job = Client(http=http)._send("GET", "/v1/jobs").json()[0]["id"]
    more = ("/page/source?name=payments", "/page/models/fraud", f"/page/jobs/{job}",
            f"/page/events/{event['id']}")  # fmt: skip
    for path in (*PATHS, *more):
        answer = http.get(path)
        assert answer.status_code == 200, path
        rules = answer.headers["content-security-policy"]
        assert "script-src 'self';" in rules
        assert "unsafe-inline" not in rules.replace("style-src-attr 'unsafe-inline'", "")
        assert answer.headers["cache-control"] == "no-store"
        text = answer.text
        assert text.rstrip().endswith("</html>")
        assert text.count("<h1>") == 1, path
        assert '<a class="skip" href="#content">' in text
        assert not re.search(r"<script(?! src=)|<style|\son\w+=|src=\"http", text), path
        for address in re.findall(r'(?:href|src)="(/page/assets/[^"]+)"', text):
            assert http.get(address).status_code == 200


def test_hostile_names_and_values_are_text(http: TestClient, event: dict[str, Any]) -> None:
    for path in (*PATHS, "/page/source?name=payments", f"/page/events/{event['id']}"):
        assert "<script>alert" not in http.get(path).text
    assert "col&lt;script&gt;" in http.get(f"/page/events/{event['id']}").text
    assert "col&lt;script&gt;" in http.get("/page/source?name=payments").text
    refused = send(http, "/page/upload", name=HOSTILE)
    assert refused.status_code == 422
    assert "<script>alert" not in refused.text
    for path in (f"/page/source?name={HOSTILE}", f"/page/{HOSTILE}", f"/page/models/{HOSTILE}"):
        answer = http.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "<script>alert" not in answer.text
    assert send(http, f"/page/events/{event['id']}/feedback", verdict="confirmed",
                note=f"{HOSTILE}\0").status_code == 200  # fmt: skip
    said = http.get(f"/page/events/{event['id']}?done={HOSTILE}").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in said
    assert "<script>alert" not in said


def test_an_event_tells_why_and_shows_normal_rows(http: TestClient, event: dict[str, Any]) -> None:
    text = http.get(f"/page/events/{event['id']}").text
    assert event["peak"] == "101"
    assert "unusual amount" in text
    assert 'role="img"' in text
    shown = [int(n) for n in re.findall(r'<th scope="col">Row (\d+)</th>', text)]
    flagged = {int(row["item"]) for row in Client(http=http).anomalies(source="payments")}
    assert len(shown) == 4
    assert not flagged & set(shown)


@pytest.mark.parametrize("group", [1, 2, 6])
def test_the_nearest_by_gower_are_those_a_person_would_count(tmp_path: Path, group: int) -> None:
    rows = {
        "x": [0.0, 9.0, 1.0, 2.0, None, 10.0],
        "kind": ["a", "a", "a", "b", "a", None],
    }
    parquet.write_table(pa.table(rows), tmp_path / "t.parquet", row_group_size=group)
    low, high = np.nanquantile([0, 9, 1, 2, 10.0], [0.01, 0.99])
    gap = [abs(x / (high - low)) if x is not None else 1.0 for x in rows["x"]]  # type: ignore[operator]
    other = [0.0 if kind == "a" else 1.0 for kind in rows["kind"]]
    expected = {i + 1: (min(gap[i], 1.0) + other[i]) / 2 for i in range(6)}
    found = normal_neighbours(tmp_path / "t.parquet", 1, np.array([2]), count=9)
    assert {one["row"]: pytest.approx(one["distance"]) for one in found} == {
        n: expected[n] for n in (3, 4, 5, 6)
    }
    assert found[0]["row"] == 3
    assert found[0]["cells"] == {"x": "1.0", "kind": "a"}


def test_of_many_rows_parts_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(1000.0)
    parquet.write_table(pa.table({"x": values}), tmp_path / "t.parquet", row_group_size=10)
    monkeypatch.setattr("awry.ops.neighbours._READ", 100)
    found = normal_neighbours(tmp_path / "t.parquet", 556, np.array([555, 557]), count=2000)
    rows = [one["row"] for one in found]
    assert len(rows) <= 110
    assert rows[:2] == [554, 558]
    assert {float(one["cells"]["x"]) + 1 for one in found} == set(rows)
    assert min(rows) <= 10
    assert max(rows) > 990


# -- forms ----------------------------------------------------------------------------------------


def test_a_form_needs_the_token_of_its_own_session(http: TestClient, tmp_path: Path) -> None:
    count = Client(http=http).event_counts()
    number = next(Client(http=http).events(status="open"))["id"]
    path = f"/page/events/{number}/feedback"
    other = page_of(tmp_path)
    foreign = token_in(other.get("/page/data").text)
    for token in (None, "", "0" * 64, foreign, "ü"):
        given = {"verdict": "confirmed"} | ({} if token is None else {"token": token})
        assert http.post(path, data=given).status_code == 403
    good = token_in(http.get("/page/data").text)
    stranger = TestClient(http.app, LOCAL)  # a browser without the cookie that goes with it
    assert stranger.post(path, data={"verdict": "confirmed", "token": good}).status_code == 403
    assert Client(http=http).event_counts() == count
    assert send(http, path, verdict="confirmed").status_code == 200
    assert Client(http=http).event_counts() != count


def test_a_page_of_another_site_gets_nothing(http: TestClient) -> None:
    for heads in ({"origin": "https://evil.example"}, {"host": "evil.example"}):
        answer = http.get("/", headers=heads)
        assert answer.status_code == 403
        assert "<h1>" not in answer.text


def test_forms_say_what_is_wrong_where_it_was_asked(http: TestClient) -> None:
    asked: list[tuple[str, dict[str, str], int, str]] = [
        ("/page/upload", {"name": "x"}, 422, "No file was chosen"),
        ("/page/detect", {"dataset": "payments", "share": "many"}, 422, "between 0 and 50"),
        ("/page/detect", {"dataset": "payments", "share": "nan"}, 422, "between 0 and 50"),
        ("/page/detect", {"dataset": "payments", "by": "nobody"}, 404, "no model"),
        ("/page/detect", {"dataset": "nowhere"}, 404, "no data set"),
        ("/page/train", {"dataset": "payments", "model": "m", "method": "x"}, 422, "x"),
        ("/page/events/1/feedback", {"verdict": "perhaps"}, 422, "no verdict"),
        ("/page/events/999999/feedback", {"verdict": "confirmed"}, 404, "no event"),
        ("/page/models/fraud/promote", {"version": "-1"}, 422, "no such version"),
        ("/page/models/fraud/promote", {"version": "77"}, 404, "no model"),
        ("/page/models/fraud/rollback", {}, 409, "in charge"),
    ]
    for path, given, status, words in asked:
        answer = send(http, path, **given)
        assert (answer.status_code, path) == (status, path)
        assert words in answer.text
        assert answer.headers["content-type"].startswith("text/html")
    token = token_in(http.get("/page/data").text)
    heads = {"content-type": "multipart/form-data; boundary=x"}
    assert http.post("/page/upload", content=b"--y", headers=heads).status_code in (400, 403)
    file = {"file": ("a.csv", b"\x00\xff\x00", "text/csv")}
    answer = http.post("/page/upload", data={"name": "odd", "token": token}, files=file)
    assert answer.status_code == 422
    file = {"file": ("a.csv", b"a\n1\n", "text/csv")}
    answer = http.post("/page/upload", data={"name": "payments", "token": token}, files=file)
    assert answer.status_code == 409
    assert 'value="payments"' in answer.text


def test_the_event_that_teaches_most_is_asked_about_until_none_is_left(tmp_path: Path) -> None:
    with page_of(tmp_path) as http:
        assert "No models yet" in http.get("/page/review").text
        made = Client(http=http)
        made.upload("payments", io.BytesIO(csv(table())))
        for name in ("fraud", "other"):
            job = made.train(name, "payments", method="mcd", threshold=0.0125)
            made.wait(job["id"], every=0.02)
        job = made.detect_batch("payments", model="fraud")
        made.wait(job["id"], every=0.02)
        oddest = made.question("fraud")

        text = http.get("/page/review").text
        assert f'name="event" value="{oddest["question"]["id"]}"' in text, "the model with most"
        assert "Row 101: unusual amount" in text
        assert "<b>amount</b> 900" in text, "the reason"
        assert "Beside normal rows" in text
        assert 'id="threshold"' not in text, "nobody has answered"
        assert "Nothing is left" in http.get("/page/review?model=other").text
        assert http.get("/page/review?model=none").status_code == 404

        verdicts = ("confirmed", "false_alarm")
        for i in range(oddest["left"]):
            number = made.question("fraud")["question"]["id"]
            asked = {"model": "fraud", "event": str(number), "verdict": verdicts[i > 0]}
            answer = send(http, "/page/review", "/page/review?model=fraud", **asked, note="so")
            assert answer.url.path == "/page/review"
            assert made.event(number)["feedback"][0]["note"] == "so"
        told = f'id="false-alarms">{oddest["left"] - 1}<'
        assert "Nothing is left" in answer.text
        assert told in answer.text
        proposed = made.proposed_threshold("fraud")
        assert proposed["reason"] in answer.text.replace("&#39;", "'")
        answer = send(http, "/page/review/threshold", "/page/review?model=fraud", model="fraud")
        assert "is kept" in answer.text
        assert made.model("fraud", 2)["threshold"] == proposed["threshold"]

        for wrong, status in (
            ({"event": "x"}, 422), ({"event": "99"}, 404), ({"verdict": "maybe"}, 422),
            ({"model": "other"}, 422),
        ):  # fmt: skip
            asked = {"model": "fraud", "event": str(number), "verdict": "confirmed", **wrong}
            assert send(http, "/page/review", "/page/review?model=fraud", **asked).status_code == (
                status
            ), wrong


def test_a_data_set_that_is_judged_again_is_there_once(tmp_path: Path) -> None:
    with page_of(tmp_path) as http:
        made = Client(http=http)
        made.upload("payments", io.BytesIO(csv(table())))
        job = made.train("fraud", "payments", method="mcd", threshold=0.0125)
        made.wait(job["id"], every=0.02)
        seen, told = [], []
        for _ in range(2):
            job = made.detect_batch("payments", model="fraud")
            result = made.wait(job["id"], every=0.02)["result"]
            seen.append(made.event_counts()["status"]["open"])
            told.append(made.question("fraud")["left"])
            text = http.get("/").text
            assert re.search(r'<td class="n">300</td>\s*<td class="n">1\.3 %</td>', text), text
            assert '<span class="n">300</span> rows judged' in text
            assert '<span class="n">1</span> open incident' in text
            if len(seen) == 1:  # what a person has seen to stays as it was left
                first = made.question("fraud")["question"]["id"]
                made.set_status(first, "acknowledged")
        assert seen == [result["events"]] * 2
        assert told == [result["events"], result["events"] + 1]
        assert made.event(first)["status"] == "acknowledged"


def test_training_and_versions(http: TestClient) -> None:
    answer = send(http, "/page/train", dataset="payments", model="quick", method="mcd", share="1")
    job = re.search(r"/page/jobs/([0-9a-f]{32})", str(answer.url))
    assert job
    done = Client(http=http).wait(job[1], every=0.02)
    assert (done["state"], done["request"]["threshold"]) == ("done", 0.01)
    assert http.get("/page/models/quick").status_code == 200

    text = http.get("/page/models/fraud").text
    assert "Champion against challenger" in text
    assert "Roll back" not in text  # nothing was in charge before
    promoted = send(http, "/page/models/fraud/promote", "/page/models/fraud", version="2")
    assert "Version 2 answers" in promoted.text
    assert "Roll back" in promoted.text
    back = send(http, "/page/models/fraud/rollback", "/page/models/fraud")
    assert "Version 1 answers" in back.text


def test_a_challenger_is_tried_and_compared(http: TestClient) -> None:
    at = "/page/models/fraud"
    tried = send(http, f"{at}/try", at, version="2")
    assert "0 rows compared" in tried.text
    rows = table().select(["amount", "kind"]).slice(95, 10).to_pylist()
    rows = [{**row, f"col{HOSTILE}": 0.0} for row in rows]
    Client(http=http).detect(rows, model="fraud")
    http.app.state.service.recorder.flush()  # type: ignore[attr-defined]
    text = http.get(at).text
    assert "10 rows compared" in text
    assert "same verdict on" in text
    # The champion is no challenger, and there is no trial twice over.
    assert send(http, f"{at}/try", at, version="1").status_code == 409
    assert "0 rows compared" not in send(http, f"{at}/stop", at).text
    assert send(http, f"{at}/stop", at).status_code == 404


def test_drift_is_measured_and_told(http: TestClient) -> None:
    moved = table().set_column(0, "amount", pa.array(table()["amount"].to_numpy() + 40.0))
    Client(http=http).upload("later", io.BytesIO(csv(moved)))
    answer = send(http, "/page/drift", dataset="later", by="fraud")
    job = re.search(r"/page/jobs/([0-9a-f]{32})", str(answer.url))
    assert job
    jobs = http.app.state.service.jobs  # type: ignore[attr-defined]
    wait_until(lambda: jobs.get(job[1])["state"] not in ("queued", "running"))
    assert "See what moved" in http.get(f"/page/jobs/{job[1]}").text
    text = http.get("/page/source?name=later").text
    assert 'class="state drifted"' in text
    assert "<td>amount</td>" in text
    assert 'class="state drifted"' not in http.get("/page/source?name=payments").text
    assert send(http, "/page/drift", dataset="later", by="nobody").status_code == 404


def test_an_alert_is_seen_to(http: TestClient) -> None:
    service = http.app.state.service  # type: ignore[attr-defined]
    service.alerts.check()
    firing = service.alerts.list(state="firing").rows
    assert firing
    text = http.get("/").text
    assert f"/page/alerts/{firing[0]['id']}/acknowledge" in text
    told = send(http, f"/page/alerts/{firing[0]['id']}/acknowledge", "/").text
    assert "seen to by local" in told
    assert f"/page/alerts/{firing[0]['id']}/acknowledge" not in told


def test_filters_and_pages_of_events(http: TestClient, event: dict[str, Any]) -> None:
    assert f"/page/events/{event['id']}" in http.get("/page/events?source=payments&status=").text
    assert "No such events" in http.get("/page/events?source=nowhere").text
    for query in ("status=perhaps", "incident=x", "cursor=x"):
        answer = http.get(f"/page/events?{query}")
        assert answer.status_code in (404, 422)
        assert answer.headers["content-type"].startswith("text/html")


# -- who may --------------------------------------------------------------------------------------


def test_a_key_opens_a_session_that_ends(
    locked: tuple[TestClient, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    http, keys = locked
    asked = http.get("/page/events?status=open", follow_redirects=False)
    assert asked.status_code == 303
    assert asked.headers["location"] == "/page/login?next=%2Fpage%2Fevents%3Fstatus%3Dopen"
    assert http.get("/page/assets/page.css").status_code == 200
    assert sign_in(http, "awry_x_y").status_code == 401
    before = http.cookies[COOKIE]
    opened = sign_in(http, keys["read"])
    assert str(opened.url).endswith("/page/events?status=open")
    assert http.cookies[COOKIE].split(".")[0] != before.split(".")[0]
    set_cookie = opened.history[0].headers["set-cookie"].lower()
    assert "httponly" in set_cookie
    assert "samesite=strict" in set_cookie
    assert f"max-age={SECONDS}" in set_cookie
    assert keys["read"].split("_")[2] not in set_cookie
    # The cookie is for the page alone: programs send their key.
    assert http.get("/v1/models").status_code == 401
    now = time.time()
    monkeypatch.setattr("awry.server.pages.session.time.time", lambda: now + SECONDS + 5)
    assert "/page/login" in str(http.get("/page/data").url)


def test_signing_out_and_revoking_end_a_session(
    locked: tuple[TestClient, dict[str, str]],
) -> None:
    http, keys = locked
    sign_in(http, keys["read"])
    send(http, "/page/logout")
    assert "/page/login" in str(http.get("/").url)
    sign_in(http, keys["read"])
    assert http.get("/", follow_redirects=False).status_code == 200
    http.app.state.service.keys.revoke(keys["read"].split("_")[1])  # type: ignore[attr-defined]
    assert http.get("/", follow_redirects=False).status_code == 303
    late = http.post("/page/logout", follow_redirects=False)
    assert late.headers["location"] == "/page/login"


def test_a_cookie_that_was_changed_opens_nothing(
    locked: tuple[TestClient, dict[str, str]], tmp_path: Path
) -> None:
    http, keys = locked
    sign_in(http, keys["read"])
    sessions = Sessions(http.app.state.service)  # type: ignore[attr-defined]
    known = sessions.read(f"{COOKIE}={http.cookies[COOKIE]}")
    assert known is not None
    assert known.key == keys["read"].split("_")[1]
    number, key, expires, signature = http.cookies[COOKIE].split(".")
    admin = keys["admin"].split("_")[1]
    for changed in (
        f"{number}.{admin}.{expires}.{signature}",
        f"{number}.{key}.{int(expires) + 1}.{signature}",
        sessions.token(known),
        "", ".", "a.b.c.d", "ü.ü.ü.ü", "x" * 5_000,
    ):  # fmt: skip
        assert sessions.read(f"{COOKIE}={changed}") is None
    (tmp_path / "other").mkdir()
    with page_of(tmp_path / "other", require_key=True, workers=0) as other:
        foreign = Sessions(other.app.state.service)  # type: ignore[attr-defined]
        assert foreign.read(f"{COOKIE}={http.cookies[COOKIE]}") is None
        again = Sessions(other.app.state.service)  # type: ignore[attr-defined]
        assert again.read(f"{COOKIE}={foreign.pack(Session.new('k'))}") is not None
    assert (tmp_path / "page.secret").stat().st_mode & 0o777 == 0o600


def test_roles_see_and_may_what_is_theirs(
    locked: tuple[TestClient, dict[str, str]],
) -> None:
    http, keys = locked
    service = http.app.state.service  # type: ignore[attr-defined]
    service.datasets.add("payments", io.BytesIO(csv(table())))
    for method in ("mcd", "ecod"):
        service.submit("train", {"name": "m", "dataset": "payments", "method": method}, by="x")
        assert service.jobs.run_next()
    service.submit("detect", {"dataset": "payments", "method": "mcd", "threshold": 0.01}, by="x")
    assert service.jobs.run_next()
    number = service.lookup.events().rows[0]["id"]
    shown = [
        ("/page/data", 'action="/page/upload"', "write"),
        ("/page/source?name=payments", 'action="/page/detect"', "write"),
        (f"/page/events/{number}", "False alarm", "write"),
        ("/page/review?model=m", 'action="/page/review"', "write"),
        ("/page/models/m", "/promote", "admin"),
    ]
    sent: list[tuple[str, dict[str, str], str]] = [
        ("/page/detect", {"dataset": "payments"}, "write"),
        ("/page/upload", {"name": "x"}, "write"),
        (f"/page/events/{number}/feedback", {"verdict": "confirmed"}, "write"),
        ("/page/review", {"model": "m", "event": "1", "verdict": "confirmed"}, "write"),
        ("/page/review/threshold", {"model": "m"}, "write"),
        ("/page/models/m/promote", {"version": "2"}, "admin"),
    ]
    order = ("read", "write", "admin")
    for role, key in keys.items():
        http.cookies.clear()
        sign_in(http, key)
        for path, mark, least in shown:
            there = order.index(role) >= order.index(least)
            assert (mark in http.get(path).text) == there, (role, path)
        token = token_in(http.get("/page/data").text)
        for path, values, least in sent:
            answer = http.post(path, data={**values, "token": token})
            refused = order.index(role) < order.index(least)
            assert (answer.status_code == 403) == refused, (role, path)
    entries = service.store

    done = audit.entries(entries).rows
    assert {one["by"] for one in done if one["action"] == "promote"} == {
        keys["admin"].split("_")[1]
    }


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example", "//evil.example", "/\\evil", "/pagex", "/v1/models", "", None,
     "/page/\r\nset-cookie: a=b", "javascript:alert(1)"],
)  # fmt: skip
def test_signing_in_leads_to_pages_alone(wanted: Any) -> None:
    assert own_path(wanted) == "/"
