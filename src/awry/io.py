"""Saving and loading without pickle: a manifest, plain arrays and their checksums in a zip file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import awry
from awry.core.errors import ModelError
from awry.core.files import write_whole
from awry.core.params import Configurable
from awry.core.state import from_state, to_state

FORMAT = "awry-model"
VERSION = 1
_MANIFEST, _DIGEST = "manifest.json", "manifest.sha256"
#: What one array of a model may take in memory; a small file must not unpack without bound.
MAX_ARRAY_BYTES = 16 << 30


def save(
    obj: Configurable, path: str | os.PathLike[str], *, about: dict[str, Any] | None = None
) -> None:
    """Write a fitted object to ``path``, whole or not at all.

    Parameters
    ----------
    obj : Configurable
        A fitted detector, encoder or :class:`~awry.run.Model`.
    path : path-like
        Where; an existing file is replaced in one step.
    about : dict, optional
        Plain data kept beside it, such as where the training data came from.
    """
    write_whole(path, dumps(obj, about=about))


def dumps(obj: Configurable, *, about: dict[str, Any] | None = None) -> bytes:
    """The bytes :func:`save` would write; the same object gives the same bytes."""
    arrays: list[np.ndarray] = []
    tree = to_state(obj, arrays)
    members = [_npy(array) for array in arrays]
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "awry": awry.__version__,
        "class": type(obj).__name__,
        "about": about or {},
        "object": tree,
        "sha256": [hashlib.sha256(m).hexdigest() for m in members],
    }
    head = json.dumps(manifest, indent=1, sort_keys=True).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        _put(archive, _MANIFEST, head)
        _put(archive, _DIGEST, hashlib.sha256(head).hexdigest().encode())
        for i, member in enumerate(members):
            _put(archive, f"{i}.npy", member)
    return out.getvalue()


def load(path: str | os.PathLike[str]) -> Any:
    """Read what :func:`save` wrote.

    Raises
    ------
    ModelError
        Where the file is missing, damaged, tampered with, not one of awry's, of a newer format or
        names a class that is not registered. No code from the file is run.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    return loads(data, source=str(path))


def loads(data: bytes, *, source: str = "model") -> Any:
    """Read an object from the bytes of a model file."""
    manifest, archive = _open(data, source)
    with archive:
        arrays = [_array(archive, i, d, source) for i, d in enumerate(manifest["sha256"])]
    try:
        return from_state(manifest["object"], arrays)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    except Exception as error:
        raise ModelError(
            f"{source}: the model's content does not fit together ({error})"
        ) from error


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The manifest of a model file, without building the object."""
    manifest, archive = _open(Path(path).read_bytes(), str(path))
    archive.close()
    return manifest


def _open(data: bytes, source: str) -> tuple[dict[str, Any], zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        head = archive.read(_MANIFEST)
        digest = archive.read(_DIGEST).decode("ascii")
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, OSError, EOFError) as error:
        raise ModelError(f"{source}: is not an awry model, or is damaged") from error
    except Exception as error:  # zlib and zipfile raise many kinds on crafted input
        raise ModelError(f"{source}: is damaged ({error})") from error
    if hashlib.sha256(head).hexdigest() != digest:
        raise ModelError(
            f"{source}: the manifest does not match its checksum; do not trust the file"
        )
    manifest = json.loads(head)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(f"{source}: is not an awry model")
    if manifest.get("version") != VERSION:
        raise ModelError(
            f"{source}: has format {manifest.get('version')}, this awry reads format {VERSION}; "
            "save the model again with this version"
        )
    return manifest, archive


def _array(archive: zipfile.ZipFile, i: int, digest: str, source: str) -> np.ndarray:
    name = f"{i}.npy"
    try:
        if archive.getinfo(name).file_size > MAX_ARRAY_BYTES:
            raise ModelError(f"{source}: {name} is larger than {MAX_ARRAY_BYTES} bytes")
        member = archive.read(name)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{source}: {name} is missing or damaged") from error
    if hashlib.sha256(member).hexdigest() != digest:
        raise ModelError(f"{source}: {name} does not match its checksum; do not trust the file")
    try:
        array: np.ndarray = np.load(io.BytesIO(member), allow_pickle=False)
    except ValueError as error:
        raise ModelError(f"{source}: {name} is not a plain array") from error
    return array


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # A fixed date: equal objects make equal files.
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, data)
