"""Which addresses of the network a message may go to:
by default none of this host's own or of its private networks.

Otherwise whoever may set a channel could have this host talk to what only it can reach: its
servers, its cloud's metadata. The check is where a name is resolved, so that what was checked is
what is connected to.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

# How IPv6 writes an address of IPv4 that is to be translated (RFC 6052).
_TRANSLATED = IPv6Network("64:ff9b::/96")
_public_only: ContextVar[bool] = ContextVar("public_only", default=False)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet,
    and neither this host's nor a private network's.
    """
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        embedded = (
            found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        )
        if found in _TRANSLATED:
            embedded = ip_address(int(found) & 0xFFFFFFFF)  # type: ignore[assignment]  # it fits IPv4
        if embedded is not None:
            return is_public(str(embedded))
    return found.is_global and not found.is_multicast


@contextmanager
def public_addresses_only() -> Iterator[None]:
    """Have this thread connect to nothing private for the length of a `with`;
    it raises OSError, as for no route.
    """
    _guard_resolving()
    token = _public_only.set(True)
    try:
        yield
    finally:
        _public_only.reset(token)


@cache
def _guard_resolving() -> None:
    """Have the resolver, which all libraries connect by,
    refuse what is private where that is asked for.
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
