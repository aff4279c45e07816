"""What detectors with two decoders that contend have in common."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from awry.core.inputs import FloatArray
from awry.core.params import real
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining


class TwoDecoderDetector(DeepSeriesDetector):
    """Base of detectors whose second decoder judges what the first one rebuilt.

    Channels are brought to [0, 1] by their least and greatest training value.

    Parameters
    ----------
    alpha : float, default=0.5
        Share of the first reconstruction's error in the score; the rest is that of the last. The
        more, the fewer false alarms and finds.
    **training
    """

    constraints = {"alpha": real(0, 1)}

    def __init__(  # type: ignore[misc]  # a default of its own
        self,
        *,
        alpha: float = 0.5,
        validation_fraction: float = 0.0,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(validation_fraction=validation_fraction, **training)
        self.alpha = alpha

    def _measure(self, X: FloatArray) -> None:
        super()._measure(X)
        span = np.ptp(X, axis=0)
        # What is constant keeps the scale that the base gives it.
        self.center_ = X.min(axis=0)
        self.scale_ = np.where(span > 1e-12 * np.abs(X).max(axis=0), span, self.scale_)
