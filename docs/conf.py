"""Sphinx settings, and the pages made from the cards and the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import _generate  # noqa: E402

import awry  # noqa: E402

project = "awry"
author = "the awry authors"
copyright = "2026, the awry authors"
version = release = awry.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "_benchmarks.md", "_migration.md"]
html_theme = "furo"
html_title = "awry"
html_static_path = ["_static"]
templates_path = []

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

_generate.write_all(HERE / "generated")


def setup(app: Any) -> None:
    """Leave out the methods scikit-learn adds to every estimator for its metadata routing."""
    app.connect("autodoc-skip-member", _is_routing)


def _is_routing(app: Any, what: str, name: str, *_: Any) -> bool | None:
    return True if name.startswith("set_") and name.endswith("_request") else None
