"""The version of a model that is in charge, which may be another one while a worker runs."""

from __future__ import annotations

import logging
import time

from awry.core.errors import AwryError
from awry.model import Model
from awry.ops.models import Models
from awry.stream.patience import Backoff

log = logging.getLogger(__name__)


class Champion:
    """Looks who is in charge of a model, now and again.

    Parameters
    ----------
    models : Models
    name : str
    every : float
        Seconds from one look to the next.
    """

    def __init__(self, models: Models, name: str, *, every: float = 2.0) -> None:
        self._models, self.name, self._every = models, name, every
        self._due = time.monotonic() + every
        self._waits = Backoff(every, 60.0)

    def other_than(self, version: int | None) -> tuple[int, Model] | None:
        """The version in charge, where it is due to look and it is not ``version``.

        One that cannot be had, or judges no rows, is logged, and looked for again later.
        """
        if time.monotonic() < self._due:
            return None
        wait = self._every
        try:
            number, model = self._models.load(self.name)
            if number == version:
                found = None
            elif isinstance(model, Model):
                found = number, model
            else:
                raise AwryError(f"version {number} judges series, not one event after the other")
            self._waits.reset()
        except Exception as error:  # such as a database that is away: what is there judges on
            told = str(error).partition("\n")[0]
            log.warning("the version of %s in charge cannot be had: %s", self.name, told)
            found, wait = None, self._waits.next()
        self._due = time.monotonic() + wait
        return found
