"""Connections to addresses that people configure, but for those that are nobody's business."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from awry.core.errors import AwryError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Where clouds tell a machine its own credentials, besides the link-local ones.
_METADATA = {ipaddress.ip_address(a) for a in ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")}
#: IPv4 addresses written as IPv6 ones, for a translator on the way (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenError(AwryError):
    """An address that must not be called."""


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks, or single addresses, of ``texts``."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def connect(
    host: str, port: int, *, timeout: float, allowed: Iterable[Network] = ()
) -> socket.socket:
    """A connection to ``host``, whose name is looked up once, so that it cannot change in between.

    Raises
    ------
    ForbiddenError
        Where its address is link-local, a cloud's metadata, multicast or nobody's, and in none of
        the networks ``allowed``.
    """
    allowed = tuple(allowed)
    failure: OSError | None = None
    for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if forbidden(address) and not any(address in network for network in allowed):
            raise ForbiddenError(
                f"{host} is at {address}, which is not called; AWRY_ALERT_ALLOW names addresses "
                "that may be"
            )
        try:
            return socket.create_connection((str(address), port), timeout)
        except OSError as error:
            failure = error
    raise failure or OSError(f"{host} has no address")


def forbidden(address: Address) -> bool:
    """Whether ``address`` is one that a service must not be made to call.

    Examples
    --------
    >>> [forbidden(ipaddress.ip_address(a)) for a in ("169.254.169.254", "10.0.0.1")]
    [True, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return forbidden(inner)
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
    )
