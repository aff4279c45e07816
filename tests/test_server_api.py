"""The service over HTTP: what it answers, and that nothing a client sends breaks it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import awry
from awry.client import Client, ServiceError
from awry.ops.settings import Settings
from awry.server import create_app
from awry.server.errors import MEDIA_TYPE

LOCAL = "http://localhost"
ONE = {"data": [{"amount": 1000, "hour": 14}], "method": "isolation_forest"}
rng = np.random.default_rng(0)
PAYMENTS = pa.table(
    {"amount": np.r_[rng.normal(50, 5, 299), 900.0], "hour": rng.integers(8, 18, 300)}
)


def csv(table: pa.Table = PAYMENTS) -> bytes:
    out = io.BytesIO()
    pa.csv.write_csv(table, out)
    return out.getvalue()


def upload(http: TestClient, name: str, content: bytes, **form: str) -> Any:
    return http.post("/datasets", data={"name": name, **form}, files={"file": ("f", content)})


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    made = Settings(
        home=tmp_path_factory.mktemp("home"), rate=1e6, burst=10**6, poll_seconds=0.02,
        max_rows=1_000, max_columns=50, max_json_depth=8, max_upload_bytes=200_000,
        max_dataset_rows=5_000,
    )  # fmt: skip
    with TestClient(create_app(made), LOCAL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def trained(http: TestClient) -> Client:
    """A service with a data set and two versions of a model."""
    client = Client(http=http)
    client.upload("payments", io.BytesIO(csv()))
    for _ in range(2):
        job = client.train("fraud", "payments", method="isolation_forest")
        client.wait(job["id"], every=0.02)
    return client


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["detail"]
    return body


def test_it_lives_and_is_ready(http: TestClient) -> None:
    assert http.get("/health").json() == {"status": "ok", "version": awry.__version__}
    found = http.get("/ready").json()
    assert found["ready"]
    assert all(one["latency_ms"] >= 0 for one in found["dependencies"].values())


def test_one_row_without_a_model_says_what_is_needed(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(home=tmp_path)), LOCAL) as http:
        for path in ("/detect", "/v1/detect"):
            told = problem(http.post(path, json=ONE), 422)
            assert told["field"] == "data"
            assert "POST /models" in told["remedy"]
            assert "50 rows" in told["remedy"]


def test_enough_rows_are_judged_by_themselves(http: TestClient) -> None:
    rows = [{"size": float(v)} for v in [*rng.normal(0, 1, 99), 50.0]]
    found = http.post(
        "/detect", json={"data": rows, "method": "modified_zscore", "explain": True}
    ).json()
    assert found["model"] is None
    assert found["method"] == "modified_zscore"
    top = max(found["results"], key=lambda one: one["score"])
    assert (top["row"], top["anomaly"], top["reasons"][0]["column"]) == (99, True, "size")


def test_one_row_is_answered_by_the_model_for_its_columns(
    http: TestClient, trained: Client
) -> None:
    found = trained.detect(ONE["data"], method="isolation_forest", explain=True)  # type: ignore[arg-type]
    assert found["model"] == {"name": "fraud", "version": 1}
    assert found["results"][0]["anomaly"]
    assert found["results"][0]["reasons"][0]["column"] == "amount"
    ordinary = trained.detect([{"amount": 50.0, "hour": 12, "note": "x"}], model="fraud")
    assert not ordinary["results"][0]["anomaly"]
    assert problem(http.post("/detect", json={**ONE, "method": "ecod"}), 422)["field"] == "data"
    told = problem(http.post("/detect", json={"data": [{"hour": 1}], "model": "fraud"}), 422)
    assert told["field"] == "data.amount"


def test_the_same_as_the_library(http: TestClient, trained: Client) -> None:
    model = awry.fit(PAYMENTS, detector="isolation_forest")
    expected = model.judge(PAYMENTS).scores  # type: ignore[union-attr]
    found = trained.detect(PAYMENTS.to_pylist(), model="fraud", version=2)
    np.testing.assert_allclose([one["score"] for one in found["results"]], expected)


def test_a_threshold_of_the_request_leaves_the_model_alone(trained: Client) -> None:
    rows = PAYMENTS.to_pylist()
    before = trained.detect(rows, model="fraud")
    loose = trained.detect(rows, model="fraud", threshold=0.2)
    assert loose["flagged"] == 60
    assert trained.detect(rows, model="fraud") == before
    with pytest.raises(ServiceError, match="threshold"):
        trained.detect(rows, model="fraud", threshold="no such rule")


def test_promote_and_rollback(http: TestClient, trained: Client) -> None:
    assert trained.model("fraud")["version"] == 1, "the first is champion"
    assert trained.models()[0]["versions"] == [1, 2]
    assert trained.promote("fraud", 2)["champion"]
    assert trained.detect(ONE["data"], model="fraud")["model"]["version"] == 2  # type: ignore[arg-type]
    assert trained.rollback("fraud")["version"] == 1
    problem(http.post("/models/fraud/rollback"), 409)
    problem(http.post("/models/fraud/promote", json={"version": 9}), 404)
    known = trained.model("fraud", 2)
    assert not known["champion"]
    assert known["dataset"]["name"] == "payments"
    assert len(known["dataset"]["sha256"]) == 64
    assert known["threshold_reason"]
    assert known["card"]["paper"]


def test_a_model_file_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    made = Settings(home=tmp_path, cached_models=1, poll_seconds=0.02)
    with TestClient(create_app(made), LOCAL) as http:
        client = Client(http=http)
        client.upload("payments", io.BytesIO(csv()))
        client.wait(client.train("m", "payments", method="ecod")["id"], every=0.02)
    (file,) = (tmp_path / "models").glob("*.awry")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with TestClient(create_app(made), LOCAL) as http:
        told = problem(http.post("/detect", json={**ONE, "model": "m"}), 503)
        assert "roll back" in told["remedy"]


def test_a_batch_job(http: TestClient, trained: Client, tmp_path: Path) -> None:
    answer = http.post("/detect/batch", json={"dataset_name": "payments", "model": "fraud"})
    assert answer.status_code == 202
    job = trained.wait(answer.json()["id"], every=0.02)
    assert job["result"]["rows"] == 300
    rows = list(trained.results(job["id"], page=70))
    assert [row["row"] for row in rows] == list(range(1, 301))
    flagged = list(trained.results(job["id"], flagged=True))
    assert flagged == sorted((r for r in rows if r["label"]), key=lambda r: -r["score"])
    assert flagged[0]["row"] == 300
    table = parquet.read_table(trained.download(job["id"], tmp_path / "r.parquet"))
    assert table.to_pylist() == rows
    problem(http.get(f"/jobs/{job['id']}/result", params={"limit": 0}), 422)
    assert http.get(f"/jobs/{job['id']}/result", params={"offset": 999}).json()["rows"] == []


def test_a_job_that_cannot_be_done_is_refused_or_fails_with_the_reason(
    http: TestClient, trained: Client
) -> None:
    problem(http.post("/models", json={"name": "x", "dataset": "nowhere"}), 404)
    told = problem(
        http.post("/models", json={"name": "x", "dataset": "payments", "method": "forest"}), 422
    )
    assert told["field"] == "method"
    assert "did you mean iforest" in told["detail"]
    with pytest.raises(ServiceError, match="must be an integer >= 1"):
        trained.train("x", "payments", method="knn", params={"n_neighbors": -1})
    job = trained.train("x", "payments", method="knn", label="nowhere")
    with pytest.raises(ServiceError, match="there is no such column"):
        trained.wait(job["id"], every=0.02)
    problem(http.get(f"/jobs/{job['id']}/result"), 404)
    problem(http.post(f"/jobs/{job['id']}/cancel"), 409)


@pytest.mark.parametrize("format_", ["csv", "parquet", "jsonl"])
def test_data_sets_of_every_format_are_the_same(http: TestClient, format_: str) -> None:
    out = io.BytesIO()
    if format_ == "csv":
        out.write(csv())
    elif format_ == "parquet":
        parquet.write_table(PAYMENTS, out)
    else:
        out.write("\n".join(map(json.dumps, PAYMENTS.to_pylist())).encode())
    name = f"of-{format_}"
    answer = upload(http, name, out.getvalue(), format=format_)
    assert answer.status_code == 201, answer.text
    stats = http.get(f"/datasets/{name}/stats").json()
    amount = stats["columns"][0]
    assert (stats["rows"], amount["name"], amount["missing"]) == (300, "amount", 0)
    assert sum(amount["histogram"]["counts"]) == 300
    assert amount["max"] == pytest.approx(900)
    assert http.get(f"/datasets/{name}/stats").json() == stats
    assert http.delete(f"/datasets/{name}").status_code == 204
    problem(http.get(f"/datasets/{name}"), 404)


def test_names_do_not_leave_their_folder(http: TestClient, trained: Client) -> None:
    home = http.app.state.service.settings.home  # type: ignore[attr-defined]
    before = {p for p in home.parent.rglob("*") if home not in p.parents}
    for name in ("../x", "..", "a/b", "/etc/x", "a\\b", ".x", "x\n", "x\0", "", "é", "a" * 101):
        problem(upload(http, name, csv()), 422)
        problem(http.post("/models", json={"name": name, "dataset": "payments"}), 422)
    for path in ("/datasets/..%2f..%2fawry.db", "/datasets/%2e%2e/stats", "/models/..%2fx"):
        assert http.get(path).status_code in (404, 422)
    assert {p for p in home.parent.rglob("*") if home not in p.parents} == before


def test_uploads_are_bounded_and_leave_nothing(http: TestClient, trained: Client) -> None:
    folder = http.app.state.service.settings.home / "datasets"  # type: ignore[attr-defined]
    before = sorted(folder.iterdir())
    problem(upload(http, "payments", csv()), 409)
    problem(upload(http, "big", b"a\n" + b"1\n" * 100_000), 413)
    told = problem(upload(http, "long", b"a\n" + b"1\n" * 5_001), 413)
    assert "5,000 are allowed" in told["detail"]
    problem(upload(http, "wide", b",".join(b"c%d" % i for i in range(51)) + b"\n"), 413)
    for junk in (b"", b"PAR1" + bytes(100), b"\x00\xff" * 500, b"a,b\n", b'{"\\ud800": 1}\n'):
        problem(upload(http, "junk", junk), 422)
    assert sorted(folder.iterdir()) == before


def test_bounds_on_requests(http: TestClient) -> None:
    problem(http.post("/detect", json={"data": [{"a": 1}] * 1_001}), 413)
    problem(http.post("/detect", json={"data": [{f"c{i}": 1 for i in range(51)}]}), 413)
    problem(http.post("/detect", json={"data": []}), 422)
    heads = {"content-type": "application/json"}
    deep = b'{"data": [{"a": ' + b"[" * 10 + b"]" * 10 + b"}]}"
    for content in (deep, b"[" * 100_000, b"[" * 500 + b"]" * 500):
        problem(http.post("/detect", content=content, headers=heads), 413)
    for content in (b'{"data": [{"a": NaN}]}', b"\xff\xfe", b'{"data": [{"a": ' + b"1" * 5_000,
                    b'{"data": [{"a": "\\ud800"}]}'):  # fmt: skip
        assert problem(http.post("/detect", content=content, headers=heads), 400)
    told = problem(http.post("/detect", json={**ONE, "modle": "x"}), 422)
    assert (told["field"], told["remedy"]) == ("modle", "leave it out")


def test_a_body_longer_than_allowed_is_refused_also_without_a_length(tmp_path: Path) -> None:
    made = Settings(home=tmp_path, max_body_bytes=1_000)
    with TestClient(create_app(made), LOCAL) as http:
        heads = {"content-type": "application/json"}
        problem(http.post("/detect", content=b" " * 2_000, headers=heads), 413)
        pieces = iter([b" " * 600] * 3)
        problem(http.post("/detect", content=pieces, headers=heads), 413)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_rows = st.lists(
    st.dictionaries(st.sampled_from(["amount", "hour", "a.b", "", "é"]), _values), max_size=4
)
_bodies = st.fixed_dictionaries(
    {},
    optional={
        "data": _rows | _rows.map(lambda rows: rows * 20) | _values,
        "method": st.sampled_from(["auto", "ecod", "isolation_forest", "nothing", "hampel", "abs"])
        | _values,
        "model": st.sampled_from(["fraud", "nobody", "../x"]) | _values,
        "version": st.integers() | _values,
        "threshold": st.sampled_from(["sigma:3", "quantile:2", "fixed:", "f1", "cost:1,50", 0.1])
        | _values,
        "explain": st.booleans() | _values,
        "dataset_name": st.sampled_from(["payments", "nobody"]),
        "name": st.sampled_from(["new", "\0"]),
    },
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_bodies | _values, path=st.sampled_from(["/detect", "/detect", "/v1/detect"]))
def test_no_body_breaks_detect(http: TestClient, trained: Client, body: Any, path: str) -> None:
    content = json.dumps(body).encode()
    answer = http.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400, 413, 422), answer.text
    if answer.status_code == 200:
        assert len(answer.json()["results"]) == answer.json()["rows"]
    else:
        problem(answer, answer.status_code)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=_bodies,
    path=st.sampled_from(
        ["/models", "/detect/batch", "/models/fraud/promote", "/models/x/rollback"]
    ),
)
def test_no_body_breaks_the_others(http: TestClient, trained: Client, body: Any, path: str) -> None:
    content = json.dumps(body).encode()
    answer = http.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 202, 400, 404, 409, 413, 422, 503), answer.text
    if answer.status_code == 503:
        assert "jobs wait" in answer.text


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=80) | st.text(max_size=40).map(str.encode),
    format_=st.sampled_from(["csv", "parquet", "json", "jsonl", "arrow", "zip", ""]),
)
def test_no_upload_breaks_it(http: TestClient, content: bytes, format_: str) -> None:
    answer = upload(http, "fuzz", content, **({"format": format_} if format_ else {}))
    assert answer.status_code in (201, 413, 422), answer.text
    if answer.status_code == 201:
        assert http.get("/datasets/fuzz/stats").status_code == 200
        assert http.delete("/datasets/fuzz").status_code == 204


def test_openapi_is_whole(http: TestClient) -> None:
    found = http.get("/openapi.json").json()
    paths = found["paths"]
    assert {"/health", "/v1/detect", "/v1/detect/batch", "/v1/jobs/{id}/result"} <= paths.keys()
    assert "/detect" not in paths, "listed once, under /v1"
    for path, methods in paths.items():
        for operation in methods.values():
            assert operation["summary"], path
            assert {"422", "401", "503"} <= operation["responses"].keys()
    for name in ("DetectRequest", "TrainRequest", "BatchRequest", "Problem"):
        assert found["components"]["schemas"][name]["examples"], name


def test_metrics_count(http: TestClient, trained: Client) -> None:
    def value(line: str) -> float:
        text = http.get("/metrics").text
        return float(next((t.split()[-1] for t in text.splitlines() if t.startswith(line)), 0))

    line = 'awry_rows_judged_total{method="isolation_forest",model="fraud"}'
    before = value(line)
    trained.detect(ONE["data"] * 3, model="fraud")  # type: ignore[operator,arg-type]
    assert value(line) == before + 3
    http.get("/datasets/one-of-many-names")
    text = http.get("/metrics").text
    assert 'awry_jobs{state="done"}' in text
    assert "one-of-many-names" not in text, "routes, not addresses"
