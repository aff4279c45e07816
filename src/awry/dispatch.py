"""Which model judges a table: its rows, or the series they are the points of."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from awry.core import registry
from awry.core.errors import DataError
from awry.data.roles import NotSeries, find_roles
from awry.judge import Judge
from awry.model import Model
from awry.series_model import SeriesModel

#: What data may be judged as.
AS = ("auto", "table", "series")
_LISTS = ("by", "context", "ignore", "value")


def make_model(table: pa.Table, as_: str, settings: dict[str, Any]) -> tuple[Judge, list[str]]:
    """The unfitted model for ``table``, and what was decided, in words.

    Parameters
    ----------
    as_ : {"auto", "table", "series"}
        ``"auto"``: a detector that is named and settings that only one of the models has decide,
        else what :func:`~awry.data.roles.find_roles` makes of the columns.
    settings : dict
        Parameters of either model.

    Raises
    ------
    TypeError
        Where neither model has a setting.
    DataError
        Where the model has not, or no series can be made of the table.
    """
    if as_ not in AS:
        raise ValueError(f"as_ must be one of {', '.join(map(repr, AS))}, got {as_!r}")
    own: dict[str, type[Judge]] = {"table": Model, "series": SeriesModel}
    known = {kind: cls._get_param_names() for kind, cls in own.items()}
    everything = dict.fromkeys([*known["table"], *known["series"]])
    for name in settings:
        if name not in everything:
            raise TypeError(f"awry has no setting {name!r}; it has: {', '.join(everything)}")
    # A setting at its default asks for nothing.
    said = {k: v for k, v in settings.items() if v is not None and v is not False}
    notes: list[str] = []
    kind = as_
    if as_ == "auto":
        kind, notes = _kind(table, said, known)
    for name in said:
        if name not in known[kind]:
            other = "series" if kind == "table" else "table"
            raise DataError(
                f"the setting {name!r} is for data judged as {other}, this is judged as {kind}",
                remedy=f"leave it out, or say --as {other}",
            )
    given = {
        k: [v] if k in _LISTS and isinstance(v, str) and v != "auto" else v
        for k, v in settings.items()
        if k in known[kind]
    }
    return own[kind](**given), notes


def _kind(
    table: pa.Table, said: dict[str, Any], known: dict[str, list[str]]
) -> tuple[str, list[str]]:
    """``"table"`` or ``"series"``, and why where that is not plain."""
    for name in said:
        for kind, other in (("table", "series"), ("series", "table")):
            if name not in known[other]:
                return kind, []
    detector = said.get("detector", "auto")
    if detector != "auto":
        named = isinstance(detector, str)
        card = registry.get(detector).card if named else detector.card
        return ("series" if card.modality == "series" else "table"), []
    look = {k: said[k] for k in ("by", "kinds", "ignore") if k in said}
    if isinstance(look.get("by"), str):
        look["by"] = [look["by"]]
    if isinstance(look.get("ignore"), str):
        look["ignore"] = [look["ignore"]]
    found = find_roles(table, **look)
    if isinstance(found, NotSeries):
        why = f"judged row by row, not as series: {found.why} (--as series overrides)"
        return "table", [why] if found.why else []
    return "series", []
