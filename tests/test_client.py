"""The client and the command line reach all that the OpenAPI document has."""

from __future__ import annotations

import ast
import inspect
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

import awry.cli
from awry.caller import path_of
from awry.client import Client, ServiceError
from awry.ops.settings import Settings
from awry.server import create_app

#: Routes without a method, and why.
NOT_FOR_PEOPLE = {
    ("GET", "/metrics"): "Prometheus reads it",
    ("POST", "/v1/alerts/received"): "an Alertmanager sends to it",
}
#: Methods that send nothing of their own, or that no command needs.
NO_ROUTE = {"close", "wait"}
NO_COMMAND = {"close"}
#: What a parameter is called with; others with its name.
GIVEN = {
    "rows": [{"a": 1}], "labels": [1], "rules": [], "version": 3, "share": 0.1, "event": 17,
    "alert": 5, "limit": 10, "page": 10, "minutes": 5, "rate": 0.01,
}  # fmt: skip


class Answer:
    """Takes the place of any answer."""

    status_code, text = 200, ""

    def json(self) -> Any:
        return {"rows": [], "next": None, "rules": [], "state": "done"}

    def iter_bytes(self) -> Iterator[bytes]:
        yield b""


class Heard:
    """Takes the place of the network, and writes down what is asked."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()

    def request(self, method: str, path: str, **_: Any) -> Answer:
        self.asked.add((method, path))
        return Answer()

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    @contextmanager
    def stream(self, method: str, path: str, **_: Any) -> Iterator[Answer]:
        yield self.request(method, path)


def methods() -> dict[str, Callable[..., Any]]:
    found = inspect.getmembers(Client, inspect.isfunction)
    return {name: method for name, method in found if not name.startswith("_")}


def asked_by(name: str, folder: Path) -> set[tuple[str, str]]:
    """What a method asks for, with the parameters it needs and with all it has."""
    heard = Heard()
    parameters = list(inspect.signature(getattr(Client, name)).parameters.values())[1:]
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    there = {"file": io.BytesIO(b"a\n1\n"), "path": folder / "out"}
    for some in ([p for p in named if p.default is p.empty], named):
        values = {p.name: (there | GIVEN).get(p.name, p.name) for p in some}
        found = getattr(Client(http=heard), name)(**values)
        if inspect.isgenerator(found):
            list(found)
    return heard.asked


def matches(route: tuple[str, str], asked: tuple[str, str]) -> bool:
    """Whether ``asked`` goes to ``route``, and to none whose path is written out."""
    path = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route[1]))
    return route[0] == asked[0] and re.fullmatch(path, asked[1]) is not None


def test_every_route_has_a_method_and_every_method_a_route(tmp_path: Path) -> None:
    document = create_app(Settings(home=tmp_path)).openapi()
    routes = {(how.upper(), path) for path, hows in document["paths"].items() for how in hows}
    assert routes > NOT_FOR_PEOPLE.keys(), "an exception for a route that is there no longer"
    written = {route for route in routes if "{" not in route[1]}
    reached = set()
    for name in methods().keys() - NO_ROUTE:
        for asked in asked_by(name, tmp_path):
            to = {asked} & written or {route for route in routes if matches(route, asked)}
            assert len(to) == 1, (name, asked)
            reached |= to
    assert routes - reached == NOT_FOR_PEOPLE.keys()


def test_every_method_has_a_command() -> None:
    """Each is called by a module of `awry remote`."""
    called = set()
    for file in Path(awry.cli.__file__).parent.glob("remote*.py"):
        tree = ast.parse(file.read_text())
        used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        called |= {
            one.attr for one in used if isinstance(one.value, ast.Name) and one.value.id == "client"
        }
    assert methods().keys() - NO_COMMAND <= called


def test_names_stay_one_part_of_the_path() -> None:
    assert path_of("events", "a/b ?#", 7) == "/v1/events/a%2Fb%20%3F%23/7"


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        ({"detail": "is no name", "field": "name", "remedy": "use letters"},
         "name: is no name; use letters"),
        ({"detail": "is full"}, "is full"),
        ({}, "the service answered 418"),
    ],
)  # fmt: skip
def test_a_problem_is_told_with_its_field_and_remedy(problem: dict[str, str], told: str) -> None:
    assert str(ServiceError(418, problem)) == told
