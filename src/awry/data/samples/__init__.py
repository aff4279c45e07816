"""Small real data sets that ship with awry; README.md beside this file says where they are from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from awry.core.errors import DataError


def path(name: str) -> Path:
    """Where the sample called ``name`` lies.

    Examples
    --------
    >>> path("wdbc").name
    'wdbc.csv'
    """
    folder = Path(str(files("awry.data.samples")))
    known = {p.stem: p for p in folder.glob("*.csv")}
    if name not in known:
        raise DataError(f"there is no sample {name!r}", remedy=f"choose one of {', '.join(known)}")
    return known[name]
