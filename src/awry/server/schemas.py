"""What requests hold, and what answers look like; the examples of OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from awry.ops.names import PATTERN

Name = Annotated[str, Field(pattern=PATTERN, examples=["payments"])]
Version = Annotated[int, Field(ge=1, le=2**31 - 1, examples=[1])]
Method = Annotated[str, Field(min_length=1, max_length=100, examples=["isolation_forest"])]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Threshold = Annotated[
    Finite | Annotated[str, Field(max_length=200)],
    Field(
        description="0.01 or quantile:0.99 (share flagged), sigma:3, mad:3.5, pot:0.001, "
        "fixed:0.7 (a score) and so on.",
        examples=[0.01],
    ),
]
Column = Annotated[str, Field(max_length=1_000)]
Columns = Annotated[list[Column], Field(max_length=1_000)]

JOB_PATTERN = "^[0-9a-f]{32}$"
#: Text without NUL, which databases do not take.
TEXT_PATTERN = r"^[^\x00]*$"
#: The same, and not empty.
SOME_TEXT_PATTERN = r"^[^\x00]+$"
CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"

NameInPath = Annotated[str, Path(pattern=PATTERN, examples=["payments"])]
VersionInPath = Annotated[int, Path(ge=1, le=2**31 - 1)]
JobId = Annotated[str, Path(pattern=JOB_PATTERN)]


class Asked(BaseModel):
    """A request: what is not known is refused, and what is of another type, as true for 1."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DetectRequest(Asked):
    data: list[dict[Column, Any]] = Field(description="Rows: an object each, a key a column.")
    method: Method = Field(default="auto", description="Name of a detector, see `awry detectors`.")
    model: Name | None = Field(default=None, description="The model that is to answer.")
    version: Version | None = Field(default=None, description="Its champion by default.")
    threshold: Threshold | None = None
    explain: bool = Field(default=False, description="Whether rows come with reasons.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"data": [{"amount": 1000, "hour": 14}], "method": "isolation_forest"},
                {"data": [{"amount": 1000, "hour": 14}], "model": "payments", "explain": True},
            ]
        },
    )


class Settings(Asked):
    """How data is judged; as on the command line."""

    method: Method = Field(default="auto", description="Name of a detector, see `awry detectors`.")
    params: dict[str, Any] | None = Field(default=None, examples=[{"n_estimators": 200}])
    threshold: Threshold | None = None
    as_: Literal["auto", "table", "series"] | None = Field(default=None, alias="as")
    label: Column | None = None
    context: Columns | Literal["auto"] | None = None
    by: Columns | None = None
    kinds: dict[str, str] | None = Field(default=None, examples=[{"zip": "category"}])
    ignore: Columns | None = None
    time: Column | None = None
    value: Columns | None = None
    random_state: int | None = Field(default=None, ge=0, le=2**31 - 1)


class TrainRequest(Settings):
    name: Name
    dataset: Name = Field(
        description="The data set to learn from; `dataset_name` says the same.",
        validation_alias=AliasChoices("dataset", "dataset_name"),
    )
    promote: bool = Field(default=False, description="Put the new version in charge at once.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "payments", "dataset": "payments-2024", "method": "isolation_forest"}
            ]
        },
    )


class BatchRequest(Settings):
    dataset: Name = Field(
        description="The data set to judge; `dataset` says the same.",
        validation_alias=AliasChoices("dataset_name", "dataset"),
    )
    model: Name | None = Field(default=None, description="The model that is to answer.")
    version: Version | None = None

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"dataset_name": "financial_transactions", "method": "ensemble"}]
        },
    )


class PromoteRequest(Asked):
    version: Version
    force: bool = Field(
        default=False, description="Also where it failed on the golden set; the audit log tells."
    )


class Reason(BaseModel):
    column: str
    value: str
    typical: str
    share: float | None


class CellProblem(BaseModel):
    field: str
    reason: str
    remedy: str


class CellNote(BaseModel):
    field: str
    note: str


class Judged(BaseModel):
    row: int = Field(description="Position in `data`, from 0.")
    score: float | None = Field(description="Higher is more anomalous; null: not judged.")
    anomaly: bool | None = Field(description="null: not judged.")
    severity: Literal["warning", "critical", "emergency"] | None
    reasons: list[Reason] | None = None
    problems: list[CellProblem] | None = Field(
        default=None, description="Why the row was not judged; the others are."
    )
    notes: list[CellNote] | None = Field(
        default=None, description="What training has not seen, of a row that was judged."
    )


