"""What was found: anomalies, events, incidents, and what people say of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from awry.ops import audit, extracts, live, rollup
from awry.ops.errors import NotFoundError
from awry.server.auth import Admin, Reader, TheService, Writer
from awry.server.bodies import StrictRoute
from awry.server.event_schemas import (
    AnomalyPage,
    AtLeast,
    AuditPage,
    Counts,
    Cursor,
    Event,
    EventPage,
    Feature,
    FeedbackRequest,
    IncidentPage,
    Limit,
    LiveRate,
    ModelName,
    Number,
    Rate,
    Since,
    Source,
    Status,
    StatusRequest,
    Until,
    seconds,
)
from awry.server.schemas import SOME_TEXT_PATTERN

router = APIRouter(tags=["findings"], route_class=StrictRoute)

#: A picture holds styles of its own and loads nothing.
_SVG_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
#: The longest time of which rates are told at once.
_MOST_HOURS = 24 * 366


@router.get("/anomalies", response_model=AnomalyPage, summary="Flagged items, the newest first")
def anomalies(
    service: TheService,
    _: Reader,
    source: Source = None,
    model: ModelName = None,
    severity: AtLeast = None,
    status: Status | None = None,
    feature: Feature = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Any:
    """`status` and `feature` are those of the events that items are in."""
    return service.lookup.anomalies(
        source=source, model=model, severity=severity, status=status, feature=feature,
        since=seconds(since), until=seconds(until), cursor=cursor, limit=limit,
    )  # fmt: skip


@router.get("/events", response_model=EventPage, summary="Events, the newest first")
def events(
    service: TheService,
    _: Reader,
    source: Source = None,
    model: ModelName = None,
    severity: AtLeast = None,
    status: Status | None = None,
    feature: Feature = None,
    incident: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Any:
    """Flagged items that belong together; `since` and `until` take those under way in between."""
    return service.lookup.events(
        source=source, model=model, severity=severity, status=status, feature=feature,
        incident=incident, since=seconds(since), until=seconds(until), cursor=cursor, limit=limit,
    )  # fmt: skip


@router.get("/events/counts", response_model=Counts, summary="Events by status and by verdict")
def counts(service: TheService, _: Reader, source: Source = None) -> Any:
    return service.lookup.counts(source)


@router.get("/events/{id}", response_model=Event, summary="An event, and why")
def event(id: Number, service: TheService, _: Reader) -> Any:
    return service.lookup.event(id)


@router.get(
    "/events/{id}/picture.svg",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}},
    summary="A picture of an event and what surrounds it",
)
def picture(id: Number, service: TheService, _: Reader) -> Response:
    shown = extracts.picture(service.lookup.event(id))
    if shown is None:
        raise NotFoundError(f"there is no picture of event {id}", field="id")
    return Response(extracts.svg(shown), media_type="image/svg+xml", headers=_SVG_HEADERS)


@router.post("/events/{id}/feedback", response_model=Event, summary="Say what an event was")
def feedback(id: Number, asked: FeedbackRequest, service: TheService, caller: Writer) -> Any:
    """A confirmed event is acknowledged, a false alarm resolved. All is kept, the newest counts."""
    return service.feedback.give(id, asked.verdict, note=asked.note, by=caller.id)


@router.post("/events/{id}/status", response_model=Event, summary="Open or close an event")
def status(id: Number, asked: StatusRequest, service: TheService, caller: Writer) -> Any:
    return service.feedback.set_status(id, asked.status, by=caller.id)


@router.get("/incidents", response_model=IncidentPage, summary="Incidents, the newest first")
def incidents(
    service: TheService,
    _: Reader,
    source: Source = None,
    severity: AtLeast = None,
    status: Status | None = None,
    feature: Feature = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Any:
    """Events that belong together; their events are at `/events?incident=`."""
    return service.lookup.incidents(
        source=source, severity=severity, status=status, feature=feature, since=seconds(since),
        until=seconds(until), cursor=cursor, limit=limit,
    )  # fmt: skip


@router.get("/rates", response_model=list[Rate], summary="What was judged and flagged each hour")
def rates(
    service: TheService,
    _: Reader,
    source: Annotated[str, Query(pattern=SOME_TEXT_PATTERN, max_length=200, examples=["payments"])],
    since: Since = None,
    until: Until = None,
) -> Any:
    """The last seven days by default; of a longer time than a year, its end."""
    end = seconds(until or datetime.now(UTC) + timedelta(hours=1)) or 0.0
    begin = end - 7 * 86_400 if since is None else seconds(since) or 0.0
    begin = max(begin, end - _MOST_HOURS * 3600)
    return rollup.rates(service.store, source=source, since=begin, until=end)


@router.get("/rates/now", response_model=LiveRate, summary="What is judged and flagged just now")
def rates_now(
    service: TheService,
    _: Reader,
    source: Annotated[str, Query(pattern=SOME_TEXT_PATTERN, max_length=200, examples=["payments"])],
    minutes: Annotated[int, Query(ge=1, le=live.MINUTES)] = 5,
) -> Any:
    """Of requests, in all processes that share Redis; of this one alone without it."""
    return service.live.now(source, minutes)


@router.get("/audit", response_model=AuditPage, summary="Who did what, the newest first")
def audited(service: TheService, _: Admin, cursor: Cursor = None, limit: Limit = 100) -> Any:
    return audit.entries(service.store, cursor=cursor, limit=limit)
