"""Fields that were named and that no event has: told, as a name is easily misspelt."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from awry.stream.plan import lookup
from awry.stream.records import Record

log = logging.getLogger(__name__)


class Named:
    """Looks at the first events for fields that were named, and warns of each that none has.

    Parameters
    ----------
    names : mapping of str to str
        Fields, and the settings that name them.
    most : int
        Events to look at.
    where : str
        What is looked at, as the warning calls it.
    """

    def __init__(self, names: Mapping[str, str], most: int, where: str) -> None:
        self._absent, self._most, self._where = dict(names), most, where
        self._seen = 0

    def look(self, records: Sequence[Record]) -> None:
        """Look at the events that come next; warn once there were enough."""
        if self._seen >= self._most:
            return
        some = records[: self._most - self._seen]
        self._seen += len(some)
        for record in some:
            for name in list(self._absent):
                if name in record or lookup(record, name) is not None:
                    del self._absent[name]
        if self._seen >= self._most:
            self.end()

    def end(self) -> None:
        """Warn, of however many there were."""
        if self._seen:
            for name, setting in self._absent.items():
                log.warning(
                    "%s: none of the first %s events has the field %r, given as %s",
                    self._where, f"{self._seen:,}", name, setting,
                )  # fmt: skip
        self._absent = {}
