"""awry finds what is out of place, in tables, series and streams, and says why.

Names are imported when first used, so that ``import awry`` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public names and the module each lives in.
_PUBLIC = {
    "Client": "awry.client",
    "Detector": "awry.core.detector",
    "DataError": "awry.core.errors",
    "ModelError": "awry.core.errors",
    "AwryError": "awry.core.errors",
    "TableEncoder": "awry.data.encode",
    "generate": "awry.data.generate",
    "read": "awry.data.readers",
    "load": "awry.io",
    "save": "awry.io",
    "Model": "awry.model",
    "Result": "awry.result",
    "Review": "awry.review",
    "compare": "awry.run",
    "detect": "awry.run",
    "evaluate": "awry.run",
    "fit": "awry.run",
    "score": "awry.run",
    "stream": "awry.stream",
}

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from awry.client import Client
    from awry.core.detector import Detector
    from awry.core.errors import AwryError, DataError, ModelError
    from awry.data.encode import TableEncoder
    from awry.data.generate import generate
    from awry.data.readers import read
    from awry.io import load, save
    from awry.model import Model
    from awry.result import Result
    from awry.review import Review
    from awry.run import compare, detect, evaluate, fit, score
    from awry.stream import stream


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'awry' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
