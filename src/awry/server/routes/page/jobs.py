"""Jobs: how far they are, and what came of them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from awry.server.auth import Reader, TheService, Writer
from awry.server.pages.render import PageRoute, go, show
from awry.server.routes.page import forms
from awry.server.schemas import JobId

router = APIRouter(route_class=PageRoute)
_LIVE = ("queued", "running")


@router.get("/page/jobs")
def listed(request: Request, service: TheService, _: Reader) -> Response:
    jobs = service.jobs.list(limit=50)
    live = any(job["state"] in _LIVE for job in jobs)
    return show(request, "jobs.html", jobs=jobs, live=live)


@router.get("/page/jobs/{id}")
def job(id: JobId, request: Request, service: TheService, _: Reader) -> Response:
    found = service.jobs.get(id)
    return show(request, "job.html", job=found, live=found["state"] in _LIVE)


@router.post("/page/jobs/{id}/cancel")
def cancel(id: JobId, service: TheService, _: Writer, form: forms.Form) -> Response:
    service.jobs.cancel(id)
    return go(f"/page/jobs/{id}", done="cancelled")


@router.get("/page/jobs/{id}/result.parquet")
def result(id: JobId, service: TheService, _: Reader) -> FileResponse:
    path = service.workshop.file(service.jobs.get(id))
    return FileResponse(path, media_type="application/vnd.apache.parquet", filename=f"{id}.parquet")
