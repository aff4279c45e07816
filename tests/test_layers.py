"""Which way the rooms may look, and that importing awry stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "awry"

#: Each room and the rooms it may import from; the order is the arrow of the design.
MAY_IMPORT = {
    "core": set(),
    "kernels": {"core"},
    "nn": {"core"},
    "metrics": {"core"},
    "data": {"core"},
    "detectors": {"core", "kernels", "nn", "metrics", "data"},
    "drift": {"core", "kernels", "nn", "metrics", "data"},
    "io": {"core"},
    "checks": {"core", "io"},
    "report": {"core", "metrics", "data"},
    "result": {"core", "metrics", "data", "report"},
    "judge": {"core"},
    "model": {"core", "data", "judge", "result"},
    "series_result": {"core", "data", "report", "result"},
    "series_model": {"core", "data", "judge", "series_result"},
    "dispatch": {"core", "data", "judge", "model", "series_model"},
    "run": {
        "core", "metrics", "data", "io", "judge", "model", "series_model", "dispatch", "result",
    },
    "review": {"core", "data", "model", "result"},
    "bench": {"core", "metrics", "data", "io", "model", "run", "result"},
    "ops": {
        "core", "data", "detectors", "io", "judge", "model", "run", "result", "series_result",
        "series_model", "drift", "report", "review",
    },
    "server": {"core", "kernels", "data", "ops", "report"},
    "stream": {"core", "kernels", "data", "drift", "io", "judge", "model", "ops"},
    "caller": {"core"},
    "client": {"caller", "core"},
    "cli": {
        "client", "core", "data", "io", "model", "run", "result", "series_model", "series_result",
        "report", "bench", "drift", "ops", "review", "server", "stream",
    },
}  # fmt: skip


def _room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def _exists(module: str) -> bool:
    path = SRC.parent.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def _imports(path: Path, *, top_only: bool = False) -> set[str]:
    """Modules of awry that ``path`` imports, leaving out those for the type checker."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for inner in ast.walk(node):
                if isinstance(inner, (ast.Import, ast.ImportFrom)):
                    inner.names = []
    found = set()
    for node in tree.body if top_only else nodes:
        if isinstance(node, ast.ImportFrom) and node.module and node.names:
            # `from package import module` depends on the module, not on the rest of the package.
            found.update(
                f"{node.module}.{alias.name}"
                if _exists(f"{node.module}.{alias.name}")
                else node.module
                for alias in node.names
            )
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.split(".")[0] == "awry"}


FILES = sorted(
    p for p in SRC.rglob("*.py") if p.parent != SRC or p.stem.strip("_") not in ("init", "main")
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_rooms_look_one_way(path: Path) -> None:
    room = _room(path)
    assert room in MAY_IMPORT, f"{room} has no place in the layers"
    for name in _imports(path):
        parts = name.split(".")
        # core.Detector.save hands over to io, the one step back that keeps `save` on the object.
        if len(parts) == 1 or parts[1] == room or (room, parts[1]) == ("core", "io"):
            continue
        if (SRC / parts[1]).exists() or (SRC / f"{parts[1]}.py").exists():
            assert parts[1] in MAY_IMPORT[room], f"{room} must not import {name}"


def test_modality_folders_do_not_import_each_other() -> None:
    for path in (SRC / "detectors").rglob("*.py"):
        parts = path.relative_to(SRC / "detectors").parts
        for name in _imports(path):
            other = name.split(".")[1:4]
            if len(parts) > 1 and other[:1] == ["detectors"] and len(other) > 1:
                folder = (SRC / "detectors" / other[1]).is_dir()
                assert not folder or other[1] == parts[0], f"{path} imports {name}"


def test_no_import_cycles() -> None:
    def module(path: Path) -> str:
        name = ".".join(("awry", *path.relative_to(SRC).with_suffix("").parts))
        return name.removesuffix(".__init__")

    modules = {module(p): p for p in FILES}
    graph = {
        name: {m for m in _imports(path, top_only=True) if m in modules and m != name}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def _modules_after(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(out.stdout.split())


@pytest.mark.parametrize("code", ["import awry", "from awry.cli import main"])
def test_importing_stays_light(code: str) -> None:
    heavy = {"torch", "numba", "sklearn.ensemble", "sklearn.base", "pandas", "pyarrow", "scipy"}
    assert not heavy & _modules_after(code)


def test_core_needs_neither_numba_nor_torch() -> None:
    assert not {"numba", "torch"} & _modules_after("import awry.core.detector")
