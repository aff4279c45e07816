"""Fitted objects as plain data: a JSON tree and a list of arrays, and back, running no code.

Every :class:`~awry.core.params.Configurable` is its parameters and its other attributes. Values may
be None, bool, int, float, str, bytes, lists, tuples, dicts, numpy scalars and arrays of numbers or
strings, named tuples of awry, and other Configurables. Attributes named in a class's
``transient`` are left out and made again by its ``_restore`` method.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from awry.core.errors import ModelError
from awry.core.params import Configurable

Tree = Any
_TAG = "$"


def to_state(value: Any, arrays: list[np.ndarray]) -> Tree:
    """Turn ``value`` into a JSON tree, appending its arrays to ``arrays``."""
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, np.generic):
        arrays.append(np.asarray(value))
        return {_TAG: "scalar", "array": len(arrays) - 1}
    if isinstance(value, float):
        return value if math.isfinite(value) else {_TAG: "float", "value": repr(value)}
    if isinstance(value, bytes):
        arrays.append(np.frombuffer(value, dtype=np.uint8))
        return {_TAG: "bytes", "array": len(arrays) - 1}
    if isinstance(value, np.ndarray):
        return _array_to_state(value, arrays)
    if isinstance(value, Configurable):
        return _object_to_state(value, arrays)
    if isinstance(value, tuple):
        tree: dict[str, Tree] = {_TAG: "tuple", "items": [to_state(v, arrays) for v in value]}
        if hasattr(value, "_fields"):
            tree["class"] = _path(type(value))
        return tree
    if isinstance(value, list):
        return [to_state(v, arrays) for v in value]
    if isinstance(value, dict):
        if all(isinstance(k, str) and k != _TAG for k in value):
            return {k: to_state(v, arrays) for k, v in value.items()}
        pairs = [[to_state(k, arrays), to_state(v, arrays)] for k, v in value.items()]
        return {_TAG: "dict", "items": pairs}
    raise TypeError(f"{type(value).__name__} cannot be saved: {value!r}")


def from_state(tree: Tree, arrays: list[np.ndarray]) -> Any:
    """The inverse of :func:`to_state`.

    Raises
    ------
    ModelError
        Where the tree names a class that is not one of awry's or of a registered plug-in.
    """
    if isinstance(tree, list):
        return [from_state(v, arrays) for v in tree]
    if not isinstance(tree, dict):
        return tree
    tag = tree.get(_TAG)
    if tag is None:
        return {k: from_state(v, arrays) for k, v in tree.items()}
    if tag == "array":
        return arrays[tree["array"]]
    if tag == "scalar":
        return arrays[tree["array"]][()]
    if tag == "float":
        return float(tree["value"])
    if tag == "bytes":
        return arrays[tree["array"]].tobytes()
    if tag == "strings":
        return np.array(tree["items"], dtype=tree["dtype"]).reshape(tree["shape"])
    if tag == "dict":
        return {from_state(k, arrays): from_state(v, arrays) for k, v in tree["items"]}
    if tag == "tuple":
        items = [from_state(v, arrays) for v in tree["items"]]
        return _find_class(tree["class"], tuple)(*items) if "class" in tree else tuple(items)
    if tag == "object":
        return _object_from_state(tree, arrays)
    raise ModelError(f"the model file holds an unknown kind of value, {tag!r}")


def _array_to_state(value: np.ndarray, arrays: list[np.ndarray]) -> Tree:
    if value.dtype.kind in "biufcmM":
        arrays.append(value)
        return {_TAG: "array", "array": len(arrays) - 1}
    strings = all(isinstance(v, str) for v in value.ravel())
    if value.dtype.kind == "U" or (value.dtype.kind == "O" and strings):
        return {
            _TAG: "strings",
            "items": [str(v) for v in value.ravel()],
            "dtype": "object" if value.dtype.kind == "O" else value.dtype.str,
            "shape": list(value.shape),
        }
    raise TypeError(f"an array of {value.dtype} cannot be saved")


def _object_to_state(value: Configurable, arrays: list[np.ndarray]) -> Tree:
    params = value.get_params(deep=False)
    left_out = getattr(type(value), "transient", ())
    state = {k: v for k, v in vars(value).items() if k not in params and k not in left_out}
    return {
        _TAG: "object",
        "class": _path(type(value)),
        "params": {k: _param_to_state(v, arrays) for k, v in params.items()},
        "state": {k: to_state(v, arrays) for k, v in state.items()},
    }


def _param_to_state(value: Any, arrays: list[np.ndarray]) -> Tree:
    # A generator's later draws are not part of a fitted model.
    if isinstance(value, (np.random.RandomState, np.random.Generator)):
        return None
    return to_state(value, arrays)


def _object_from_state(tree: Tree, arrays: list[np.ndarray]) -> Configurable:
    cls = _find_class(tree["class"], Configurable)
    params = {k: from_state(v, arrays) for k, v in tree["params"].items()}
    known = cls._get_param_names()
    if not set(params) <= set(known):
        raise ModelError(f"{cls.__name__} has no parameters {sorted(set(params) - set(known))}")
    value: Configurable = cls(**params)
    for name, state in tree["state"].items():
        if not name.isidentifier() or name.startswith("__") or hasattr(cls, name):
            raise ModelError(f"{cls.__name__} cannot take {name!r} from a file")
        setattr(value, name, from_state(state, arrays))
    restore = getattr(value, "_restore", None)
    if restore is not None:
        restore()
    return value


def _path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _find_class(path: str, kind: type) -> Any:
    """The class at ``path``, if it belongs to awry or to a registered plug-in."""
    from awry.core.registry import plugin_classes

    module, _, name = path.partition(":")
    if module.split(".")[0] == "awry":
        try:
            cls = getattr(importlib.import_module(module), name, None)
        except ImportError as error:
            raise ModelError(f"the model needs {path}, which this awry does not have") from error
    else:
        cls = plugin_classes().get(path)
    ours = isinstance(cls, type) and issubclass(cls, kind) and _path(cls) == path
    if not ours or (kind is tuple and not hasattr(cls, "_fields")):
        raise ModelError(
            f"the model names the class {path!r}, which is not a registered part of awry; "
            "install the plug-in it came from, or do not trust the file"
        )
    return cls
