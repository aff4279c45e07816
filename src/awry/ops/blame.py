"""Whose fault it is when the path refuses data."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from awry.core import registry
from awry.core.errors import DataError
from awry.ops.errors import UnfitError

_log = logging.getLogger(__name__)
#: What would be right, by the field that is to blame.
_REMEDIES = {
    "data": "give other rows, or choose another method",
    "dataset": "give other data, or choose another method",
    "method": "choose one that `awry detectors` lists",
    "threshold": "give a share such as 0.01, or a rule such as 'sigma:3', 'mad:3.5', 'fixed:0.7'",
}


@contextmanager
def unfit(field: str) -> Iterator[None]:
    """Tell what the path refuses, or a detector cannot do with this data, as the request's fault.

    Detectors raise many kinds of error on data they are not made for.
    """
    try:
        yield
    except DataError as error:
        where = f"{field}.{error.column}" if error.column else field
        told = DataError(error.what, row=error.row, column=error.column)
        raise UnfitError(str(told), field=where, remedy=error.remedy) from error
    except ImportError as error:
        remedy = "install it, or choose another method"
        raise UnfitError(str(error), field="method", remedy=remedy) from error
    except (ValueError, ArithmeticError, TypeError, MemoryError, pa.ArrowException) as error:
        if not isinstance(error, ValueError):
            _log.warning("a detector failed on the data of a request", exc_info=True)
        what, blamed = str(error) or type(error).__name__, _blamed(error, field)
        raise UnfitError(what[:500], field=blamed, remedy=_REMEDIES.get(blamed)) from error


def _blamed(error: BaseException, field: str) -> str:
    """The field of the request an error of the path is about."""
    if isinstance(error, registry.UnknownDetectorError):
        return "method"
    return "threshold" if "threshold" in str(error) else field
