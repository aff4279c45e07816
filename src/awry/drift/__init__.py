"""Whether data has changed: which features, by how much, and since when.

The names below are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {
    "ordered": ("KolmogorovSmirnov", "CramerVonMises", "Wasserstein", "Energy"),
    "binned": ("ChiSquare", "GTest", "PSI", "KullbackLeibler", "JensenShannon"),
    "mmd": ("MMD", "LinearMMD"),
    "multivariate": ("ClassifierTwoSample", "PCAReconstruction"),
    "errors": ("DDM", "EDDM", "HDDMA", "HDDMW", "PageHinkley"),
    "windows": ("ADWIN", "KSWIN", "MMDEW"),
    "mcd_dd": ("MCDDD",),
    "monitor": ("performance_drift", "score_drift"),
    "table": ("TableDrift",),
}
_PUBLIC = {name: f"awry.drift.{module}" for module, names in _MODULES.items() for name in names}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
