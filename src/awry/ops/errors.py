"""What can be wrong with what is asked of the service: what, in which field, and the remedy."""

from __future__ import annotations

from awry.core.errors import AwryError


class OpsError(AwryError):
    """The root: a request that cannot be met.

    Parameters
    ----------
    what : str
        What is wrong, in one line.
    field : str, optional
        The part of the request it is about.
    remedy : str, optional
        What would be right.
    """

    def __init__(self, what: str, *, field: str | None = None, remedy: str | None = None) -> None:
        self.what, self.field, self.remedy = what, field, remedy
        super().__init__(what + (f"; {remedy}" if remedy else ""))


class NotFoundError(OpsError):
    """There is no such thing."""


class ConflictError(OpsError):
    """It is there already, or in a state that does not allow this."""


class UnfitError(OpsError):
    """The request is understood and cannot be met as it stands."""


class TooLargeError(OpsError):
    """More than a limit allows."""


class BusyError(OpsError):
    """Not now: a limit on work at one time is reached."""


class DamagedError(OpsError):
    """What was stored cannot be used any more."""
