"""What answers about anomalies, events and incidents look like; the examples of OpenAPI."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from awry.server.schemas import TEXT_PATTERN, Asked, Reason

Severity = Literal["warning", "critical", "emergency"]
Status = Literal["open", "acknowledged", "resolved"]
Verdict = Literal["confirmed", "false_alarm"]


def _utc(value: datetime) -> datetime:
    """A time without a zone is of UTC."""
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


_Moment = Annotated[datetime, AfterValidator(_utc)]
Since = Annotated[
    _Moment | None,
    Query(description="ISO 8601, or seconds since 1970.", examples=["2024-03-01T00:00:00Z"]),
]
Until = Annotated[
    _Moment | None, Query(description="Before this time.", examples=["2024-04-01T00:00:00Z"])
]
Source = Annotated[
    str | None,
    Query(
        pattern=TEXT_PATTERN, max_length=200, examples=["payments-2024"],
        description="The data set, the stream, or the model that requests asked.",
    ),
]  # fmt: skip
AtLeast = Annotated[Severity | None, Query(description="This severity or a graver one.")]
Feature = Annotated[
    str | None,
    Query(
        pattern=TEXT_PATTERN,
        max_length=300,
        description="A column that shows it.",
        examples=["amount"],
    ),
]
ModelName = Annotated[
    str | None, Query(pattern=TEXT_PATTERN, max_length=100, examples=["payments"])
]
Cursor = Annotated[
    str | None, Query(max_length=200, description="`next` of the page before this one.")
]
Limit = Annotated[int, Query(ge=1, le=1_000)]
Number = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[1])]


def seconds(moment: datetime | None) -> float | None:
    """Seconds since 1970."""
    return None if moment is None else moment.timestamp()


class Anomaly(BaseModel):
    id: int
    item: str = Field(description="A row's number, or topic/partition/offset.")
    at: float = Field(description="Its own time, else when it was judged; seconds since 1970.")
    score: float | None
    severity: Severity
    source: str
    model: str | None
    version: int | None
    threshold: float | None
    origin: Literal["request", "job", "stream"]
    job: str | None


class EventListed(BaseModel):
    id: int
    incident: int | None
    source: str
    model: str | None = Field(description="null: the data were judged by themselves.")
    version: int | None
    key: str | None = Field(description="The series it happened in.")
    kind: str = Field(description="What it looks like.", examples=["spike", "level shift", "row"])
    start: float = Field(description="Seconds since 1970.")
    end: float
    items: int = Field(description="Flagged items in it.")
    peak: str = Field(description="The item with the highest score.")
    score: float
    threshold: float | None
    severity: Severity
    status: Status
    verdict: Verdict | None
    summary: str
    reasons: list[Reason]
    created: float
    updated: float

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 17, "incident": 4, "source": "payments-2024", "model": "payments",
                    "version": 1, "key": None, "kind": "row", "start": 1709251200.0,
                    "end": 1709251200.0, "items": 1, "peak": "122", "score": 9.4,
                    "threshold": 4.1, "severity": "critical", "status": "open", "verdict": None,
                    "summary": "amount 9,000 (typical 42 … 58)",
                    "reasons": [{"column": "amount", "value": "9,000", "typical": "42 … 58",
                                 "share": 0.97}],
                    "created": 1709251201.0, "updated": 1709251201.0,
                }
            ]
        }
    )  # fmt: skip


class FeedbackGiven(BaseModel):
    id: int
    event: int
    verdict: Verdict
    note: str
    by: str
    at: float


class Event(EventListed):
    extract: dict[str, Any] = Field(description="Of the data around it.")
    feedback: list[FeedbackGiven]


class Incident(BaseModel):
    id: int
    source: str
    start: float
    end: float
    severity: Severity
    status: Status
    score: float
    events: int
    keys: list[str] = Field(description="The series in it, the one with the highest score first.")
    summary: str
    created: float


class AuditEntry(BaseModel):
    id: int
    at: float
    by: str = Field(description="Id of the key; `local` where none was needed.")
    action: str = Field(examples=["promote"])
    object: str = Field(examples=["model payments"])
    detail: dict[str, Any]


class _Page(BaseModel):
    next: str | None = Field(description="The cursor of the next page; null on the last.")


class AnomalyPage(_Page):
    rows: list[Anomaly]


class EventPage(_Page):
    rows: list[EventListed]


class IncidentPage(_Page):
    rows: list[Incident]


class AuditPage(_Page):
    rows: list[AuditEntry]


class Counts(BaseModel):
    status: dict[Status, int]
    verdict: dict[Verdict, int]


class LiveRate(BaseModel):
    rows: int
    flagged: int
    quantiles: dict[str, float] = Field(
        description="Of the scores, to within 1 %.", examples=[{"0.5": 0.2, "0.99": 3.1}]
    )


class Rate(LiveRate):
    at: float = Field(description="Begin of the hour, seconds since 1970.")
    model: str | None
    version: int | None


class FeedbackRequest(Asked):
    verdict: Verdict
    note: str = Field(default="", max_length=2_000, pattern=TEXT_PATTERN)

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"verdict": "false_alarm", "note": "a planned sale"}]},
    )


class StatusRequest(Asked):
    status: Status
