"""What every detector must do, as a function anyone can call on their own.

>>> from awry.checks import check_detector
>>> from awry.detectors import ECOD
>>> check_detector(ECOD())
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sklearn.base import clone

# The modules enter their checks by being imported.
from awry.checks import series, stream, table  # noqa: F401
from awry.checks.common import CHECKS, example, planted, planted_series
from awry.core.detector import Detector

__all__ = ["check_detector", "detector_checks", "example", "planted", "planted_series"]


def detector_checks(detector: Detector) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks that apply to ``detector``, each a name and a function without arguments.

    Parameters
    ----------
    detector : Detector
        Unfitted, with the parameters to check it under.
    """
    for check in (*CHECKS["any"], *CHECKS.get(detector.card.modality, [])):
        yield check.__name__, lambda check=check: check(clone(detector))  # type: ignore[misc]


def check_detector(detector: Detector) -> None:
    """Raise AssertionError where ``detector`` breaks a promise that all detectors keep.

    Parameters
    ----------
    detector : Detector
        Unfitted, with the parameters to check it under.
    """
    for name, check in detector_checks(detector):
        try:
            check()
        except Exception as error:
            raise AssertionError(f"{type(detector).__name__} fails {name}: {error}") from error
