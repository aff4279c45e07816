"""Champions are ready before anybody asks: loaded, and a row judged by each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from awry.core.errors import AwryError
from awry.judge import Judge
from awry.model import Model
from awry.ops.answers import Ask
from awry.ops.beside import Beside
from awry.ops.detect import Judging
from awry.ops.models import Models

_log = logging.getLogger(__name__)

#: Seconds after which another process's promotion is seen.
_PAUSE = 5.0


class Warm:
    """Loads each champion once, in the background, as soon as it is in charge.

    What the first request of a process would wait for (programs to import, kernels to load, a file
    to read) is then done. Of more champions than are kept in memory, the newest are made ready.

    Attributes
    ----------
    warming : bool
        Whether the champions there were at the start are still being made ready.
    before, after : list of callable
        Called before and after these.
    """

    def __init__(self, models: Models, judging: Judging) -> None:
        self._models, self._judging = models, judging
        self._done: set[str] = set()
        self.warming = True
        self.before: list[Callable[[], object]] = []
        self.after: list[Callable[[], object]] = []
        self._beside = Beside("awry-warm", _PAUSE, self.look)
        self.start, self.close, self.wake = (
            self._beside.start, self._beside.close, self._beside.wake,
        )  # fmt: skip

    def look(self) -> None:
        """Make ready who is in charge and was not before."""
        first = self.warming
        try:
            for work in self.before if first else ():
                work()
            charge = self._models.newest_champions()
            for name, version, file in charge:
                if file not in self._done and not self._beside.stopping:
                    self._load(name, version)
            self._done = {file for _, _, file in charge}
            for work in self.after if first else ():
                work()
        finally:
            self.warming = False

    def _load(self, name: str, version: int) -> None:
        begun = time.monotonic()
        try:
            judge = self._models.load(name, version)[1]
            row = one_row(judge, self._models.version(name, version)["columns"])
            self._judging.answer_aside([Ask(row, 1, model=name, explain=True)])
        except AwryError as error:
            # Whoever asks for it is told the same.
            _log.warning("version %d of %s is not ready: %s", version, name, error)
            return
        _log.info("%s is ready after %.2f s", name, time.monotonic() - begun)


def one_row(judge: Judge, columns: Sequence[str]) -> dict[str, Any]:
    """A row as those of training: what was usual where that is known, else nothing.

    Examples
    --------
    >>> import awry
    >>> rows = {"amount": [float(i % 7) for i in range(60)], "city": ["Rome"] * 40 + ["Oslo"] * 20}
    >>> one_row(awry.fit(rows, detector="isolation_forest"), ["amount", "city"])
    {'amount': [3.0], 'city': ['Rome']}
    """
    profiles = judge.encoder_.profiles_ if isinstance(judge, Model) else []
    known = {p.name: _usual(p.stats) for p in profiles}
    return {column: [known.get(column)] for column in columns}


def _usual(stats: Mapping[str, Any]) -> Any:
    if "quantiles" in stats:
        return stats["quantiles"][len(stats["quantiles"]) // 2]
    return stats["levels"][0][0] if stats.get("levels") else None
