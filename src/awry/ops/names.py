"""Names that people give to data sets and models."""

from __future__ import annotations

import re

from awry.ops.errors import UnfitError

PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}$"
REMEDY = "use up to 100 letters, digits, dots, dashes and underscores, a letter or digit first"
_NAME = re.compile(PATTERN.removesuffix("$") + r"\Z")


def check_name(name: str, field: str = "name") -> str:
    """``name``, if it may be one.

    Examples
    --------
    >>> check_name("payments-2024")
    'payments-2024'
    """
    if not _NAME.match(name):
        raise UnfitError(
            "is no name",
            field=field,
            remedy=REMEDY,
        )
    return name
