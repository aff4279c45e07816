"""Questions about events, one at a time, and the threshold that the answers speak for."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from awry.ops.names import PATTERN
from awry.server.auth import Reader, TheService, Writer
from awry.server.bodies import StrictRoute
from awry.server.event_schemas import Event, FeedbackRequest
from awry.server.schemas import Asked, ModelVersion, Name

router = APIRouter(prefix="/review", tags=["review"], route_class=StrictRoute)

_Model = Annotated[str, Query(pattern=PATTERN, examples=["payments"])]
_RATE_WORDS = "Normal items that may be flagged, as a share; what the model states by default."


class ReviewState(BaseModel):
    model: str
    question: Event | None = Field(description="null: there is no event left to judge.")
    left: int = Field(description="Events of the model without a verdict.")
    confirmed: int
    false_alarms: int


class ReviewAnswer(FeedbackRequest):
    model: Name
    event: int = Field(ge=1, le=2**63 - 1, examples=[17])

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"model": "payments", "event": 17, "verdict": "false_alarm"}]
        },
    )


class Proposal(BaseModel):
    model: str
    version: int = Field(description="The champion, whose events the verdicts are on.")
    rate: float = Field(description="Wanted: the share of normal items flagged at most.")
    threshold: float
    was: float
    interval: list[float] = Field(
        description="Between which the share of normal items flagged lies.",
        examples=[[0.002, 0.01]],
    )
    reason: str
    marks: int
    confirmed: int
    false_alarms: int
    flagged: float = Field(description="The share of the training data flagged by it.")
    flagged_before: float


class ThresholdRequest(Asked):
    model: Name
    rate: float | None = Field(
        default=None, gt=0, lt=0.5, allow_inf_nan=False, description=_RATE_WORDS
    )

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"model": "payments", "rate": 0.01}]}
    )


@router.get("", response_model=ReviewState, summary="The event that is best asked about next")
def question(model: _Model, service: TheService, _: Reader) -> Any:
    """Of those without a verdict the oddest, as verdicts on others have taught to see it."""
    return service.reviewing.state(model)


@router.post("", response_model=ReviewState, summary="Answer, and get the next question")
def answer(asked: ReviewAnswer, service: TheService, caller: Writer) -> Any:
    """As `/events/{id}/feedback`."""
    return service.reviewing.answer(
        asked.model, asked.event, asked.verdict, note=asked.note, by=caller.id
    )


@router.get("/threshold", response_model=Proposal, summary="The threshold that verdicts speak for")
def proposal(
    model: _Model,
    service: TheService,
    _: Reader,
    rate: Annotated[float | None, Query(gt=0, lt=0.5, description=_RATE_WORDS)] = None,
) -> Any:
    return service.reviewing.proposal(model, rate)


@router.post(
    "/threshold", response_model=ModelVersion, summary="Keep a version with that threshold"
)
def apply(asked: ThresholdRequest, service: TheService, caller: Writer) -> Any:
    """It answers once it is promoted."""
    return service.reviewing.apply(asked.model, asked.rate, by=caller.id)
