"""Jobs: how far they are, and what came of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from awry.server.auth import Reader, TheService, Writer
from awry.server.bodies import StrictRoute
from awry.server.schemas import Job, JobId, Page

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=StrictRoute)


@router.get("", response_model=list[Job], summary="The newest jobs")
def listed(
    service: TheService, _: Reader, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> Any:
    return service.jobs.list(limit=limit)


@router.get("/{id}", response_model=Job, summary="One job")
def one(id: JobId, service: TheService, _: Reader) -> Any:
    return service.jobs.get(id)


@router.post("/{id}/cancel", response_model=Job, status_code=202, summary="Stop a job")
def cancel(id: JobId, service: TheService, _: Writer) -> Any:
    return service.jobs.cancel(id)


@router.get("/{id}/result", response_model=Page, summary="Rows of a batch job's result")
def result(
    id: JobId,
    service: TheService,
    _: Reader,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    flagged: Annotated[
        bool, Query(description="Flagged rows alone, the highest score first.")
    ] = False,
) -> Any:
    job = service.jobs.get(id)
    rows = service.workshop.page(job, offset=offset, limit=limit, flagged=flagged)
    return {"offset": offset, "rows": rows}


@router.get(
    "/{id}/result.parquet",
    response_class=FileResponse,
    responses={200: {"content": {"application/vnd.apache.parquet": {}}}},
    summary="The whole result, as Parquet",
)
def result_file(id: JobId, service: TheService, _: Reader) -> FileResponse:
    path = service.workshop.file(service.jobs.get(id))
    return FileResponse(path, media_type="application/vnd.apache.parquet", filename=f"{id}.parquet")
