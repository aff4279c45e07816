"""Thresholds from what a person writes: a number or a short form such as ``mad:3.5``."""

from __future__ import annotations

from typing import Any

import numpy as np

from awry.core.threshold.base import Threshold
from awry.core.threshold.dynamic import Dynamic
from awry.core.threshold.feedback import FromFeedback
from awry.core.threshold.labelled import Cost, MaxF1, TargetFPR
from awry.core.threshold.rules import MAD, Fixed, GaussianTail, Quantile, SigmaRule
from awry.core.threshold.tails import POT, Adaptive, Levels

_SHORT: dict[str, tuple[type[Threshold], int]] = {
    "quantile": (Quantile, 1),
    "fixed": (Fixed, 1),
    "sigma": (SigmaRule, 1),
    "mad": (MAD, 1),
    "gaussian": (GaussianTail, 1),
    "fpr": (TargetFPR, 1),
    "feedback": (FromFeedback, 2),
    "f1": (MaxF1, 0),
    "fbeta": (MaxF1, 1),
    "cost": (Cost, 2),
    "pot": (POT, 2),
    "adaptive": (Adaptive, 2),
    "dynamic": (Dynamic, 1),
    "levels": (Levels, 3),
}


def make_threshold(spec: Any) -> Threshold:
    """An unfitted threshold.

    Parameters
    ----------
    spec : None, float, str or Threshold
        None: the default, :class:`Adaptive`. A number in (0, 0.5]: that share is flagged. A short
        form: ``"quantile:0.99"``, ``"sigma:3"``, ``"mad:3.5"``, ``"gaussian:0.001"``,
        ``"fpr:0.01"``, ``"feedback:0.01"``, ``"f1"``, ``"fbeta:2"``, ``"cost:1,50"``,
        ``"pot:0.001"``, ``"adaptive:0.005"``, ``"levels:0.01,0.001,0.0001"``, ``"dynamic"``,
        ``"fixed:0.7"``. A Threshold is copied.

    Raises
    ------
    ValueError
        Listing what is possible.

    Examples
    --------
    >>> make_threshold("mad:3"), make_threshold(0.05)
    (MAD(k=3.0), Quantile(contamination=0.05))
    """
    if spec is None:
        return Adaptive()
    if isinstance(spec, Threshold):
        return type(spec)(**spec.get_params(deep=False))
    if isinstance(spec, (int, float, np.number)) and not isinstance(spec, bool):
        if not 0 < spec <= 0.5:
            raise ValueError(f"contamination must be a number in (0, 0.5], got {spec!r}")
        return Quantile(float(spec))
    if isinstance(spec, str):
        name, _, rest = spec.strip().lower().partition(":")
        try:
            if not rest and name not in _SHORT:
                return make_threshold(float(name))
            numbers = [float(part) for part in rest.split(",")] if rest else []
        except ValueError:
            name = ""
        cls, most = _SHORT.get(name, (None, 0))
        if cls is not None and len(numbers) <= most:
            if name == "quantile" and numbers:
                numbers = [round(1 - numbers[0], 12)]
            made = cls(*([numbers] if name == "levels" and numbers else numbers))
            made.check_params()
            return made
    raise ValueError(
        "the threshold must be a number in (0, 0.5] (contamination), a Threshold or one of "
        f"{', '.join(_SHORT)} with its numbers, such as 'mad:3.5' or 'cost:1,50', got {spec!r}"
    )
