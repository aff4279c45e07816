"""What forms of a page send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from starlette.datastructures import FormData, UploadFile

from awry.ops.errors import UnfitError

_FIELDS = 20


async def _form(request: Request) -> AsyncIterator[FormData]:
    """The form of a request that came from one of this session's pages."""
    async with request.form(max_files=1, max_fields=_FIELDS) as form:
        state = request.state
        if not state.sessions.holds(state.visitor.session, form.get("token")):
            raise HTTPException(
                403, "this form is too old, or of another page: go back, load it again and retry"
            )
        yield form


#: The form, in a route; who may not send it is refused before it is read, if the caller's
#: dependency stands before it.
Form = Annotated[FormData, Depends(_form)]


def text(form: FormData, name: str, *, most: int = 200) -> str:
    """A field, without what databases do not take; empty where it was left so."""
    value = form.get(name)
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "").encode("utf-8", "replace").decode().strip()[:most]


def file(form: FormData, name: str) -> UploadFile:
    """The file of a field."""
    found = form.get(name)
    if not isinstance(found, UploadFile) or not found.filename:
        raise UnfitError("no file was chosen", field=name, remedy="choose one and upload it again")
    return found


def share(form: FormData) -> float | None:
    """The share of rows to flag, given in per cent; None where it was left empty.

    Raises
    ------
    UnfitError
        Where it is no number, or none between 0 and 50.
    """
    given = text(form, "share").replace(",", ".").rstrip("% ")
    if not given:
        return None
    try:
        percent = float(given)
    except ValueError:
        percent = float("nan")
    if not 0 < percent < 50:
        raise UnfitError(
            "the share to flag must be a number between 0 and 50 per cent", field="share",
            remedy="give 1 to flag one row in a hundred, or leave it empty",
        )  # fmt: skip
    return percent / 100
