"""What the OpenAPI document promises is what is answered, whatever is asked."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers import awry_server

from awry.client import Client

schemathesis = pytest.importorskip("schemathesis")
checks = schemathesis.checks
checks.load_all_checks()


def rows() -> bytes:
    rng = np.random.default_rng(0)
    amounts = np.r_[rng.normal(50, 5, 299), 900.0]
    return b"amount,hour\n" + b"".join(b"%.2f,%d\n" % (a, i % 24) for i, a in enumerate(amounts))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a service that has what its document's examples name, and a job of it."""
    with (
        awry_server(
            home=tmp_path_factory.mktemp("home"), rate=1e6, burst=10**6, poll_seconds=0.05,
            max_upload_bytes=100_000, max_body_bytes=100_000, max_queued_jobs=5,
        ) as url,
        Client(url) as client,
    ):  # fmt: skip
        for name in ("payments-2024", "spare"):
            client.upload(name, io.BytesIO(rows()))
        for _ in range(2):
            job = client.train("payments", "payments-2024", method="isolation_forest")
            client.wait(job["id"])
        client.promote("payments", 2)
        job = client.detect_batch("payments-2024", model="payments")
        client.wait(job["id"])
        yield url, job["id"]


def no_failure_of_the_service(context: Any, response: Any, case: Any) -> None:
    """Of what begins with 5, a full queue's 503 alone."""
    if response.status_code >= 500:
        assert response.status_code == 503, response.text
        assert "jobs wait" in response.text, response.text


CHECKS = [
    no_failure_of_the_service,
    *checks.CHECKS.get_by_names(
        ["status_code_conformance", "content_type_conformance", "response_headers_conformance",
         "response_schema_conformance", "unsupported_method"]
    ),
]  # fmt: skip


#: What is there, by the name of a path's parameter or a body's field.
KNOWN = {"name": "payments", "version": 1, "id": 1, "model": "payments",
         "dataset": "payments-2024", "dataset_name": "payments-2024"}  # fmt: skip


def known(case: Any, job: str) -> None:
    """Let ``case`` ask for what is there."""
    there = dict(KNOWN)
    if "/jobs/" in case.path:
        there["id"] = job
    elif "/datasets/" in case.path:
        there["name"] = "spare" if case.method == "DELETE" else "payments-2024"
    for part in (case.path_parameters, case.body):
        if isinstance(part, dict):
            part.update({name: there[name] for name in part.keys() & there.keys()})
    if case.path == "/v1/datasets" and isinstance(case.body, dict):
        case.body = {"name": "new", "file": rows()}


def ask(operation: Any, job: str) -> Counter[int]:
    """Ask for many things of an operation and check the answers; how often which status came."""
    counts: Counter[int] = Counter()

    @settings(max_examples=12, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), steer=st.booleans())
    def one(case: Any, steer: bool) -> None:
        if steer:
            known(case, job)
        answer = case.call()
        counts[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    one()
    return counts


def test_answers_are_as_the_document_says(service: tuple[str, str]) -> None:
    url, job = service
    document = schemathesis.openapi.from_url(f"{url}/openapi.json")
    document.config.generation.update(with_security_parameters=False)
    operations = [found.ok() for found in document.get_all_operations()]
    answered = {operation.label: ask(operation, job) for operation in operations}
    silent = [label for label, counts in answered.items() if min(counts) >= 300]
    # Some need what is not there, such as a job that still runs.
    assert len(silent) <= len(operations) / 4, f"of {silent} refusals alone were looked at"
