"""Data sets and other sources: what they hold, what stands out, and what to do about it."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.background import BackgroundTask

from awry.core import registry
from awry.core.errors import AwryError
from awry.ops.errors import NotFoundError, OpsError
from awry.server.auth import Reader, TheService, Writer
from awry.server.errors import status_of
from awry.server.pages import pictures
from awry.server.pages.render import CHOOSING, PageRoute, complaint, go, show
from awry.server.routes.page import forms

router = APIRouter(route_class=PageRoute)
Name = Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
#: Anomalies shown, and running jobs looked for among so many.
_TOP, _JOBS = 12, 50


@router.get("/page/data")
def data(request: Request, service: TheService, _: Reader) -> Response:
    answer = _listed(request, service)
    # The list of methods takes a moment the first time, and the next page needs it.
    answer.background = BackgroundTask(_methods)
    return answer


@router.post("/page/upload")
def upload(request: Request, service: TheService, _: Writer, form: forms.Form) -> Response:
    name = forms.text(form, "name")
    try:
        service.datasets.add(name, forms.file(form, "file").file)
    except AwryError as error:
        return _listed(request, service, error=error, name=name)
    return go("/page/source", name=name, done="uploaded")


@router.get("/page/source")
def source(request: Request, service: TheService, _: Reader, name: Name) -> Response:
    return _source(request, service, name)


@router.post("/page/detect")
def detect(request: Request, service: TheService, caller: Writer, form: forms.Form) -> Response:
    name, model = forms.text(form, "dataset"), forms.text(form, "by")
    asked: dict[str, Any] = {"dataset": name}
    asked |= {"model": model} if model else {"method": forms.text(form, "method") or "auto"}
    return _begin(request, service, form, "detect", asked, caller.id)


@router.post("/page/train")
def train(request: Request, service: TheService, caller: Writer, form: forms.Form) -> Response:
    asked = {
        "dataset": forms.text(form, "dataset"),
        "name": forms.text(form, "model"),
        "method": forms.text(form, "method") or "auto",
    }
    return _begin(request, service, form, "train", asked, caller.id)


@router.post("/page/drift")
def drift(request: Request, service: TheService, caller: Writer, form: forms.Form) -> Response:
    name = forms.text(form, "dataset")
    try:
        asked = service.drift.prepare(name, {"model": forms.text(form, "by")})
        job = service.jobs.submit("drift", asked, by=caller.id)
    except AwryError as error:
        return _source(request, service, name, error=error)
    return go(f"/page/jobs/{job['id']}")


def _begin(
    request: Request, service: TheService, form: forms.Form, kind: str, asked: dict[str, Any],
    by: str,
) -> Response:  # fmt: skip
    """Queue a job and show it; what cannot be done is told on the page it was asked on."""
    try:
        share = forms.share(form)
        job = service.submit(kind, asked if share is None else {**asked, "threshold": share}, by=by)
    except AwryError as error:
        return _source(request, service, asked["dataset"], error=error)
    return go(f"/page/jobs/{job['id']}")


def _listed(
    request: Request, service: TheService, *, error: AwryError | None = None, name: str = ""
) -> Response:
    known = {one["source"]: one for one in service.overview.sources()}
    datasets = sorted(service.datasets.list(), key=lambda one: -one["created"])
    names = {one["name"] for one in datasets}
    return show(
        request,
        "data.html",
        status=200 if error is None else status_of(error),
        datasets=datasets,
        sources=known,
        others=[one for one in known.values() if one["source"] not in names],
        error=None if error is None else complaint(error),
        name=name,
    )


def _source(
    request: Request, service: TheService, name: str, *, error: AwryError | None = None
) -> Response:
    dataset = next((one for one in service.datasets.list() if one["name"] == name), None)
    judged = next((one for one in service.overview.sources() if one["source"] == name), None)
    if dataset is None and judged is None:
        raise NotFoundError(f"there is no data set or stream {name!r}")
    latest = service.overview.latest(name) if judged else None
    found = service.overview.scores(latest) if latest else None
    newest = latest["id"] if latest else None
    events = service.lookup.gravest(name, judgement=newest, limit=_TOP) if judged else []
    return show(
        request,
        "source.html",
        status=200 if error is None else status_of(error),
        name=name,
        dataset=dataset,
        judged=judged,
        counts=service.lookup.counts(name),
        drift=service.overview.drift().get(name),
        jobs=[
            job for job in service.jobs.list(limit=_JOBS)
            if job["state"] in ("queued", "running") and job["request"].get("dataset") == name
        ],
        latest=latest,
        method=_method(service, latest),
        pictures=pictures.scores(found, latest) if found and latest else [],
        rates=pictures.rates(service.overview.rates(name)) if judged else None,
        events=events,
        models=service.models.list(),
        methods=_methods(),
        error=None if error is None else complaint(error),
    )  # fmt: skip


def _method(service: TheService, latest: dict[str, Any] | None) -> str | None:
    if latest is None or latest["job"] is None:
        return None
    try:
        result = service.jobs.get(latest["job"])["result"]
    except OpsError:
        return None
    method: str | None = (result or {}).get("method")
    return method


@cache
def _methods() -> list[tuple[str, list[tuple[str, str]]]]:
    """The detectors that need no labels, by family."""
    families: dict[str, list[tuple[str, str]]] = {}
    for modality in ("table", "series"):
        for card in registry.cards(modality):
            if card.supervision != "required" and card.name not in CHOOSING:
                family = f"{card.family} ({modality})" if modality != "table" else card.family
                families.setdefault(family, []).append((card.name, card.summary))
    return list(families.items())
