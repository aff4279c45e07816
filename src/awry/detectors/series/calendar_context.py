"""Calendar context: each value beside those of the same hour and kind of day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from awry.core.card import Card
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import any_of, instance, integer, listing, nothing, real
from awry.core.series import Series, SeriesDetector, robust_moments
from awry.core.threshold import Threshold
from awry.data.calendar import day_kinds, holiday_dates, slots, years
from awry.detectors.series._residuals import Band, scale_floor


class CalendarContext(SeriesDetector):
    """Values odd for their hour, weekday or holiday, however ordinary at other times.

    Contexts nest: all times; the hour; the hour on working days or on days off; the hour on the
    very weekday, or on holidays. A context's centre and squared scale are the median and squared
    median absolute deviation of its n training values, and those of the context around it counted
    as ``shrinkage`` values more. The score of a channel is ``|x - centre| / scale``.

    Parameters
    ----------
    holidays : str, list of dates or None, default=None
        A country's ISO code such as ``"DE"`` or ``"DE-BY"`` (needs the package ``holidays``), or
        the days, as ``"2024-12-24"``.
    slot : int, default=60
        Minutes of the day that are one hour, a divisor of 1440.
    shrinkage : float, default=4.0
        Values that the context around counts for.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    centers_, scales_ : ndarray of shape (8, 1440 / slot, d)
        By kind of day, Monday to Sunday and holiday, and stretch of the day.

    Notes
    -----
    Times are wall-clock times, so clocks put forward do not move what is usual at nine. A series
    without times has one context only.

    References
    ----------
    Song, Wu, Jermaine & Ranka: "Conditional Anomaly Detection", IEEE Transactions on Knowledge and
    Data Engineering 2007, for judging by environment; contexts and shrinkage are awry's own.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> times = pd.date_range("2024-01-01", periods=24 * 28, freq="h")
    >>> load = 10.0 * ((times.hour >= 8) & (times.hour < 18) & (times.day_of_week < 5))
    >>> load = pd.Series(load + np.random.default_rng(0).normal(size=len(times)), times)
    >>> load["2024-01-20 12:00"] = 10.0  # usual on a working day, but this is a Saturday
    >>> str(times[CalendarContext().fit(load).decision_scores_.argmax()])
    '2024-01-20 12:00:00'
    """

    card = Card(
        name="calendar_context",
        summary="Values odd for their hour, weekday or holiday.",
        modality="series",
        family="context",
        paper="Song, Wu, Jermaine & Ranka, Conditional Anomaly Detection, TKDE",
        year=2007,
        fit_cost="O(T log T d)",
        score_cost="O(T d)",
        finds="values ordinary at other hours or on other days",
        misses="odd shapes; what drifts with a trend counts as odd",
        univariate=True,
    )

    constraints = {
        "holidays": any_of(nothing(), instance(str), listing()),
        "slot": (
            "a divisor of 1440, from 1 to 1440",
            lambda v: integer(1, 1440)[1](v) and 1440 % v == 0,
        ),
        "shrinkage": real(0, None, "(]"),
    }

    def __init__(
        self,
        holidays: str | Sequence[Any] | None = None,
        slot: int = 60,
        shrinkage: float = 4.0,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.holidays = holidays
        self.slot = slot
        self.shrinkage = shrinkage
        self.contamination = contamination

    def _fit(self, X: Series, y: IntArray | None) -> None:
        d = X.values.shape[1]
        kind, slot = self._context(X)
        shape = (8, 1440 // self.slot)
        center, scale = robust_moments(X.values)
        centers, squares = (np.broadcast_to(m, (*shape, d)).copy() for m in (center, scale**2))
        day_slots = np.indices(shape)
        # From the widest context to the narrowest: keys of the points, and of the table's cells.
        for keys, cells in (
            (slot, day_slots[1]),
            (slot + shape[1] * (kind > 4), day_slots[1] + shape[1] * (day_slots[0] > 4)),
            (slot + shape[1] * kind, day_slots[1] + shape[1] * day_slots[0]),
        ):
            self._narrow(X.values, keys, cells, centers, squares)
        self.centers_ = centers
        self.scales_ = np.maximum(np.sqrt(squares), scale_floor(X.values))

    def _narrow(
        self,
        values: FloatArray,
        keys: IntArray,
        cells: IntArray,
        centers: FloatArray,
        squares: FloatArray,
    ) -> None:
        """Move the cells of each context from that around it towards its own values."""
        order = np.argsort(keys, kind="stable")
        found, first = np.unique(keys[order], return_index=True)
        for key, rows in zip(found, np.split(order, first[1:]), strict=True):
            at = cells == key
            for j in range(values.shape[1]):
                own = values[rows, j]
                own = own[~np.isnan(own)]
                n = len(own)
                if not n:
                    continue
                share = n / (n + self.shrinkage)
                middle = np.median(own)
                # Deviations from one's own median are too small where there are few.
                spread = (1.4826 * np.median(np.abs(own - middle))) ** 2 * n / max(n - 1, 1)
                centers[at, j] += share * (middle - centers[at, j])
                share = (n - 1) / (n - 1 + self.shrinkage)
                squares[at, j] += share * (spread - squares[at, j])

    def _context(self, X: Series) -> tuple[IntArray, IntArray]:
        """Kind of day and stretch of the day of each point."""
        if X.times is None:
            none = np.zeros(len(X), dtype=np.int64)
            return none, none
        days_off = holiday_dates(self.holidays, *years(X.times))
        return day_kinds(X.times, days_off), slots(X.times, self.slot)

    def _score(self, X: Series) -> FloatArray:
        at = self._context(X)
        return np.abs(X.values - self.centers_[at]) / self.scales_[at]

    def band(self, X: Any, width: float = 3.0) -> Band:
        """What is usual at each time, and where scores lie below ``width``; each (T, d)."""
        check_is_fitted(self)
        at = self._context(self._check_input(X, reset=False))
        half = width * self.scales_[at]
        return Band(self.centers_[at], self.centers_[at] - half, self.centers_[at] + half)
