"""Parameters of detectors that a client gives: looked at before there is a job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from awry.core import registry
from awry.core.detector import Detector
from awry.core.threshold import make_threshold
from awry.ops.blame import unfit
from awry.ops.errors import UnfitError
from awry.ops.settings import Settings
from awry.series_model import AUTO, AUTO_MANY

#: Parameters that count rows or points, of which data have many, or columns: what they cost is
#: bounded by the data. All other integers make a model larger, or its training longer.
_OF_DATA = frozenset(
    ("batch_size", "buffer", "capacity", "categories", "decay", "drift_window", "lags",
     "learn_rows", "max_outliers", "max_reference", "max_samples", "period", "quiet",
     "seasonal", "shape_window", "smoothing", "stretch", "stride", "subset_size", "trend",
     "update_frequency", "warmup", "window", "window_size", "windows")
)  # fmt: skip
_THREADS = ("devices", "n_jobs")
#: What the detector ``"auto"`` may stand for.
_AUTO = {"table": ("auto",), "series": (AUTO, AUTO_MANY)}


def check_settings(asked: Mapping[str, Any], settings: Settings) -> None:
    """Refuse a method, parameters or a threshold that no data could be judged with.

    Parameters
    ----------
    asked : mapping
        A request to train or to judge: ``method``, ``params``, ``threshold`` and ``as_``.
    settings : Settings
        How large a parameter may be.
    """
    method = asked.get("method") or "auto"
    with unfit("method"):
        registry.get(method)
    check_threshold(asked.get("threshold"))
    params = asked.get("params")
    if not params:
        return
    for name, value in params.items():
        _check_size(name, value, settings)
    names = [method]
    if method == "auto":
        kinds = _AUTO.get(asked.get("as_") or "auto")
        names = list(kinds or [name for several in _AUTO.values() for name in several])
    refusals = [refusal for name in names if (refusal := _refusal(name, params)) is not None]
    if len(refusals) == len(names):
        raise refusals[0]


def check_threshold(threshold: float | str | None) -> None:
    """Refuse a threshold that cannot be read as one."""
    with unfit("threshold"):
        make_threshold(threshold)


def _check_size(name: str, value: Any, settings: Settings) -> None:
    limit, remedy = settings.max_param, " (AWRY_MAX_PARAM of the service)"
    if name in _OF_DATA:
        limit, remedy = settings.max_dataset_rows, ", the most rows of a data set"
    elif name in _THREADS:
        limit, remedy = os.cpu_count() or 1, ", the cores there are"
    elif name == "random_state":
        limit, remedy = 2**32 - 1, ""
    if _size(value) > limit:
        one = isinstance(value, int)
        raise UnfitError(
            "is larger than is allowed" if one else "holds more than is allowed",
            field=f"params.{name}",
            remedy=f"give at most {limit:,}{'' if one else ' in all'}{remedy}",
        )


def _size(value: Any) -> int:
    """How much a value asks for: an integer itself, of a list the sum, anything else 1."""
    if isinstance(value, int):
        return abs(value)
    if isinstance(value, (list, dict)):
        return sum(map(_size, value.values() if isinstance(value, dict) else value))
    return 1


def _refusal(name: str, params: Mapping[str, Any]) -> UnfitError | None:
    """What is wrong with parameters of the detector called ``name``, if anything is."""
    cls: type[Detector] = registry.get(name)
    known = cls._get_param_names()
    for param, value in params.items():
        what, remedy = "", ""
        if param not in known:
            what = f"{cls.card.name} has no parameter {param!r}"
            remedy = f"it has: {', '.join(known)}"
        elif param in cls.constraints and not cls.constraints[param][1](value):
            words = cls.constraints[param][0]
            what, remedy = f"must be {words}, got {value!r}"[:500], f"give {words}"
        if what:
            return UnfitError(what, field=f"params.{param}", remedy=remedy)
    return None
