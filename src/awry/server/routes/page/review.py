"""Questions about events, one at a time: the one that teaches most, and why it is odd."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from awry.core.errors import AwryError
from awry.ops.errors import UnfitError
from awry.ops.names import PATTERN
from awry.server.auth import Reader, TheService, Writer
from awry.server.pages.render import PageRoute, go, show
from awry.server.routes.page import forms
from awry.server.routes.page.events import seen

router = APIRouter(route_class=PageRoute)


@router.get("/page/review")
def question(
    request: Request,
    service: TheService,
    _: Reader,
    model: Annotated[str | None, Query(pattern=PATTERN)] = None,
) -> Response:
    waiting = service.reviewing.waiting()
    if model is None:
        # Where most is left, most is to be learnt.
        model = max(waiting, key=lambda name: waiting[name], default=None)
    state = None if model is None else service.reviewing.state(model)
    asked = state and state["question"]
    return show(
        request,
        "review.html",
        models=waiting,
        state=state,
        proposal=_proposal(service, state),
        **(seen(service, asked) if asked else {}),
    )


@router.post("/page/review")
def answer(service: TheService, caller: Writer, form: forms.Form) -> Response:
    model, event = forms.text(form, "model"), forms.text(form, "event")
    if not event.isascii() or not event.isdecimal() or len(event) > 18:
        raise UnfitError("there is no such event", field="event")
    verdict, note = forms.text(form, "verdict"), forms.text(form, "note", most=2_000)
    service.reviewing.answer(model, int(event), verdict, note=note, by=caller.id)
    return go("/page/review", model=model, done=verdict)


@router.post("/page/review/threshold")
def apply(service: TheService, caller: Writer, form: forms.Form) -> Response:
    model = forms.text(form, "model")
    service.reviewing.apply(model, by=caller.id)
    return go(f"/page/models/{model}", done="kept")


def _proposal(service: TheService, state: dict[str, Any] | None) -> dict[str, Any] | None:
    """The threshold that the answers speak for; None where there are none, or none can be."""
    if state is None or not state["confirmed"] + state["false_alarms"]:
        return None
    try:
        found: dict[str, Any] = service.reviewing.proposal(state["model"])
    except AwryError:  # of a series, whose threshold is not one number
        return None
    return found
