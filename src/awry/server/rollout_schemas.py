"""What requests and answers of rollout, drift and retraining look like; the examples of OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from awry.server.schemas import TEXT_PATTERN, Asked, Column, Finite, Name, Version

Text = Annotated[str, Field(max_length=1_000, pattern=TEXT_PATTERN)]


class ShadowRequest(Asked):
    version: Version
    reason: Text = Field(default="asked for", description="For the audit log.")


class AbRequest(ShadowRequest):
    share: Finite = Field(gt=0, lt=1, examples=[0.1], description="Of the keys, or requests.")
    key: Text | None = Field(
        default=None,
        min_length=1,
        examples=["card"],
        description="The column whose value decides who answers; else the first row does.",
    )


class Challenger(BaseModel):
    model: str
    version: int
    champion: int
    stage: Literal["shadow", "ab"]
    share: float
    key: str | None
    since: float
    by: str
    automatic: bool = Field(description="Whether a policy decides what becomes of it.")


class Interval(BaseModel):
    value: float | None
    low: float | None
    high: float | None


class AlertRates(BaseModel):
    champion: Interval
    challenger: Interval
    difference: Interval


class Answered(BaseModel):
    rows: int
    alert_rate: Interval
    difference: Interval = Field(description="To the champion's alert rate on its own rows.")


class Quantiles(BaseModel):
    p50: Interval
    p95: Interval


class Latency(BaseModel):
    requests: int = Field(description="That were timed with both.")
    champion: Quantiles
    challenger: Quantiles


class Precision(BaseModel):
    rows: int
    anomalies: int
    champion: float | None
    challenger: float | None
    difference: Interval | None


class Comparison(BaseModel):
    model: str
    champion: int
    challenger: int
    stage: Literal["shadow", "ab"]
    share: float
    key: str | None
    since: float
    rows: int = Field(description="That both judged.")
    agreement: Interval
    alert_rate: AlertRates
    answered: Answered = Field(description="By the challenger, in the stage ab.")
    latency_ms: Latency
    auprc: Precision = Field(description="Average precision on the golden set.")


class GoldenRequest(Asked):
    data: Annotated[list[dict[Column, Any]], Field(min_length=1, max_length=10_000)]
    labels: Annotated[list[Annotated[int, Field(ge=0, le=1)]], Field(max_length=10_000)]

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"data": [{"amount": 9000, "hour": 3}], "labels": [1]}],
        },
    )


class GoldenSummary(BaseModel):
    model: str
    version: int
    at: float
    rows: int
    anomalies: int
    min_recall: float
    max_false_alarms: float
    passed: bool | None = Field(description="null: there is no golden set.")
    reason: str
    recall: float | None = None
    false_alarms: float | None = None
    wrong: list[int] | None = None


class PolicyRequest(Asked):
    policy: dict[Annotated[str, Field(max_length=100)], Any] = Field(
        description="See the guide to retraining; what is left out is as by default.",
        examples=[{"every_hours": 24, "window": "sliding", "promote": "person"}],
    )
    enabled: bool = True


class PolicyKept(BaseModel):
    model: str
    policy: dict[str, Any]
    enabled: bool
    updated: float
    by: str
    tried: float = Field(description="When it was last trained anew, or got its first policy.")
    job: str | None
    decision: str = Field(description="The newest one, in words.")
    decided: float


class DriftRequest(Asked):
    reference: Name | None = Field(default=None, description="A data set to compare with,")
    model: Name | None = Field(default=None, description="or a model, for what it learnt from.")
    version: Version | None = Field(default=None, description="Its champion by default.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"model": "payments"}, {"reference": "payments-2023"}]},
    )


class DriftReport(BaseModel):
    id: int
    source: str
    model: str | None
    version: int | None
    at: float
    drifted: bool
    report: dict[str, Any] = Field(description="Which features moved, how far and in words.")


class DriftPage(BaseModel):
    rows: list[DriftReport]
    next: str | None
