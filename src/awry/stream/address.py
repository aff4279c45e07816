"""Addresses of sources and sinks: ``scheme://host:port/path?option=value``, without secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from awry.core.errors import DataError


@dataclass
class Address:
    """The parts of an address; options are taken out one by one, and what is left is refused."""

    text: str
    scheme: str
    host: str
    port: int | None
    path: str
    options: dict[str, str]
    user: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse an address; ``-``, with options or without, is standard input or output."""
        place, _, query = text.partition("?")
        if place == "-":
            return cls(text, "-", "", None, "", dict(parse_qsl(query, keep_blank_values=True)))
        if "://" not in text:
            raise DataError(
                f"{text!r} is no address", remedy="write scheme://…, such as file:///var/log/x.json"
            )
        parts = urlsplit(text)
        if parts.scheme == "kafka":  # several brokers between commas
            host, port = parts.netloc.rpartition("@")[2], None
        else:
            try:
                host, port = parts.hostname or "", parts.port
            except ValueError as error:
                raise DataError(f"{redacted(text)} has no proper port: {error}") from error
        return cls(
            text, parts.scheme, host, port, unquote(parts.path),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            None if parts.username is None else unquote(parts.username),
            None if parts.password is None else unquote(parts.password),
        )  # fmt: skip

    @property
    def name(self) -> str:
        """The address without secrets and options."""
        return redacted(self.text).partition("?")[0]

    def take(self, option: str, default: Any, kind: type = str) -> Any:
        """The value of an option."""
        text = self.options.pop(option, None)
        if text is None:
            return default
        try:
            return text.lower() in ("1", "true", "yes") if kind is bool else kind(text)
        except ValueError:
            raise DataError(
                f"{self.name}: {option} must be a {kind.__name__}, got {text!r}"
            ) from None

    def finish(self) -> None:
        """Refuse options that nobody took."""
        if self.options:
            raise DataError(f"{self.name} has no option {', '.join(sorted(self.options))}")

    def secret(self, variable: str, default: str | None = None) -> str | None:
        """A secret of the environment."""
        return os.environ.get(variable, default)


def redacted(text: str) -> str:
    """An address without what stands before the @ of its host, and without its options."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
