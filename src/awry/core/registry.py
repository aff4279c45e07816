"""Every detector by name. A class with a ``card`` enters by being defined; nothing is listed."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from awry.core.errors import AwryError

if TYPE_CHECKING:
    from awry.core.card import Card
    from awry.core.detector import Detector

#: Where awry's own detectors live, and the entry-point group of plug-ins.
PACKAGE = "awry.detectors"

_by_name: dict[str, type[Detector]] = {}


class UnknownDetectorError(AwryError, ValueError):
    """A name no detector answers to."""


def register(cls: type[Detector]) -> None:
    """Enter ``cls`` under its card's name and aliases."""
    for name in (cls.card.name, *cls.card.aliases):
        holder = _by_name.get(name)
        if holder is not None and (holder.__module__, holder.__qualname__) != (
            cls.__module__,
            cls.__qualname__,
        ):
            raise ValueError(f"{cls.__qualname__}: the name {name!r} is taken by {holder}")
        _by_name[name] = cls


@cache
def discover() -> None:
    """Import every detector module of awry and every plug-in."""
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.walk_packages(package.__path__, PACKAGE + "."):
        if not module.name.rpartition(".")[2].startswith("_"):
            importlib.import_module(module.name)
    for plugin in entry_points(group=PACKAGE):
        plugin.load()


def _import_by_name(name: str) -> None:
    """Import the module a detector's card names, which is a file of that name in some folder.

    Importing one takes a tenth of the time of importing all.
    """
    if name in _by_name or not name.isidentifier():
        return
    package = importlib.import_module(PACKAGE)
    for folder in pkgutil.iter_modules(package.__path__, PACKAGE + "."):
        if folder.ispkg and importlib.util.find_spec(f"{folder.name}.{name}") is not None:
            importlib.import_module(f"{folder.name}.{name}")


def plugin_classes() -> dict[str, type[Detector]]:
    """Detectors from outside awry, by ``module:Class``."""
    discover()
    return {
        f"{cls.__module__}:{cls.__qualname__}": cls
        for cls in _by_name.values()
        if cls.__module__.split(".")[0] != "awry"
    }


def detectors(modality: str | None = None) -> dict[str, type[Detector]]:
    """Detector classes by the name on their card, in alphabetical order.

    Examples
    --------
    >>> "ecod" in detectors("table")
    True
    """
    discover()
    return {
        name: cls
        for name, cls in sorted(_by_name.items())
        if name == cls.card.name and modality in (None, cls.card.modality)
    }


def cards(modality: str | None = None) -> list[Card]:
    """The cards, in alphabetical order of names."""
    return [cls.card for cls in detectors(modality).values()]


def get(name: str) -> type[Detector]:
    """The detector class called ``name``: a card's name, an alias or the class's own name.

    Raises
    ------
    UnknownDetectorError
        With the nearest names.
    """
    _import_by_name(name)
    if name not in _by_name:
        discover()
    if name in _by_name:
        return _by_name[name]
    lowered = {**{cls.__name__.lower(): cls for cls in _by_name.values()}}
    lowered.update({key.lower(): cls for key, cls in _by_name.items()})
    key = name.lower().replace("-", "_").replace(" ", "_")
    for candidate in (key, key.replace("_", "")):
        if candidate in lowered:
            return lowered[candidate]
    near = difflib.get_close_matches(key, lowered, n=3)
    known = (
        f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(detectors())}"
    )
    raise UnknownDetectorError(f"there is no detector {name!r}; {known}")


def create(name: str, **params: Any) -> Detector:
    """An unfitted detector by name.

    Raises
    ------
    UnknownDetectorError, ValueError
        Where the name, or a parameter's name, is not known; the message lists what is.
    """
    cls = get(name)
    known = cls._get_param_names()
    for param in params:
        if param not in known:
            raise ValueError(
                f"{cls.card.name} has no parameter {param!r}; it has: {', '.join(known)}"
            )
    return cls(**params)
