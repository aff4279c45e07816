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
        raise UnfitError(str(error), field="method") from error
    except (ValueError, ArithmeticError, TypeError, MemoryError, pa.ArrowException) as error:
        if not isinstance(error, ValueError):
            _log.warning("a detector failed on the data of a request", exc_info=True)
        what = str(error) or type(error).__name__
        raise UnfitError(what[:500], field=_blamed(error, field)) from error


def _blamed(error: BaseException, field: str) -> str:
    """The field of the request an error of the path is about."""
    if isinstance(error, registry.UnknownDetectorError):
        return "method"
    return "threshold" if "threshold" in str(error) else field