class ModelAnswered(BaseModel):
    name: str
    version: int


class DetectAnswer(BaseModel):
    model: ModelAnswered | None = Field(description="null: the rows were judged by themselves.")
    method: str
    rows: int
    flagged: int
    rejected: int = Field(description="Rows with problems, which were not judged.")
    degraded: bool = Field(
        description="Whether time was too short for the second stage of a cascade."
    )
    threshold: float | None
    threshold_reason: str
    results: list[Judged]
    notes: list[str]
    problems: list[str] = Field(description="Cells that could not be used.")


class ColumnType(BaseModel):
    name: str
    type: str


class SetAside(BaseModel):
    total: int
    first: list[str]


class Dataset(BaseModel):
    name: str
    id: str
    created: float = Field(description="Seconds since 1970.")
    rows: int
    bytes: int
    sha256: str = Field(description="Of the file that was uploaded.")
    columns: list[ColumnType]
    problems: SetAside


class ColumnDrift(BaseModel):
    report: int = Field(description="Id of the newest report, at `/drift/{dataset}`.")
    at: float = Field(description="Seconds since 1970.")
    reference: dict[str, Any] = Field(description="What it was compared with.")
    feature: str = Field(description="The column, or what about it moved farthest.")
    drifted: bool
    test: str
    measure: str
    p_value: float | None = Field(description="null: there was too little to test.")
    effect: float | None
    change: str = Field(description="In words.")


class ColumnStats(BaseModel):
    """What a column holds; quantiles, a histogram or levels as its kind has them."""

    name: str
    type: str
    kind: str
    description: str
    missing: int
    drift: ColumnDrift | None = Field(description="null: nothing is compared yet.")

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "name": "amount", "type": "double", "kind": "number",
                    "description": "a number", "missing": 0, "min": 12.0, "max": 900.0,
                    "drift": {
                        "report": 3, "at": 1709251200.0, "reference": {"dataset": "payments-2023"},
                        "feature": "amount", "drifted": True, "test": "ks",
                        "measure": "statistic", "p_value": 0.0002, "effect": 0.21,
                        "change": "median 50 → 61",
                    },
                }
            ]
        },
    )  # fmt: skip


class DatasetStats(BaseModel):
    name: str
    rows: int
    columns: list[ColumnStats]


class ModelListed(BaseModel):
    name: str
    created: float
    champion: int | None
    versions: list[int]


class ModelVersion(BaseModel):
    model: str
    version: int
    champion: bool
    created: float
    sha256: str
    method: str
    columns: list[str]
    threshold: float | None
    threshold_reason: str
    stated_rate: float | None
    rows: int
    card: dict[str, Any]
    detector: dict[str, Any]
    dataset: dict[str, Any] | None = Field(default=None, description="What it learnt from.")
    settings: dict[str, Any] | None = None
    described_columns: list[dict[str, str]]
    job: str | None = None
    golden: dict[str, Any] | None = Field(default=None, description="How it does on known rows.")
    snapshot: dict[str, Any] | None = Field(
        default=None, description="The rows it learnt from, where they are of no data set."
    )
    learnt: dict[str, Any] | None = Field(
        default=None, description="How many rows of the window were left out, and why."
    )
    from_version: int | None = Field(default=None, description="That it was trained anew from.")
    reason: str | None = Field(default=None, description="Why it was trained anew.")
    made_from: dict[str, Any] | None = Field(
        default=None, description="The version it is, with another threshold, and why."
    )


class Job(BaseModel):
    id: str
    kind: Literal["train", "detect", "retrain", "drift"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    request: dict[str, Any]
    by: str
    created: float
    started: float | None
    finished: float | None
    attempts: int
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None


class Page(BaseModel):
    offset: int
    rows: list[dict[str, Any]]


class Probe(BaseModel):
    ok: bool
    needed: bool
    latency_ms: float | None = None
    error: str | None = None


class Ready(BaseModel):
    ready: bool
    degraded: bool
    #: Whether champions are still being loaded: the first requests may take seconds.
    warming: bool
    dependencies: dict[str, Probe]


class Health(BaseModel):
    status: Literal["ok"]
    version: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
    remedy: str | None = None
    errors: list[dict[str, str]] | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "there is no such column",
                    "field": "data.amount",
                    "remedy": "give the columns the model was fitted on",
                }
            ]
        }
    )
