"""Which network addresses a message may be sent to: by default none of this host or of its private
networks.

Otherwise anybody who may set a channel could make this host connect to what only it can reach: its
servers, its cloud's metadata. The check is made when a name is resolved, so that the address that
was checked is the one that is connected to.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

# The IPv6 prefix for translated IPv4 addresses (RFC 6052).
_TRANSLATED = IPv6Network("64:ff9b::/96")
# All addresses of the internet are among these (RFC 4291). `is_global` holds for others as well:
# for site-local ones (fec0::/10), and for those that a network translates to IPv4 by a prefix of
# its own (64:ff9b:1::/48, ::ffff:0:0:0/96). Of the block of IPv4 it depends on Python's version.
_INTERNET = IPv6Network("2000::/3")
_PROTOCOLS = IPv4Network("192.0.0.0/24")
_public_only: ContextVar[bool] = ContextVar("public_only", default=False)


def is_public(address: str) -> bool:
    """Whether an IP address is public: neither this host's nor a private network's."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        embedded = (
            found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        )
        if found in _TRANSLATED:
            embedded = ip_address(int(found) & 0xFFFFFFFF)  # type: ignore[assignment]  # it fits IPv4
        if embedded is not None:
            return is_public(str(embedded))
    is_reachable = found in _INTERNET if found.version == 6 else found not in _PROTOCOLS
    return is_reachable and found.is_global and not found.is_multicast


@contextmanager
def public_addresses_only() -> Iterator[None]:
    """Let this thread connect only to public addresses within a `with`; anything else raises
    OSError, like a missing route.
    """
    _guard_resolving()
    token = _public_only.set(True)
    try:
        yield
    finally:
        _public_only.reset(token)


@cache
def _guard_resolving() -> None:
    """Make the resolver, which all libraries use to connect, refuse private addresses where that is
    asked for.
    """
    resolve = socket.getaddrinfo

    def resolve_public(*args: Any, **kwargs: Any) -> Any:
        found = resolve(*args, **kwargs)
        if _public_only.get():
            for *_, place in found:
                if not is_public(str(place[0])):
                    raise OSError(
                        f"{place[0]} is no address of the internet; PRIVATE_CHANNELS=1 allows such"
                        " channels"
                    )
        return found

    socket.getaddrinfo = resolve_public
