"""Drift of data sets, and of what models are asked."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from awry.server.auth import Reader, TheService, Writer
from awry.server.bodies import StrictRoute
from awry.server.event_schemas import Cursor, Limit
from awry.server.rollout_schemas import DriftPage, DriftRequest
from awry.server.schemas import Job, NameInPath

router = APIRouter(prefix="/drift", tags=["drift"], route_class=StrictRoute)


@router.get("/{dataset}", response_model=DriftPage, summary="Drift reports, the newest first")
def reports(
    dataset: NameInPath,
    service: TheService,
    _: Reader,
    drifted: bool | None = None,
    cursor: Cursor = None,
    limit: Limit = 10,
) -> Any:
    """Of a data set, or of a model: what its requests ask, beside what it learnt from."""
    return service.drift.reports(dataset, drifted=drifted, cursor=cursor, limit=limit)


@router.post("/{dataset}", response_model=Job, status_code=202, summary="Compare, as a job")
def compare(dataset: NameInPath, asked: DriftRequest, service: TheService, caller: Writer) -> Any:
    """A data set with another one, or with what a model learnt from."""
    request = service.drift.prepare(dataset, asked.model_dump(exclude_none=True))
    return service.jobs.submit("drift", request, by=caller.id)
