"""Lines of a file as it grows, through rotation and truncation."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from pathlib import Path
from typing import BinaryIO

from awry.core.errors import DataError
from awry.stream.address import Address
from awry.stream.records import Batch, Position
from awry.stream.sources.base import MAX_MESSAGE, SinglePartition

log = logging.getLogger(__name__)
_CHUNK = 1 << 18
#: So many bytes from the beginning tell a file from another in its place.
_HEAD = 256
#: Seconds between looks at a file that does not grow.
_PAUSE = 0.05


class FileSource(SinglePartition):
    """``file:///path``; options ``follow`` (true: wait for more) and ``from`` (start or end).

    A line's offset is the bytes before it in this file and all that it was rotated from. The file
    is known by its inode and its first bytes: after a rename (``x.log`` to ``x.log.1``) the rest of
    the old one is read, also after a restart, and then the files that came after it, the oldest
    first. A file that became shorter is read from its beginning.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._path = Path(address.host + address.path).absolute()
        self.name = self.topic = f"file://{self._path}"
        self._follow = address.take("follow", True, bool)
        start = address.take("from", "start")
        if start not in ("start", "end"):
            raise DataError(f"{self.name}: from must be start or end, got {start!r}")
        self._from_end = start == "end"
        if not self._follow and not self._path.exists():
            raise DataError(f"{self._path} does not exist")
        self._file: BinaryIO | None = None
        self._base = self._at = 0

    def _begin(self, position: Position | None) -> None:
        self.close()
        self._base = self._at = 0
        self.ended = False
        if position is None:
            if self._open(self._path) and self._from_end:
                assert self._file is not None
                self._at = os.fstat(self._file.fileno()).st_size
            return
        extra = position.extra or {}
        self._base, at = int(extra.get("base", 0)), position.next - int(extra.get("base", 0))
        for path in (self._path, *self._family()):
            if self._open(path) and self._is(extra) and self._size() >= at:
                self._at = at
                return
        if extra:
            log.warning("%s: the file that was read to byte %d is gone", self._path, at)
        self._base, self._at = position.next, 0
        self._open(self._path)

    def poll(self, most: int, timeout: float) -> list[Batch]:
        until = time.monotonic() + timeout
        while True:
            found = self._read(most)
            if found is not None or self.ended:
                return [] if found is None else [found]
            if time.monotonic() >= until:
                return []
            time.sleep(min(_PAUSE, timeout))

    def lag(self) -> int | None:
        return None if self._file is None else max(self._size() - self._at, 0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, most: int) -> Batch | None:
        if self._file is None and not self._open(self._path):
            return None
        lines, offsets = self._lines(most)
        if not lines:
            last = self._last_line()
            if last is None:
                return None
            lines, offsets = [last], [self._base + self._at]
            self._at += len(last)
        # The bytes of the line's end belong to the line.
        position = Position(self._base + self._at, self._identity())
        kept = [(o, m) for o, m in zip(offsets, lines, strict=True) if m.strip()]
        return Batch(
            self.topic, 0, [o for o, _ in kept], [m for _, m in kept], position, time.time()
        )

    def _lines(self, most: int) -> tuple[list[bytes], list[int]]:
        """Whole lines from here on."""
        assert self._file is not None
        self._file.seek(self._at)
        data, size = b"", _CHUNK
        while b"\n" not in data and len(data) < MAX_MESSAGE:
            more = self._file.read(size)
            if not more:
                return [], []
            data += more
        if b"\n" not in data:
            self._at += len(data)
            return [data], [self._base + self._at - len(data)]
        lines = data.split(b"\n")[:-1][:most]
        offsets, at = [], self._base + self._at
        for line in lines:
            offsets.append(at)
            at += len(line) + 1
        self._at = at - self._base
        return lines, offsets

    def _last_line(self) -> bytes | None:
        """The end of a file that will not grow, after which the next one is begun."""
        assert self._file is not None
        self._file.seek(self._at)
        rest = self._file.read(MAX_MESSAGE)
        if b"\n" in rest:  # written this moment
            return None
        following = self._following()
        if following is None:
            if self._size() < self._at:
                self._base, self._at = self._base + self._at, 0
            elif not self._follow:
                self.ended = not rest
                return rest or None
            return None
        if rest:
            return rest
        self._base, self._at = self._base + self._at, 0
        self._open(following)
        return None

    def _following(self) -> Path | None:
        """The file that came after this one, None where this one is the newest."""
        assert self._file is not None
        own = os.fstat(self._file.fileno())
        try:
            if self._path.stat().st_ino == own.st_ino:
                return None
        except FileNotFoundError:
            return None
        later = [
            (stat.st_mtime_ns, path)
            for path in self._family()
            if (stat := path.stat()).st_mtime_ns > own.st_mtime_ns and stat.st_ino != own.st_ino
        ]
        return min(later)[1] if later else self._path

    def _family(self) -> list[Path]:
        """Files this one may have been rotated to."""
        packed = (".gz", ".bz2", ".xz", ".zst")
        found = self._path.parent.glob(f"{self._path.name}.*")
        return [p for p in found if p.is_file() and p.suffix not in packed]

    def _open(self, path: Path) -> bool:
        self.close()
        try:
            self._file = path.open("rb")
        except FileNotFoundError:
            return False
        return True

    def _size(self) -> int:
        assert self._file is not None
        return os.fstat(self._file.fileno()).st_size

    def _identity(self) -> dict[str, int | str]:
        assert self._file is not None
        length = min(self._at, _HEAD)
        return {
            "base": self._base,
            "inode": os.fstat(self._file.fileno()).st_ino,
            "length": length,
            "head": self._digest(length),
        }

    def _is(self, extra: dict[str, int | str]) -> bool:
        assert self._file is not None
        same = os.fstat(self._file.fileno()).st_ino == extra.get("inode")
        return same and self._digest(int(extra["length"])) == extra["head"]

    def _digest(self, length: int) -> str:
        assert self._file is not None
        self._file.seek(0)
        return hashlib.sha256(self._file.read(length)).hexdigest()
