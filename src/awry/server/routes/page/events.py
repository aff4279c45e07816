"""Events: what was found, why, and what people say of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from awry.ops import extracts, neighbours
from awry.server.auth import Reader, TheService, Writer
from awry.server.event_schemas import AtLeast, Cursor, Number, Source, Status
from awry.server.pages.render import PageRoute, called, go, query, show
from awry.server.routes.page import forms

router = APIRouter(route_class=PageRoute)
_LIMIT = 50
#: Normal rows, or points on each side, beside those of an event.
_BESIDE = 4
#: Part of the score from which on a column is named in a title.
_HEAVY = 0.15


@router.get("/page/events")
def listed(
    request: Request,
    service: TheService,
    _: Reader,
    source: Source = None,
    status: Status | Annotated[str, Query(pattern="^$")] | None = None,
    severity: AtLeast | Annotated[str, Query(pattern="^$")] = None,
    incident: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    cursor: Cursor = None,
) -> Response:
    # A choice of "all" comes as an empty value.
    chosen: dict[str, Any] = {
        "source": source or None, "status": status or None, "severity": severity or None,
        "incident": incident,
    }  # fmt: skip
    page = service.lookup.events(**chosen, cursor=cursor, limit=_LIMIT)
    return show(
        request,
        "events.html",
        events=page.rows,
        counts=service.lookup.counts(chosen["source"]),
        chosen=chosen,
        filtered=any(chosen.values()) or cursor is not None,
        sources=sorted({one["source"] for one in service.overview.sources()}),
        next=page.next and query("/page/events", **chosen, cursor=page.next),
    )


@router.get("/page/events/{id}")
def event(id: Number, request: Request, service: TheService, _: Reader) -> Response:
    one = service.lookup.event(id)
    extract = one["extract"]
    return show(
        request,
        "event.html",
        event=one,
        # A place in a request or a topic says nothing to people.
        peak="" if "/" in one["peak"] else one["peak"].removesuffix(".000000").replace("T", " "),
        channels=extract.get("channels", []),
        points=_points(extract) if extract.get("kind") == "series" else [],
        **seen(service, one),
    )


@router.post("/page/events/{id}/feedback")
def feedback(id: Number, service: TheService, caller: Writer, form: forms.Form) -> Response:
    verdict = forms.text(form, "verdict")
    service.feedback.give(id, verdict, note=forms.text(form, "note", most=2_000), by=caller.id)
    return go(f"/page/events/{id}", done=verdict)


@router.post("/page/events/{id}/status")
def status(id: Number, service: TheService, caller: Writer, form: forms.Form) -> Response:
    wanted = forms.text(form, "status")
    service.feedback.set_status(id, wanted, by=caller.id)
    return go(f"/page/events/{id}", done=wanted)


def seen(service: TheService, one: dict[str, Any]) -> dict[str, Any]:
    """What pages show of an event: its title, its picture, and its row beside normal ones."""
    cells = one["extract"].get("row") or {}
    blamed = [reason["column"] for reason in one["reasons"] if reason["column"] in cells]
    picture = extracts.picture(one)
    beside = neighbours.of_event(service, one, count=_BESIDE)
    return {
        "title": _title(one),
        "rows": one["kind"].startswith("row"),
        # Neither a row nor a point of a series, whose peak is a moment.
        "streamed": "/" in one["peak"] and not one["kind"].startswith("row"),
        "cells": cells,
        "heavy": _heavy(one),
        "order": [*blamed, *(name for name in cells if name not in blamed)],
        "neighbours": beside.rows,
        "beside_words": beside.words,
        "picture": picture and picture.html(),
    }


def _title(one: dict[str, Any]) -> str:
    named = " and ".join(_heavy(one)[:2])
    joined = ": unusual " if one["kind"].startswith("row") else " of "
    return called(one) + (joined + named if named else "")


def _heavy(one: dict[str, Any]) -> list[str]:
    """The columns that have a part in an event worth the name."""
    return [reason["column"] for reason in one["reasons"] if (reason["share"] or 0) >= _HEAVY]


def _points(extract: dict[str, Any]) -> list[dict[str, Any]]:
    """The highest point of a series' event among the nearest that were not flagged."""
    first, peak, last = extract["place"]
    calm = [i for i, level in enumerate(extract["severity"]) if not level]
    before = [i for i in calm if i < first][-_BESIDE:]
    after = [i for i in calm if i > last][:_BESIDE]
    return [
        {
            "at": extract["times"][i],
            "peak": i == peak,
            "score": extract["scores"][i],
            "values": list(zip(extract["values"][i], extract["expected"][i], strict=True)),
        }
        for i in [*before, peak, *after]
    ]
