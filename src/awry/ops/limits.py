"""Bounds on what a request holds."""

from __future__ import annotations

from typing import Any

from awry.ops.errors import TooLargeError


def check_depth(value: Any, limit: int) -> None:
    """Refuse plain data whose lists and dicts are nested more than ``limit`` deep.

    Examples
    --------
    >>> check_depth({"rows": [{"a": 1}]}, 3)
    >>> check_depth({"rows": [{"a": [1]}]}, 3)
    Traceback (most recent call last):
        ...
    awry.ops.errors.TooLargeError: the JSON is nested more than 3 deep; send it flat
    """
    # Level by level: what is nested without end must not use the stack.
    level, depth = [value] if isinstance(value, (dict, list)) else [], 0
    while level:
        depth += 1
        if depth > limit:
            raise TooLargeError(f"the JSON is nested more than {limit} deep", remedy="send it flat")
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
