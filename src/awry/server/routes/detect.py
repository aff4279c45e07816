"""Judging rows, here and now or as a job."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from awry.server.auth import Reader, TheService, Writer
from awry.server.bodies import StrictRoute
from awry.server.quick import answered
from awry.server.schemas import BatchRequest, DetectAnswer, DetectRequest, Job

router = APIRouter(prefix="/detect", tags=["detect"], route_class=StrictRoute)


@router.post("", response_model=DetectAnswer, summary="Judge rows")
def detect(asked: DetectRequest, request: Request, service: TheService, _: Reader) -> Any:
    """By the model that is named, else by the champion of the model of this method for these
    columns, else, where the rows are enough, by themselves.

    Each row is judged by itself: one that the model cannot read comes back with its problems, and
    the others are judged."""
    answer = service.judging.detect(
        asked.data,
        method=asked.method,
        model=asked.model,
        version=asked.version,
        threshold=asked.threshold,
        explain=asked.explain,
    )
    return answered(request.app.state.metrics, answer)


@router.post("/batch", response_model=Job, status_code=202, summary="Judge a data set, as a job")
def batch(asked: BatchRequest, service: TheService, caller: Writer) -> Any:
    """Follow it at `/jobs/{id}`; its rows are at `/jobs/{id}/result`."""
    return service.submit("detect", asked.model_dump(exclude_none=True), by=caller.id)
