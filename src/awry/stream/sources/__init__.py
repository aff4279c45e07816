"""Where events come from: one class for each kind of address."""

from __future__ import annotations

import importlib

from awry.core.errors import DataError
from awry.stream.address import Address
from awry.stream.sources.base import Source

__all__ = ["SCHEMES", "Source", "open_source"]

#: The scheme of an address, and the module and class of the source.
SCHEMES = {
    "-": ("stdin", "StdinSource"),
    "file": ("file", "FileSource"),
    "generator": ("generator", "GeneratorSource"),
    "kafka": ("kafka", "KafkaSource"),
    "redis": ("redis", "RedisSource"),
    "mqtt": ("mqtt", "MqttSource"),
    "http": ("push", "PushSource"),
}


def open_source(text: str) -> Source:
    """The source at an address; it connects when it is opened.

    Raises
    ------
    DataError
        Where there is no such kind of source, or an option it does not have.
    """
    address = Address.parse(text)
    if address.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" if scheme != "-" else scheme for scheme in SCHEMES)
        raise DataError(f"there is no source {address.scheme}://", remedy=f"one of {known}")
    module, name = SCHEMES[address.scheme]
    made: Source = getattr(importlib.import_module(f"awry.stream.sources.{module}"), name)(address)
    address.finish()
    return made
