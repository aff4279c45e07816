"""What rules and alerts look like over HTTP; the examples of OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from awry.ops.alert_rules import MOST
from awry.ops.conditions import Firing, level_of
from awry.server.event_schemas import Severity, _Moment, _Page
from awry.server.schemas import CLOCK_PATTERN, TEXT_PATTERN, Asked, Finite, Name

State = Literal["firing", "resolved"]
DeliveryState = Literal["waiting", "done", "dead"]
RuleName = Annotated[
    str | None, Query(max_length=100, pattern=TEXT_PATTERN, description="Name of the rule.")
]
SinkName = Annotated[str | None, Query(max_length=100, pattern=TEXT_PATTERN)]

_Clock = Annotated[str, Field(pattern=CLOCK_PATTERN, examples=["22:00"])]
_Seconds = Annotated[Finite, Field(ge=0, le=366 * 86_400)]
_Label = Annotated[str, Field(max_length=2_000, pattern=TEXT_PATTERN)]


class Quiet(Asked):
    """Hours in which nothing is told; told when they are over, if it still fires."""

    start: _Clock
    end: _Clock
    zone: str = Field(
        default="UTC", max_length=100, pattern=TEXT_PATTERN, examples=["Europe/Berlin"]
    )
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None = Field(
        default=None, max_length=7, description="On which they start; every day by default."
    )


class Rule(Asked):
    name: Name
    kind: Literal["event", "rate", "no_data", "drift", "stale"]
    source: str | None = Field(default=None, max_length=200, pattern=TEXT_PATTERN)
    model: str | None = Field(default=None, max_length=100, pattern=TEXT_PATTERN)
    window: Finite = Field(
        default=900, ge=1, le=366 * 86_400, description="Seconds that are looked at."
    )
    at_least: Severity = Field(default="warning", description="Of events.")
    least: int | None = Field(
        default=None, ge=1, le=10**9, description="Events (1), or rows (100), that it takes."
    )
    threshold: Finite | None = Field(default=None, ge=0, le=1, description="Share flagged.")
    times: Finite | None = Field(
        default=None, ge=1, le=1e6, description="Share flagged, against that of the baseline."
    )
    baseline: Finite = Field(default=3_600, ge=1, le=31 * 86_400)
    severity: Severity = "warning"
    cooldown: _Seconds = Field(default=3_600, description="Seconds an alert is not told again.")
    repeat: _Seconds = Field(default=14_400, description="Told again, while it fires; 0: never.")
    escalate_after: _Seconds = Field(default=0, description="Unacknowledged; 0: never.")
    escalate_to: list[Name] = Field(default=[], max_length=100, description="All by default.")
    sinks: list[Name] = Field(default=[], max_length=100, description="All by default.")
    quiet: list[Quiet] = Field(default=[], max_length=20)
    always: Severity = Field(default="emergency", description="Told in quiet hours, too.")
    enabled: bool = True


class Rules(Asked):
    rules: list[Rule] = Field(max_length=MOST)

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "rules": [
                        {"name": "fraud-spikes", "kind": "rate", "model": "payments",
                         "window": 300, "threshold": 0.01, "times": 3, "severity": "critical",
                         "quiet": [{"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"}]}
                    ]
                }
            ]
        },
    )  # fmt: skip


class Alert(BaseModel):
    id: int
    rule: str
    fingerprint: str = Field(description="Equal for the same rule and thing.")
    state: State
    severity: Severity
    started: float = Field(description="Seconds since 1970.")
    updated: float
    resolved: float | None
    count: int = Field(description="Times it fired, the next within the cool-down of the last.")
    summary: str
    labels: dict[str, str]
    origin: Literal["rule", "alertmanager"]
    acknowledged: float | None
    acknowledged_by: str | None
    told: float | None = Field(description="When sinks were first told of it.")
    escalated: float | None


class AlertPage(_Page):
    rows: list[Alert]


class Delivery(BaseModel):
    id: int
    sink: str
    state: DeliveryState
    message: dict[str, Any]
    attempts: int
    next: float = Field(description="Not tried before.")
    created: float
    updated: float
    error: str | None


class DeliveryPage(_Page):
    rows: list[Delivery]


class ReceivedAlert(BaseModel):
    """One alert of an Alertmanager's message; what else it holds is left out."""

    status: State
    labels: dict[_Label, _Label] = Field(max_length=100)
    annotations: dict[_Label, _Label] = Field(default={}, max_length=100)
    startsAt: _Moment  # noqa: N815 - Alertmanager's name

    def firing(self) -> tuple[bool, float, Firing]:
        """Whether it fires, since when, and what it is."""
        labels = self.labels | {"alertname": self.labels.get("alertname", "alert")[:100]}
        words = self.annotations.get("summary") or labels["alertname"]
        level = level_of(labels.get("severity", ""))
        since = self.startsAt.timestamp()
        return self.status == "firing", since, Firing(labels, level, words)


class Received(BaseModel):
    """What an Alertmanager's webhook sends (version 4)."""

    alerts: list[ReceivedAlert] = Field(max_length=1_000)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": "4",
                    "status": "firing",
                    "alerts": [
                        {"status": "firing", "startsAt": "2024-03-01T00:00:00Z",
                         "labels": {"alertname": "AwryDown", "severity": "critical"},
                         "annotations": {"summary": "awry at api:8000 does not answer"}}
                    ],
                }
            ]
        }
    )  # fmt: skip


class Kept(BaseModel):
    changed: int = Field(description="Alerts that are new, or over.")
