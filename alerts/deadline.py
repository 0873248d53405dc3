"""A bound on how long sending a message takes in all.

Libraries bound each wait for a byte. A channel that says one header a second, each in time, would
so keep its sender for hours, and with it all messages behind.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from threading import Lock, Timer
from typing import Any

from core.errors import Transient


class _Bound:
    """The connections that are made until the time is over."""

    def __init__(self) -> None:
        self.is_over = False
        self._held: list[socket.socket] = []
        self._lock = Lock()

    def hold(self, connection: socket.socket) -> None:
        """Have a connection end with the time; raise TimeoutError where that is over."""
        with self._lock:
            if self.is_over:
                raise TimeoutError("the time for this message is over")
            # One of our own: TLS takes the other's descriptor away.
            self._held.append(connection.dup())

    def end(self) -> None:
        """Whoever reads from a connection now finds its end."""
        with self._lock:
            self.is_over = True
            for connection in self._held:
                with suppress(OSError):  # it is not connected, or was closed by the other side
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for connection in self._held:
            connection.close()


_bound: ContextVar[_Bound | None] = ContextVar("bound", default=None)


@contextmanager
def sent_within(seconds: float) -> Iterator[None]:
    """Break off what this thread connects to in a `with` after so long, and raise Transient."""
    _watch_connecting()
    bound = _Bound()
    timer = Timer(seconds, bound.end)
    timer.daemon = True
    token = _bound.set(bound)
    timer.start()
    try:
        yield
    except Transient:
        # What broke it off is said below.
        if not bound.is_over:
            raise
    finally:
        _bound.reset(token)
        timer.cancel()
        timer.join()
        bound.close()
    if bound.is_over:
        raise Transient(f"the channel was not done with the message within {seconds:g} s")


@cache
def _watch_connecting() -> None:
    """Have sockets, which all libraries connect by, be held where that is asked for."""
    connect = socket.socket.connect

    def connect_held(self: socket.socket, address: Any) -> None:
        bound = _bound.get()
        if bound is not None:
            bound.hold(self)
        connect(self, address)

    socket.socket.connect = connect_held  # type: ignore[method-assign,assignment]  # as its own
