"""What every call of a service has in common: its key, its pages, and what it refuses."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote

from awry.core.errors import AwryError
from awry.core.optional import optional


class ServiceError(AwryError):
    """What the service answered instead of a result.

    Attributes
    ----------
    status : int
        The HTTP status.
    problem : dict
        What is wrong: ``detail``, and where they are known ``field`` and ``remedy``.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, dict(problem)
        text = str(self.problem.get("detail") or f"the service answered {status}")
        if field := self.problem.get("field"):
            text = f"{field}: {text}"
        if remedy := self.problem.get("remedy"):
            text += f"; {remedy}"
        super().__init__(text)


class Caller:
    """Sends requests to a service.

    Parameters
    ----------
    url : str
    key : str, optional
        By default that of the environment variable AWRY_API_KEY.
    timeout : float
    http : optional
        An ``httpx`` client to use instead.
    """

    def __init__(self, url: str, *, key: str | None, timeout: float, http: Any) -> None:
        key = key or os.environ.get("AWRY_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        if http is None:
            httpx = optional("httpx2", extra="server", needed_by="awry.Client")
            http = httpx.Client(base_url=url, timeout=timeout)
        self._http = http

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _pages(self, path: str, filters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        asked = dict(filters)
        while True:
            page = self._get(path, **asked)
            yield from page["rows"]
            if page["next"] is None:
                return
            asked["cursor"] = page["next"]

    def _list(self, path: str, **asked: Any) -> list[dict[str, Any]]:
        return list(self._send("GET", path, params=_given(asked)).json())

    def _get(self, path: str, **asked: Any) -> dict[str, Any]:
        return dict(self._send("GET", path, params=_given(asked)).json())

    def _post(self, path: str, body: Any) -> dict[str, Any]:
        return dict(self._send("POST", path, json=body).json())

    def _put(self, path: str, body: Any) -> dict[str, Any]:
        return dict(self._send("PUT", path, json=body).json())

    def _delete(self, path: str) -> None:
        self._send("DELETE", path)

    def _send(self, method: str, path: str, **more: Any) -> Any:
        answer = self._http.request(method, path, headers=self._headers, **more)
        if answer.status_code >= 400:
            refuse(answer)
        return answer


def path_of(*parts: object) -> str:
    """The path of a route, whatever characters names have."""
    return "/".join(["/v1", *(quote(str(part), safe="") for part in parts)])


def refuse(answer: Any) -> None:
    """Raise what the service says is wrong."""
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    raise ServiceError(answer.status_code, problem if isinstance(problem, dict) else {})


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}
