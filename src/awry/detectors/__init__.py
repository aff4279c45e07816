"""Detectors by class name: ``from awry.detectors import IsolationForest``."""

from __future__ import annotations

from typing import Any

from awry.core import registry


def __getattr__(name: str) -> Any:
    for cls in registry.detectors().values():
        if cls.__name__ == name:
            return cls
    raise AttributeError(f"awry.detectors has no detector {name!r}")


def __dir__() -> list[str]:
    return sorted(cls.__name__ for cls in registry.detectors().values())
