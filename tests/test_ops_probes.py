"""What hangs is asked once, and waited for no longer than a bound."""

from __future__ import annotations

import threading
import time

import pytest

from awry.ops import probes
from awry.ops.probes import Aside, Probes
from servers import wait_until


def test_what_hangs_is_not_ok_and_holds_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PATIENCE", 0.2)
    go, begun = threading.Event(), list[int]()

    def hang() -> None:
        begun.append(1)
        go.wait()

    def fail() -> None:
        raise OSError("gone")

    made = Probes({"hangs": hang, "fails": fail, "answers": lambda: None})
    for _ in range(3):
        found = made.ask()
        assert found["hangs"] == {"ok": False, "error": "TimeoutError"}
        assert found["fails"] == {"ok": False, "error": "OSError"}
        assert found["answers"].keys() == {"ok", "latency_ms"}
    assert len(begun) == 1
    go.set()
    wait_until(lambda: made.ask()["hangs"]["ok"])


def test_an_answer_that_came_late_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 2.5])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert Probes({"slow": lambda: None}).ask()["slow"] == {"ok": False, "error": "TimeoutError"}


def test_each_call_after_the_last_is_a_new_one() -> None:
    numbers = iter(range(3))
    aside = Aside("numbers", lambda: next(numbers))
    assert [aside.call().result(10) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StopIteration):
        aside.call().result(10)
