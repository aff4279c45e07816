"""Alerts: the rules, what fires, and what became of telling it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from awry.core.plain import plain
from awry.server.alert_schemas import (
    Alert,
    AlertPage,
    DeliveryPage,
    DeliveryState,
    Kept,
    Received,
    RuleName,
    Rules,
    SinkName,
    State,
)
from awry.server.auth import Admin, Reader, TheService, Writer
from awry.server.bodies import StrictRoute
from awry.server.event_schemas import AtLeast, Cursor, Limit, Number

router = APIRouter(prefix="/alerts", tags=["alerts"], route_class=StrictRoute)


@router.get("/rules", response_model=Rules, summary="The rules of alerts")
def rules(service: TheService, _: Reader) -> Any:
    return {"rules": [plain(rule.save()) for rule in service.alerts.rules()]}


@router.put("/rules", response_model=Rules, summary="Put rules in the place of all there are")
def set_rules(asked: Rules, service: TheService, caller: Admin) -> Any:
    """What a rule fired that is there no longer is over."""
    given = [rule.model_dump() for rule in asked.rules]
    return {"rules": [plain(rule.save()) for rule in service.alerts.set_rules(given, by=caller.id)]}


@router.get("", response_model=AlertPage, summary="Alerts, those that began last first")
def alerts(
    service: TheService,
    _: Reader,
    state: State | None = None,
    severity: AtLeast = None,
    rule: RuleName = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Any:
    return service.alerts.list(
        state=state, severity=severity, rule=rule, cursor=cursor, limit=limit
    )


@router.get("/deliveries", response_model=DeliveryPage, summary="What sinks were to be told")
def deliveries(
    service: TheService,
    _: Admin,
    state: DeliveryState | None = None,
    sink: SinkName = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Any:
    """A delivery is `dead` where its sink will not take it, or did not for hours."""
    return service.alerts.outbox.list(state=state, sink=sink, cursor=cursor, limit=limit)


@router.post("/received", response_model=Kept, summary="Take an Alertmanager's webhook")
def received(asked: Received, service: TheService, _: Writer) -> Any:
    """Its alerts are kept among the others, and handed to the sinks; told once more, once."""
    return {"changed": service.alerts.receive(one.firing() for one in asked.alerts)}


@router.post("/{id}/acknowledge", response_model=Alert, summary="Say that somebody sees to it")
def acknowledge(id: Number, service: TheService, caller: Writer) -> Any:
    """It is not told again, nor escalated."""
    return service.alerts.acknowledge(id, by=caller.id)
