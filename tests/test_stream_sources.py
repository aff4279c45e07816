"""Where events come from: each source gives all of them, in order, and goes on where it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from awry.core.errors import DataError
from awry.stream.address import Address, redacted
from awry.stream.records import Position
from awry.stream.sources import Source, open_source
from servers import mosquitto, redis_server


def opened(address: str, position: Position | None = None) -> Source:
    source = open_source(address)
    source.open(lambda topic, partition: position, lambda partitions, lost: None)
    return source


def take(source: Source, n: int, seconds: float = 10.0) -> tuple[list[int], list[Any], Position]:
    """At least ``n`` messages (or all, where the source ends), with the last position."""
    offsets: list[int] = []
    messages: list[Any] = []
    position = Position(0)
    until = time.monotonic() + seconds
    while len(messages) < n and not source.ended and time.monotonic() < until:
        for batch in source.poll(7, 0.05):
            offsets += batch.offsets
            messages += batch.messages
            position = batch.position
    return offsets, messages, position


def lines(start: int, end: int) -> list[bytes]:
    return [b"line %d" % i for i in range(start, end)]


def write(path: Path, start: int, end: int) -> None:
    with path.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in lines(start, end)))


def test_a_file_is_followed_through_rotation_and_restart(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    write(path, 0, 20)
    source = opened(f"file://{path}")
    seen, found, position = take(source, 20)
    assert found == lines(0, 20)
    # Written after it was read, before it was renamed: by the old name's file alone.
    write(path, 20, 25)
    source.close()
    path.rename(tmp_path / "x.log.1")
    os.utime(tmp_path / "x.log.1", ns=(10**18, 10**18))
    write(path, 25, 40)
    again = opened(f"file://{path}", position)
    offsets, found, position = take(again, 20)
    assert found == lines(20, 40)
    assert offsets[0] > seen[-1]
    assert offsets == sorted(set(offsets))
    # And while it is read.
    path.rename(tmp_path / "x.log.2")
    write(path, 40, 50)
    more, found, position = take(again, 10)
    assert found == lines(40, 50)
    assert more[0] > offsets[-1]
    # Cut off in place, as logrotate's copytruncate does.
    path.write_bytes(b"")
    write(path, 50, 53)
    assert take(again, 3)[1] == lines(50, 53)


def test_a_line_counts_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"one\ntw")
    source = opened(f"file://{path}")
    assert take(source, 1)[1] == [b"one"]
    assert source.poll(10, 0.01) == []
    with path.open("ab") as file:
        file.write(b"o\n")
    assert take(source, 1)[1] == [b"two"]
    path.write_bytes(b"last")
    ends = opened(f"file://{path}?follow=0")
    assert take(ends, 9)[1] == [b"last"]
    assert ends.ended


def test_a_generator_starts_when_it_is_told() -> None:
    source = open_source("generator://iot_sensors?n=3&start=2031-05-01")
    source.open(lambda topic, partition: None, lambda partitions, lost: None)
    [batch] = source.poll(10, 0.1)
    assert [json.loads(m)["timestamp"][:10] for m in batch.messages] == ["2031-05-01"] * 3
    wrong = open_source("generator://iot_sensors?start=soon")
    wrong.open(lambda topic, partition: None, lambda partitions, lost: None)
    with pytest.raises(ValueError, match="start must be a time without zone, got 'soon'"):
        wrong.poll(10, 0.1)


def test_standard_input_ends_and_goes_on_by_line() -> None:
    code = (
        "import sys; from awry.stream.sources import open_source\n"
        "from awry.stream.records import Position\n"
        "s = open_source('-'); s.open(lambda t, p: Position(int(sys.argv[1])), None)\n"
        "while not s.ended:\n"
        "    for b in s.poll(3, 0.2): print(b.offsets, b.messages, b.position.next)\n"
    )
    given = b"a\n\nb\nc\nd\ne"
    # The last line is one once the input has ended.
    for skip, first in ((0, "[0, 2] [b'a', b'b'] 3"), (4, "[4] [b'd'] 5")):
        run = subprocess.run(
            [sys.executable, "-c", code, str(skip)], input=given, capture_output=True, check=True
        )
        assert run.stdout.decode().splitlines()[0] == first
        assert run.stdout.decode().splitlines()[-1] == "[5] [b'e'] 6"


def test_a_generator_gives_the_same_again() -> None:
    address = "generator://iot_sensors?n=9000&seed=3"
    _, whole, _ = take(opened(address), 9_000)
    assert len(whole) == 9_000
    record = json.loads(whole[0])
    assert "anomaly_type" not in record
    assert take(opened(address, Position(8_990)), 10)[1] == whole[-10:]
    slow = opened("generator://iot_sensors?rate=200")
    begun = time.monotonic()
    assert len(take(slow, 40)[1]) >= 40
    assert time.monotonic() - begun > 0.15


def test_redis_streams() -> None:
    redis = pytest.importorskip("redis")
    with redis_server() as port:
        client = redis.Redis(port=port)
        for i in range(30):
            client.xadd("s", {"data": b"m%d" % i}, id="5-*" if i < 15 else "6-*")
        source = opened(f"redis://127.0.0.1:{port}/s")
        offsets, found, _ = take(source, 30)
        assert found == [b"m%d" % i for i in range(30)]
        again = opened(f"redis://127.0.0.1:{port}/s", Position(offsets[16] + 1))
        assert take(again, 13)[1] == found[17:]
        source.seek("s", 0, Position(offsets[10]))
        assert take(source, 20)[1] == found[10:]
        client.xadd("s", {"a": "1", "b": "x"})
        assert take(source, 1)[1] == [{"a": "1", "b": "x"}]
        for one in (source, again):
            one.close()
        client.close()


def test_mqtt_holds_back_what_was_not_kept() -> None:
    paho = pytest.importorskip("paho.mqtt.client")
    with mosquitto() as port:
        source = opened(f"mqtt://127.0.0.1:{port}/plant/%23?client_id=w")
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        source.poll(1, 0.3)  # subscribed by then

        def publish(n: int) -> None:
            for i in range(n):
                client.publish(f"plant/{i % 3}", b"m%d" % i, 1).wait_for_publish(5)

        publish(10)
        offsets, found, position = take(source, 10)
        assert found == [b"m%d" % i for i in range(10)]
        assert offsets == list(range(10))
        # Six of ten are kept; the worker ends, and the others come once more.
        source.done(source.topic, 0, Position(6))
        time.sleep(0.2)
        source.close()
        again = opened(f"mqtt://127.0.0.1:{port}/plant/%23?client_id=w", position)
        offsets, found, _ = take(again, 4)
        assert found == [b"m%d" % i for i in range(6, 10)]
        assert offsets[0] == 10
        again.close()
        client.loop_stop()
        client.disconnect()


def _post(port: int, body: bytes, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_pushed_events_are_answered_once_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWRY_PUSH_TOKEN", "secret")
    source: Any = opened("http://127.0.0.1/")
    good = {"Authorization": "Bearer secret"}
    assert _post(source.port, b'{"a": 1}')[0] == 401
    assert _post(source.port, b"[1, ", **good)[0] == 400
    answers: list[Any] = []

    def send(body: bytes) -> threading.Thread:
        thread = threading.Thread(target=lambda: answers.append(_post(source.port, body, **good)))
        thread.start()
        return thread

    one = send(b'{"a": 1}\n{"a": 2}\n')
    _, found, position = take(source, 2)
    assert found == [b'{"a": 1}', b'{"a": 2}']
    assert answers == []
    source.done(source.topic, 0, position)
    one.join(10)
    assert answers == [(200, {"accepted": 2})]
    two = send(b'[{"a": 3}, {"a": [4]}]')
    offsets, found, position = take(source, 2)
    assert (offsets, found) == ([2, 3], [b'{"a": 3}', b'{"a": [4]}'])
    source.done(source.topic, 0, position)
    two.join(10)
    source.close()


def test_a_push_endpoint_for_others_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWRY_PUSH_TOKEN", raising=False)
    with pytest.raises(DataError, match="AWRY_PUSH_TOKEN"):
        open_source("http://0.0.0.0:8081/")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nowhere", "is no address"),
        ("ftp://x/y", "no source ftp"),
        ("generator://moon", "no generator 'moon'"),
        ("generator://iot_sensors?rate=fast", "rate must be a float"),
        ("generator://iot_sensors?rate=0", "rate must be above 0"),
        ("generator://iot_sensors?speed=3", "no option speed"),
        ("file:///tmp/x?from=middle", "from must be start or end"),
        ("redis://host", "names no stream"),
    ],
)
def test_what_is_wrong_with_an_address_is_told(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_source(text)


def test_secrets_are_in_no_name() -> None:
    address = Address.parse("redis://me:secret@host:1/stream?db=2")
    assert (address.user, address.password, address.port) == ("me", "secret", 1)
    assert address.name == redacted(address.text) == "redis://host:1/stream"
