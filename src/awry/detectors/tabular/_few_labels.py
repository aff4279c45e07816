"""What detectors that learn from a few labelled anomalies share."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from awry.core.inputs import IntArray
from awry.detectors.deep import DeepDetector, Training


class FewLabelsDetector(DeepDetector):
    """A network that is shown the few anomalies as often as all other rows.

    None of the rows is held out unless asked for, and training lasts all its epochs.
    """

    def __init__(  # type: ignore[misc]
        self,
        *,
        hidden: list[int] | tuple[int, ...] | None = (20,),
        validation_fraction: float = 0.0,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(hidden=hidden, validation_fraction=validation_fraction, **training)

    def _known_labels(self, y: IntArray | None, n: int) -> IntArray:
        assert y is not None
        if not (y == 1).any() or (y == 1).all():
            raise ValueError(
                f"{type(self).__name__}: y must hold at least one anomaly (1) and one other row "
                "(0 or -1), got only " + ", ".join(map(str, np.unique(y)))
            )
        return y
