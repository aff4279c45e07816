"""Parameters declared as data, checked with one wording."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator

#: A constraint is a description of what must hold and the test for it.
Constraint = tuple[str, Callable[[Any], bool]]


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def _is_integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def integer(low: int | None = None, high: int | None = None) -> Constraint:
    """An integer between ``low`` and ``high``, both included."""

    def test(value: Any) -> bool:
        return (
            _is_integer(value) and (low is None or value >= low) and (high is None or value <= high)
        )

    return "an integer" + _bounds(low, high, "[]"), test


def real(low: float | None = None, high: float | None = None, closed: str = "[]") -> Constraint:
    """A finite number between ``low`` and ``high``; ``closed`` such as ``"(]"`` excludes an end."""

    def test(value: Any) -> bool:
        if not _is_number(value) or not np.isfinite(value):
            return False
        above = low is None or value > low or (closed[0] == "[" and value == low)
        below = high is None or value < high or (closed[1] == "]" and value == high)
        return bool(above and below)

    return "a number" + _bounds(low, high, closed), test


def option(*choices: object) -> Constraint:
    """One of the values named."""
    words = ", ".join(repr(c) for c in choices)
    # `is` for the constants: 1 == True must not let a number pass for a flag.
    return f"one of {words}", lambda v: any(
        v is c if c is None or isinstance(c, bool) else (type(v) is type(c) and v == c)
        for c in choices
    )


def boolean() -> Constraint:
    """True or False."""
    return "True or False", lambda v: isinstance(v, (bool, np.bool_))


def instance(*classes: type) -> Constraint:
    """An instance of one of the classes named."""
    return "a " + " or ".join(c.__name__ for c in classes), lambda v: isinstance(v, classes)


def function() -> Constraint:
    """A callable."""
    return "a function", callable


def listing(item: Constraint | None = None) -> Constraint:
    """A list, tuple or array, each element meeting ``item``."""
    words = "a list" if item is None else f"a list, each element {item[0]}"
    return (
        words,
        lambda v: (
            isinstance(v, (list, tuple, np.ndarray))
            and (item is None or all(item[1](x) for x in v))
        ),
    )


def nothing() -> Constraint:
    """None."""
    return "None", lambda v: v is None


def random_state() -> Constraint:
    """A seed: None, a non-negative integer or a ``numpy.random.RandomState`` or ``Generator``."""
    return (
        "None, an integer >= 0 or a numpy random generator",
        lambda v: (
            v is None
            or (_is_integer(v) and v >= 0)
            or isinstance(v, (np.random.RandomState, np.random.Generator))
        ),
    )


def any_of(*constraints: Constraint) -> Constraint:
    """What meets at least one of the constraints."""
    return " or ".join(c[0] for c in constraints), lambda v: any(c[1](v) for c in constraints)


def _bounds(low: float | None, high: float | None, closed: str) -> str:
    parts = []
    if low is not None:
        parts.append(f"{'>=' if closed[0] == '[' else '>'} {low}")
    if high is not None:
        parts.append(f"{'<=' if closed[1] == ']' else '<'} {high}")
    return " " + " and ".join(parts) if parts else ""


class ParameterError(ValueError):
    """A parameter that does not meet its constraint."""


class Configurable(BaseEstimator):
    """Anything with parameters: its constructor stores them, ``constraints`` says what must hold.

    The constructor stores arguments untouched and checks nothing, as scikit-learn's ``clone`` and
    ``GridSearchCV`` require; :meth:`check_params` runs at the start of ``fit``.
    """

    constraints: ClassVar[Mapping[str, Constraint]] = {}

    def check_params(self) -> None:
        """Raise :class:`ParameterError` naming the first parameter that breaks its constraint."""
        params = self.get_params(deep=False)
        for name, (words, test) in self.constraints.items():
            if name in params and not test(params[name]):
                raise ParameterError(
                    f"{type(self).__name__}: {name} must be {words}, got {params[name]!r}"
                )
