"""Optional dependencies come in here, with one wording."""

from __future__ import annotations

import importlib
from types import ModuleType

from awry.core.errors import MissingDependencyError


def optional(module: str, *, extra: str, needed_by: str) -> ModuleType:
    """Import ``module`` or say which extra brings it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    extra : str
        The extra of awry that installs it.
    needed_by : str
        What asked for it, the first words of the error.

    Examples
    --------
    >>> optional("math", extra="deep", needed_by="AutoEncoder").sqrt(4.0)
    2.0
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        root = module.partition(".")[0]
        raise MissingDependencyError(
            f"{needed_by} needs {root}: pip install 'awry[{extra}]'"
        ) from error
