"""Each event beside the past of its key: how many, how much, how long since, how far away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from awry.core.inputs import FloatArray
from awry.data.wording import number
from awry.kernels import key_features
from awry.stream.keys import KeyStore, Spill

#: Names of the columns, see :func:`awry.kernels.key_features.run`.
NAMES = (
    "events in 1 h", "amount beside 30 days", "time since last", "distance from last",
    "speed since last",
)  # fmt: skip
_UNITS = ("", " × the key's spread", " s", " km", " km/h")
#: Buckets of the last hour and of the last thirty days.
HOUR_BUCKETS, DAYS = 12, 30


def in_words(column: int, value: float) -> str:
    """What a person reads of a value in one of the columns.

    Examples
    --------
    >>> in_words(2, np.log1p(90.0)), in_words(4, 480.0)
    ('90 s', '480 km/h')
    """
    return number(float(np.expm1(value)) if column == 2 else value, ("", _UNITS[column]))


class KeyFeatures:
    """Columns (n, 5) that tell how an event differs from what its key does, in bounded memory.

    The last hour is kept in twelve buckets of five minutes and the last thirty days in days, so a
    window reaches back between eleven and twelve twelfths, and twenty-nine and thirty days. An
    event that comes late is counted in the bucket it belongs to, if that is still kept, and is not
    taken for the key's last one. A key never seen has NaN, and costs about 900 bytes.

    Parameters
    ----------
    capacity : int
        Keys in memory; the others are put away in ``spill``.
    """

    def __init__(self, capacity: int, spill: Spill) -> None:
        start = {
            "last": np.full(3, np.nan),
            "newest": np.full(2, -1, dtype=np.int64),
            "hours": np.zeros(HOUR_BUCKETS, dtype=np.int32),
            "days": np.zeros((DAYS, 3)),
        }
        self.keys = KeyStore(start, capacity, spill)

    def update(
        self, keys: Sequence[str], time: FloatArray, amount: FloatArray, place: FloatArray
    ) -> FloatArray:
        """The columns of events that come next; then they are part of the past.

        Parameters
        ----------
        keys : n keys
        time, amount : ndarrays of shape (n,)
        place : ndarray of shape (n, 2)
            Latitude and longitude in degrees.
        """
        out = np.empty((len(keys), len(NAMES)))
        slots = self.keys.slots(keys)
        parts = self.keys.arrays
        key_features.run(
            slots, time, amount, place,
            parts["last"], parts["newest"], parts["hours"], parts["days"], out,
        )  # fmt: skip
        return out
