"""Models: their versions, and which of them answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from awry.data.wording import number, share
from awry.ops.errors import NotFoundError, UnfitError
from awry.server.auth import Admin, Reader, TheService
from awry.server.pages.render import PageRoute, go, method, show, when
from awry.server.routes.page import forms
from awry.server.schemas import NameInPath

router = APIRouter(route_class=PageRoute)
#: Versions shown, the newest.
_VERSIONS = 30


@router.get("/page/models")
def listed(request: Request, service: TheService, _: Reader) -> Response:
    models = service.models.list()
    return show(
        request,
        "models.html",
        models=[{**one, "best": _loose(service.models.version(one["name"]))} for one in models],
    )


@router.get("/page/models/{name}")
def model(
    name: NameInPath,
    request: Request,
    service: TheService,
    _: Reader,
    challenger: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Response:
    champion = service.models.version(name)
    numbers = next(one for one in service.models.list() if one["name"] == name)["versions"]
    versions = [service.models.version(name, n) for n in numbers[: -_VERSIONS - 1 : -1]]
    if challenger is None:  # the newest that is not in charge
        challenger = next((one["version"] for one in versions if not one["champion"]), None)
    other = None if challenger is None else service.models.version(name, challenger)
    if other is not None and other["champion"]:
        other = None
    trial = _trial(service, name)
    record = service.overview.record(name)
    sides = [_side(one, record.get(one["version"], {})) for one in (champion, other) if one]
    return show(
        request,
        "model.html",
        name=name,
        champion=_loose(champion),
        versions=[_loose(one) for one in versions],
        record=record,
        challenger=other,
        trial=trial,
        history=service.overview.promotions(name),
        compared=[(words, value, sides[-1][words]) for words, value in sides[0].items()],
    )


@router.post("/page/models/{name}/promote")
def promote(name: NameInPath, service: TheService, caller: Admin, form: forms.Form) -> Response:
    service.models.promote(name, _version(form), by=caller.id)
    return go(f"/page/models/{name}", done="promoted")


@router.post("/page/models/{name}/try")
def try_beside(name: NameInPath, service: TheService, caller: Admin, form: forms.Form) -> Response:
    service.rollout.start(name, _version(form), by=caller.id)
    return go(f"/page/models/{name}", done="tried")


@router.post("/page/models/{name}/stop")
def stop(name: NameInPath, service: TheService, caller: Admin, _: forms.Form) -> Response:
    service.rollout.stop(name, by=caller.id)
    return go(f"/page/models/{name}", done="stopped")


@router.post("/page/models/{name}/rollback")
def rollback(name: NameInPath, service: TheService, caller: Admin, form: forms.Form) -> Response:
    service.models.rollback(name, by=caller.id)
    return go(f"/page/models/{name}", done="rolled_back")


def _version(form: forms.Form) -> int:
    text = forms.text(form, "version")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise UnfitError("there is no such version", field="version")
    return int(text)


def _trial(service: TheService, name: str) -> dict[str, Any] | None:
    """How a challenger does beside the champion, in rows of words; None where none is tried."""
    try:
        found = service.rollout.comparison(name)
    except NotFoundError:
        return None
    rate, auprc = found["alert_rate"], found["auprc"]
    told = [
        ("Flagged", rate["champion"], rate["challenger"], rate["difference"], share),
        *(
            (f"Latency, {q}", one, found["latency_ms"]["challenger"][q], None, _milliseconds)
            for q, one in found["latency_ms"]["champion"].items()
        ),
    ]
    if auprc["champion"] is not None:
        sides = (auprc["champion"], auprc["challenger"], auprc["difference"])
        told.append(("Average precision on labelled rows", *sides, number))
    lines = [(words, *(_interval(one, put) for one in sides)) for words, *sides, put in told]
    return {**found, "lines": lines, "agreed": _interval(found["agreement"], share)}


def _interval(one: Any, put: Callable[[float], str]) -> str:
    """A figure, with the interval in which it lies with 95 % confidence where that is known."""
    if isinstance(one, float):
        return put(one)
    if one is None or one["value"] is None:
        return "–"
    value, low, high = (
        "–" if one[k] is None else f"{'−' if one[k] < 0 else ''}{put(abs(one[k]))}"
        for k in ("value", "low", "high")
    )
    return f"{value} ({low} to {high})"


def _milliseconds(value: float) -> str:
    return f"{number(float(f'{value:.3g}'))} ms"


def _loose(version: dict[str, Any]) -> dict[str, Any]:
    """A version as templates take it: one that was put there by hand tells no data set."""
    return {"dataset": None, **version}


def _side(version: dict[str, Any], record: dict[str, int]) -> dict[str, str]:
    """What is compared of a version, in words."""
    dataset, rate = version.get("dataset") or {}, version.get("stated_rate")
    rows, flagged = record.get("rows", 0), record.get("flagged", 0)
    return {
        "Method": method(version["method"]),
        "Learnt from": dataset.get("name", "–"),
        "Rows learnt from": f"{version['rows']:,}",
        "Columns": f"{len(version['columns']):,}",
        "Threshold": number(version["threshold"]),
        "Flags of normal data": "–" if rate is None else share(rate),
        "Rows judged": f"{rows:,}",
        "Flagged": share(flagged / rows) if rows else "–",
        "Events": f"{record.get('events', 0):,}",
        "Confirmed": f"{record.get('confirmed', 0):,}",
        "False alarms": f"{record.get('false_alarm', 0):,}",
        "Trained": when(version["created"]),
    }
