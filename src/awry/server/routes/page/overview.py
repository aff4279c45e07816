"""The first page: how all is."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from awry.server.auth import Reader, TheService, Writer
from awry.server.event_schemas import Number
from awry.server.pages import pictures
from awry.server.pages.render import PageRoute, go, show, when
from awry.server.routes.page import forms

router = APIRouter(route_class=PageRoute)
#: Incidents and sources that are shown.
_INCIDENTS, _SOURCES = 8, 12
_DAY = 86_400.0


@router.get("/")
def overview(request: Request, service: TheService, _: Reader) -> Response:
    known = service.overview.sources()[:_SOURCES]
    drift = service.overview.drift()
    incidents = service.lookup.incidents(status="open", limit=_INCIDENTS)
    health = service.ready()
    return show(
        request,
        "overview.html",
        sources=[one | _pictured(service, one["source"]) | {"drift": drift.get(one["source"])}
                 for one in known],
        datasets=sorted(service.datasets.list(), key=lambda one: -one["created"]),
        models=service.models.list(),
        incidents=incidents.rows,
        alerts=service.alerts.list(state="firing", limit=_INCIDENTS).rows,
        open_incidents=service.overview.open_incidents(),
        more_incidents=incidents.next is not None,
        open_events=service.lookup.counts()["status"].get("open", 0),
        day=service.overview.judged(time.time() - _DAY),
        jobs=service.jobs.count(),
        health=health,
        unwell=[name for name, probe in health.items() if not probe["ok"]],
    )  # fmt: skip


@router.post("/page/alerts/{id}/acknowledge")
def acknowledge(id: Number, service: TheService, caller: Writer, _: forms.Form) -> Response:
    service.alerts.acknowledge(id, by=caller.id)
    return go("/", done="seen_to")


def _pictured(service: TheService, source: str) -> dict[str, Any]:
    rates = service.overview.rates(source)
    picture = pictures.rates(rates, bare=True)
    if picture is None:
        # Rows of a data set without times are all of the hour in which they were judged.
        batch = service.overview.latest(source) is not None
        return {
            "picture": None,
            "span": "no times in these data" if batch else "less than two hours so far",
        }
    first, last = float(np.min(rates.at)), float(np.max(rates.at)) + 3600
    return {"picture": picture, "span": f"{when(first)} to {when(last)}"}
