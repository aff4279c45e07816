"""Objects as plain data and back, and what a file may not do."""

from __future__ import annotations

import json
import math
import zipfile
from io import BytesIO
from typing import NamedTuple

import numpy as np
import pytest

from awry import io
from awry.core.errors import ModelError
from awry.core.state import from_state, to_state
from awry.detectors import ECOD


def _round_trip(value):
    arrays: list[np.ndarray] = []
    tree = json.loads(json.dumps(to_state(value, arrays)))
    return from_state(tree, arrays)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -2.5, "é\n", b"\x00\xff", [1, [2.0, "x"]], (1, (2,)), {"a": {"b": None}},
        {1: "one", ("a", 2): [3]}, {"$": "not a tag"}, 1e-320, 0.1 + 0.2,
    ],
)  # fmt: skip
def test_plain_values_come_back_equal(value):
    again = _round_trip(value)
    assert again == value
    assert type(again) is type(value)


def test_values_that_are_not_finite_come_back():
    again = _round_trip([math.nan, math.inf, -math.inf])
    assert math.isnan(again[0])
    assert again[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint16).reshape(2, 3),
        np.array([np.nan, 1.0]),
        np.asfortranarray(np.eye(3)),
        np.array(["a", "béé"]),
        np.array(["a", "long word"], dtype=object),
        np.array(["2020-01-01"], dtype="M8[s]"),
        np.zeros((0, 4)),
        np.array([("a", 1)], dtype=object)[:, 0],
    ],
)
def test_arrays_come_back_bit_equal(array):
    again = _round_trip({"x": array})["x"]
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes() or array.dtype == object
    np.testing.assert_array_equal(again, array)


def test_scalars_keep_their_type():
    again = _round_trip(np.float32(1.5))
    assert again == 1.5
    assert isinstance(again, np.float32)


def test_what_cannot_be_saved_is_said():
    with pytest.raises(TypeError, match="function"):
        to_state(lambda: None, [])
    with pytest.raises(TypeError, match="object"):
        to_state(np.array([object()]), [])


class Foreign(NamedTuple):
    x: int


@pytest.mark.parametrize(
    "tree",
    [
        {"$": "object", "class": "os:system", "params": {}, "state": {}},
        {"$": "object", "class": "builtins:eval", "params": {}, "state": {}},
        {"$": "object", "class": "awry.io:save", "params": {}, "state": {}},
        {"$": "object", "class": "awry.core.errors:DataError", "params": {}, "state": {}},
        {"$": "object", "class": "awry.nowhere:Thing", "params": {}, "state": {}},
        {"$": "object", "class": "awry.core.state:Configurable", "params": {}, "state": {}},
        {"$": "tuple", "class": f"{__name__}:Foreign", "items": [1]},
        {"$": "tuple", "class": "builtins:tuple", "items": [1]},
        {"$": "whatever"},
        {
            "$": "object", "class": "awry.detectors.tabular.ecod:ECOD",
            "params": {"nonsense": 1}, "state": {},
        },
        {
            "$": "object", "class": "awry.detectors.tabular.ecod:ECOD",
            "params": {}, "state": {"_score": 1},
        },
        {
            "$": "object", "class": "awry.detectors.tabular.ecod:ECOD",
            "params": {}, "state": {"__class__": 1},
        },
    ],
)  # fmt: skip
def test_a_file_cannot_name_what_is_not_registered(tree):
    with pytest.raises(ModelError):
        from_state(tree, [])


@pytest.fixture
def fitted():
    return ECOD().fit(np.random.default_rng(0).normal(size=(50, 3)))


def test_a_model_file_loads_in_a_fresh_process_and_scores_bit_equal(fitted, tmp_path):
    import subprocess
    import sys

    new = np.random.default_rng(1).normal(size=(5, 3))
    fitted.save(tmp_path / "m.awry")
    np.save(tmp_path / "new.npy", new)
    code = (
        "import sys, numpy as np, awry\n"
        "scores = awry.load(sys.argv[1]).decision_function(np.load(sys.argv[2]))\n"
        "print(*(s.hex() for s in scores.tolist()))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "m.awry", tmp_path / "new.npy"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert out.stdout.split() == [s.hex() for s in fitted.decision_function(new).tolist()]


def test_equal_models_make_equal_files(fitted):
    assert io.dumps(fitted) == io.dumps(fitted)


def _rewrite(data: bytes, change) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return out.getvalue()


def test_tampering_is_refused(fitted):
    data = io.dumps(fitted)
    flipped = _rewrite(data, lambda n, c: c[:-1] + bytes([c[-1] ^ 1]) if n == "0.npy" else c)
    with pytest.raises(ModelError, match=r"0\.npy does not match its checksum"):
        io.loads(flipped)
    edited = _rewrite(data, lambda n, c: c.replace(b"ECOD", b"ECOB") if n == "manifest.json" else c)
    with pytest.raises(ModelError, match="manifest does not match"):
        io.loads(edited)
    with pytest.raises(ModelError, match=r"0\.npy is missing"):
        io.loads(_rewrite(data, lambda n, c: None if n == "0.npy" else c))


@pytest.mark.parametrize("cut", [0, 1, 30, 200, -1, -30])
def test_a_cut_file_is_refused(fitted, cut):
    with pytest.raises(ModelError):
        io.loads(io.dumps(fitted)[:cut])


def test_every_flipped_byte_is_refused_or_harmless(fitted):
    data = bytearray(io.dumps(fitted))
    expected = fitted.decision_scores_
    for at in range(0, len(data), 97):
        data[at] ^= 0xFF
        try:
            again = io.loads(bytes(data))
        except ModelError:
            pass
        else:
            assert np.array_equal(again.decision_scores_, expected)
        data[at] ^= 0xFF


def test_foreign_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        io.load(tmp_path / "none.awry")
    (tmp_path / "text.awry").write_text("hello")
    with pytest.raises(ModelError, match="not an awry model"):
        io.load(tmp_path / "text.awry")
    with zipfile.ZipFile(tmp_path / "other.awry", "w") as archive:
        archive.writestr("a.txt", "b")
    with pytest.raises(ModelError, match="not an awry model"):
        io.load(tmp_path / "other.awry")


def test_a_newer_format_is_refused_with_the_remedy(fitted, monkeypatch):
    monkeypatch.setattr(io, "VERSION", 2)
    data = io.dumps(fitted)
    monkeypatch.undo()
    with pytest.raises(ModelError, match="format 2, this awry reads format 1"):
        io.loads(data)


def test_an_interrupted_save_leaves_the_old_file(fitted, tmp_path, monkeypatch):
    target = tmp_path / "m.awry"
    fitted.save(target)
    before = target.read_bytes()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        fitted.save(target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]
