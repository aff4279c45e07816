"""Who is told of anomalies: one class for each kind of address."""

from __future__ import annotations

import importlib

from awry.core.errors import DataError
from awry.stream.address import Address
from awry.stream.sinks.base import Sink

__all__ = ["DATABASES", "SCHEMES", "Sink", "open_sink"]

#: Databases are no sinks: what they keep is written together with the state, see
#: :mod:`awry.stream.ledger`.
DATABASES = ("sqlite", "postgresql")
#: The scheme of an address, and the module and class of the sink.
SCHEMES = {
    "-": ("files", "StdoutSink"),
    "file": ("files", "FileSink"),
    "kafka": ("kafka", "KafkaSink"),
    "webhook+http": ("web", "WebhookSink"),
    "webhook+https": ("web", "WebhookSink"),
    "influx": ("web", "InfluxSink"),
}


def open_sink(text: str) -> Sink:
    """The sink at an address.

    Raises
    ------
    DataError
        Where there is no such kind of sink, or an option it does not have.
    """
    address = Address.parse(text)
    if address.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" if scheme != "-" else scheme for scheme in SCHEMES)
        if address.scheme.partition("+")[0] in DATABASES:
            raise DataError(
                f"{address.scheme}:// is told of nothing: the database of --to or --state keeps "
                "dead letters by itself", remedy=f"leave it out, or give one of {known}",
            )  # fmt: skip
        raise DataError(
            f"there is no sink {address.scheme}://",
            remedy=f"one of {known}; with --to also sqlite:/// or postgresql://",
        )
    module, name = SCHEMES[address.scheme]
    made: Sink = getattr(importlib.import_module(f"awry.stream.sinks.{module}"), name)(address)
    address.finish()
    return made
