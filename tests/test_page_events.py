"""The pages of events that requests and streams made, and of those whose data are gone."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from awry.client import Client
from awry.ops import extracts
from awry.ops.settings import Settings
from awry.ops.store import Store
from awry.stream.plan import Plan
from awry.stream.sources import open_source
from awry.stream.worker import Worker
from servers import wait_until
from test_page import page_of
from test_server_api import csv


def csv_of(rows: list[dict[str, Any]]) -> io.BytesIO:
    return io.BytesIO(csv(pa.Table.from_pylist(rows)))


def found_in(made: Client) -> dict[str, Any]:
    """The event of requests, once it is kept."""
    wait_until(lambda: any(made.events(source="fraud")))
    return next(made.events(source="fraud"))


def normal_rows(text: str) -> list[list[str]]:
    """The cells of the table beside normal rows, line by line, this row's own left out."""
    whole = re.search(r'<table class="beside">.*?</table>', text, re.S)
    assert whole, text
    return [re.findall(r"<td>([^<]*)</td>", line)[1:] for line in whole[0].split("<tr")[2:]]


def asked_service(http: TestClient) -> tuple[Client, list[dict[str, Any]]]:
    """A model, and rows it can be asked about."""
    rng = np.random.default_rng(0)
    amounts, kinds = rng.normal(50, 5, 300).round(2).tolist(), rng.choice(list("abc"), 300)
    rows = [{"amount": a, "kind": str(k)} for a, k in zip(amounts, kinds, strict=True)]
    made = Client(http=http)
    made.upload("payments", csv_of(rows))
    made.wait(made.train("fraud", "payments", threshold=0.01)["id"], every=0.02)
    return made, rows


def test_an_event_of_requests_is_told_by_time_beside_rows_judged_then(tmp_path: Path) -> None:
    with page_of(tmp_path) as http:
        made, rows = asked_service(http)
        odd = {"amount": 900.0, "kind": "b"}
        made.detect([*rows[:100], odd], model="fraud")
        event = found_in(made)
        assert "/" in event["peak"]
        text = http.get(f"/page/events/{event['id']}").text
        title = re.search(r"<h1>(.*?)</h1>", text)
        assert title
        assert re.fullmatch(r"(\d+ rows around )?\d\d:\d\d: unusual amount", title[1])
        assert event["peak"] not in text
        assert event["peak"] not in http.get("/page/events").text
        assert "that fraud judged in those days and did not flag" in text
        assert "Scores of the rows around it" in text
        distances, amounts, kinds = normal_rows(text)
        assert len(amounts) == 4
        assert all(float(amount) < 100 for amount in amounts)
        assert set(kinds) == {"b"}
        assert distances == sorted(distances, key=float)
        assert "less than two hours so far" in http.get("/").text


def test_an_event_of_a_lone_request_is_beside_what_its_model_learnt_from(tmp_path: Path) -> None:
    with page_of(tmp_path) as http:
        made, _ = asked_service(http)
        made.detect([{"amount": 900.0, "kind": "c"}], model="fraud")
        text = http.get(f"/page/events/{found_in(made)['id']}").text
        assert "that version 1 of fraud learnt from" in text
        assert set(normal_rows(text)[2]) == {"c"}
        assert "Around it" not in text, "a picture of one dot"
        made.delete_dataset("payments")
        text = http.get(f"/page/events/{found_in(made)['id']}").text
        assert "Beside normal rows" not in text
        assert "There are no rows any more" in text


def test_what_is_left_of_a_data_set_that_is_gone_is_said(tmp_path: Path) -> None:
    with page_of(tmp_path) as http:
        made, rows = asked_service(http)
        made.upload("later", csv_of([*rows, {"amount": 900.0, "kind": "a"}]))
        events = []
        for more in ({"threshold": 0.01}, {"model": "fraud"}):
            made.wait(made.detect_batch("later", **more)["id"], every=0.02)
            found = made.events(source="later")
            events.append(max((e for e in found if e["peak"] == "301"), key=lambda e: e["id"]))
        pages = [f"/page/events/{event['id']}" for event in events]
        for page in pages:
            text = http.get(page).text
            assert "<h1>Row 301" in text
            assert "The rows most like it that were not flagged" in text
        made.delete_dataset("later")
        told = http.get("/page/source?name=later").text
        assert "The data set is gone" in told
        assert "stream or requests" not in told
        alone, by_model = (http.get(page).text for page in pages)
        assert "The data set is gone. There are no rows any more" in alone
        assert "The data set is gone. Of the rows that fraud judged" in by_model
        assert set(normal_rows(by_model)[2]) == {"a"}


def test_the_name_of_an_event_stands_above_the_points():
    scores = np.linspace(0.0, 10.0, 20)
    extract = extracts.of_rows(np.arange(1.0, 21.0), scores, np.zeros(20, int), 19, timed=False)
    shown = extracts.picture({"extract": extract, "threshold": None, "peak": "20", "start": 0.0})
    assert "this event" in shown.html()
    # Its line of text takes a sixth of the height, from the top.
    assert shown.y.place(10.0) < 1 - 1 / 6
    few = extracts.of_rows(np.arange(4.0), scores[:4], np.zeros(4, int), 3, timed=False)
    assert extracts.picture({"extract": few, "threshold": None, "peak": "4", "start": 0.0}) is None


@pytest.mark.parametrize("time", [None, "at"])
def test_an_event_of_a_stream_has_a_picture_and_its_row(tmp_path: Path, time: str | None) -> None:
    rng = np.random.default_rng(0)
    rows = [{"a": x, "c": "xy"[i % 2], "at": 1.7e9 + i} for i, x in enumerate(rng.normal(size=900))]
    rows[800]["a"] = 50.0
    file = tmp_path / "in.jsonl"
    store = Store(Settings(home=tmp_path))
    for lines in (850, 900):  # what was before is known after an end, too
        file.write_text("".join(json.dumps(row) + "\n" for row in rows[:lines]))
        source = open_source(f"file://{file}?follow=0")
        Worker(source, Plan(time=time), store, name="s", batch=100, every=0.0).run()
    store.close()
    with page_of(tmp_path) as http:
        [odd] = [
            one
            for one in http.get("/events").json()["rows"]
            if http.get(f"/events/{one['id']}").json()["extract"]["row"]["a"] == "50.0"
        ]
        extract = http.get(f"/events/{odd['id']}").json()["extract"]
        assert len(extract["scores"]) == 150
        assert extract["scores"][-1] == odd["score"] == max(extract["scores"])
        assert extract["at"] == extract["position"][-1]
        assert extract["row"] == {"a": "50.0", "c": "x", "at": str(rows[800]["at"])}
        assert (extract["timed"], extract["at"] == 1.7e9 + 800) == (time == "at", time == "at")
        assert http.get(f"/events/{odd['id']}/picture.svg").status_code == 200
        page = http.get(f"/page/events/{odd['id']}").text
        assert "what the stream taught" in page
        assert ">this event<" in page
        assert (">offset<" in page, ">row<" in page) == (time is None, False)
        assert "<h2>The row</h2>" in page
        assert re.search(r"typical\s+-?0\.\d+, this is \+\d", page)
