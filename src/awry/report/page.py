"""A result as one self-contained HTML page: no scripts, no network, light and dark, phone width."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

import awry
from awry.core.files import write_whole
from awry.report import charts, losses

if TYPE_CHECKING:
    from awry.result import Result

#: Anomalies shown with their reasons.
SHOWN = 20


def write(result: Result, path: str | Path) -> Path:
    """Write the report of ``result`` to ``path``, whole or not at all."""
    page = template("page.html").render(_content(result), style=charts.style())
    return write_whole(path, page.encode())


def fragment(result: Result) -> str:
    """The head of the report for a notebook: summary, picture and top anomalies."""
    return template("fragment.html").render(_content(result, top=5), style=charts.style())


def template(name: str) -> jinja2.Template:
    """One of the templates beside this file, which escapes what it is given."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = charts.number
    environment.loader = jinja2.FunctionLoader(
        lambda wanted: files("awry.report").joinpath(wanted).read_text(encoding="utf-8")
    )
    return environment.get_template(name)


def _content(result: Result, top: int = SHOWN) -> dict[str, Any]:
    facts = result.to_dict(top)
    severities = np.bincount(result.severity, minlength=4)
    flagged = int(result.labels.sum())
    return {
        "facts": facts,
        "top": facts["top"],
        "flagged": flagged,
        "rate": flagged / max(len(result), 1),
        "severities": {
            name: int(count)
            for name, count in zip(charts.SEVERITY_CLASSES[1:], severities[1:], strict=True)
        },
        "pictures": _pictures(result),
        "learning": learning(result.model.detector_),
        "problems": facts["problems"][:50],
        "more_problems": max(0, facts["set_aside"] - 50),
        "span": _span(result.times),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": awry.__version__,
    }


def _pictures(result: Result) -> dict[str, str]:
    kinds = ["scores", "projection"]
    if result.times is not None and np.isfinite(result.times).any():
        kinds.insert(1, "time")
    return {kind: result.plot(kind).html() for kind in kinds}


def learning(detector: Any) -> str:
    """How the losses of a network fell while it learnt, as HTML; nothing of other detectors."""
    history = getattr(detector, "history_", None)
    return losses.loss_chart(history).html() if history else ""


def _span(times: np.ndarray | None) -> str | None:
    if times is None or not np.isfinite(times).any():
        return None
    ends = (float(np.nanmin(times)), float(np.nanmax(times)))
    first, last = (datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M") for t in ends)
    return f"{first} to {last} UTC"
