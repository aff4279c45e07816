"""Thresholds: objects that turn scores into decisions. All serve with every detector."""

from awry.core.threshold.base import Threshold
from awry.core.threshold.dynamic import Dynamic
from awry.core.threshold.feedback import FromFeedback
from awry.core.threshold.labelled import Cost, MaxF1, TargetFPR
from awry.core.threshold.rules import MAD, Fixed, GaussianTail, Quantile, SigmaRule
from awry.core.threshold.spec import make_threshold
from awry.core.threshold.tails import POT, Adaptive, Levels

__all__ = [
    "MAD", "POT", "Adaptive", "Cost", "Dynamic", "Fixed", "FromFeedback", "GaussianTail", "Levels",
    "MaxF1", "Quantile", "SigmaRule", "TargetFPR", "Threshold", "make_threshold",
]  # fmt: skip
