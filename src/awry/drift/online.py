"""What all drift detectors that follow a stream share: value by value or in batches, alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from awry.core.inputs import FloatArray, IntArray
from awry.core.params import Configurable
from awry.kernels.drift_errors import DRIFT, WARNING

if TYPE_CHECKING:
    from typing import Self


class OnlineDrift(Configurable):
    """Base of detectors that watch one stream and say where it changed.

    ``update(value)`` takes the next value, ``update_many(values)`` the next ones; both run the same
    compiled loop, so how the stream is cut makes no difference. Memory does not grow. A subclass
    writes ``_start()``, which makes the state, a tuple of arrays, and ``_run(values, status)``,
    which changes it in place and writes 1 for a warning and 2 for a drift into ``status``. After a
    drift a detector goes on by itself, from what followed the change or from nothing.

    Attributes
    ----------
    drift_detected, warning_detected : bool
        Whether the last ``update`` or ``update_many`` saw a drift, or ended in a warning.
    n_seen : int
        Values taken.
    state_ : tuple of ndarray
        All that the detector remembers; arrays alone, so it can be saved.
    """

    #: Whether it takes rows (n, d) in place of values (n,).
    multivariate: ClassVar[bool] = False
    #: Least and greatest value it takes, where it is not for all numbers.
    span: ClassVar[tuple[float, float] | None] = None

    state_: tuple[Any, ...]
    #: What the properties below tell, in their order.
    now_: tuple[bool, bool, int]

    @property
    def drift_detected(self) -> bool:
        """Whether the last values showed a drift."""
        return self._now[0]

    @property
    def warning_detected(self) -> bool:
        """Whether the last values ended in a warning."""
        return self._now[1]

    @property
    def n_seen(self) -> int:
        """Values taken."""
        return self._now[2]

    @property
    def _now(self) -> tuple[bool, bool, int]:
        return getattr(self, "now_", (False, False, 0))

    def _start(self, width: int) -> tuple[Any, ...]:
        """The state before the first value, of ``width`` numbers."""
        raise NotImplementedError

    def _run(self, values: FloatArray, status: np.ndarray) -> None:
        raise NotImplementedError

    def reset(self) -> Self:
        """Forget all that was seen."""
        for name in ("state_", "now_"):
            self.__dict__.pop(name, None)
        return self

    def update(self, value: Any) -> bool:
        """Take the next value, or row, and say whether the stream has drifted."""
        return bool(self.statuses(np.asarray(value, dtype=np.float64)[None])[0] == DRIFT)

    def update_many(self, values: Any) -> IntArray:
        """Take the next ``values``, and return the places among them at which drift was seen."""
        return np.flatnonzero(self.statuses(values) == DRIFT)

    def statuses(self, values: Any) -> np.ndarray:
        """Take the next ``values`` and say of each 0, 1 for a warning or 2 for a drift."""
        values = self._checked(values)
        if "state_" not in self.__dict__:
            self.check_params()
            self.state_ = self._start(values.shape[1] if self.multivariate else 1)
        status = np.zeros(len(values), dtype=np.int8)
        if len(values):
            self._run(values, status)
            drift, warning = bool(status.max() == DRIFT), bool(status[-1] == WARNING)
            self.now_ = (drift, warning, self.n_seen + len(values))
        return status

    def _checked(self, values: Any) -> FloatArray:
        owner, wanted = type(self).__name__, 2 if self.multivariate else 1
        out = np.ascontiguousarray(values, dtype=np.float64)
        if out.ndim != wanted:
            shape = "(n, d)" if self.multivariate else "(n,)"
            raise ValueError(f"{owner}: values must have the shape {shape}, got {out.shape}")
        if not out.size:
            return out
        # A value that is not finite makes the least or the greatest one so.
        least, most = float(out.min()), float(out.max())
        if not (math.isfinite(least) and math.isfinite(most)):
            raise ValueError(f"{owner}: values must be finite numbers")
        if self.span is not None and (least < self.span[0] or most > self.span[1]):
            low, high = self.span
            raise ValueError(
                f"{owner}: values must lie from {low:g} to {high:g}, got {least:g} to {most:g}"
            )
        return out
