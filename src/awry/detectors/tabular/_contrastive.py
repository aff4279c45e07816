"""What detectors share that learn from views of rows, without a measure of how far out rows are."""

from __future__ import annotations

import numpy as np

from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.detectors.deep import DeepDetector

#: Quartile ranges from the median beyond which a value is far out, as Tukey's outer fences are.
_FAR_OUT = 3.5
#: Rows that are learnt from at least, far out or not.
_LEARNT_SHARE = 0.9


class ContrastiveDetector(DeepDetector):
    """Base of detectors that learn to tell views of rows from one another.

    The papers learn from normal rows only. Of a table that is not known to be normal, rows far out
    in some column are left out of the learning, a tenth of the rows at most: they are the easiest
    of all to tell, and would teach the network that to be far out is to be well known.
    """

    # By comparison with usual rows: likenesses saturate, and with them their gradients.
    _contributions = Detector._contributions  # type: ignore[assignment]

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        super()._fit(X[near(X)], y)


def near(X: FloatArray) -> np.ndarray:
    """Rows of ``X`` (n, d) with no value far out, or the nearest nine tenths: booleans (n,)."""
    low, median, high = np.quantile(X, (0.25, 0.5, 0.75), axis=0)
    varied = high > low
    away = np.abs(X - median)[:, varied] / (high - low)[varied]
    furthest = away.max(axis=1, initial=0.0)
    kept: np.ndarray = furthest <= max(_FAR_OUT, np.quantile(furthest, _LEARNT_SHARE))
    return kept
