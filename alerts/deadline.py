"""A limit on the total time of sending a message, and on the size of a channel's answer.

Libraries limit each wait for a byte only. A channel that sends one header a second would keep its
sender, and all messages behind it, for hours. They also read answers of any size: a body without
end, or one that unpacks to gigabytes, would end the process, and with it the sweeper.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from threading import Lock, Timer
from typing import Any

from core.errors import Transient

# Far more than an error message needs. Over HTTP, bytes count as received and as unpacked.
MOST_BYTES = 4 * 2**20


class _Bound:
    """The connections that are opened before the deadline, and the bytes that came over them."""

    def __init__(self) -> None:
        self.is_over = self.is_flooded = False
        self._received = 0
        self._held: list[socket.socket] = []
        self._lock = Lock()

    def hold(self, connection: socket.socket) -> None:
        """Register a connection that must end at the deadline; raise TimeoutError if it has
        passed.
        """
        with self._lock:
            if self.is_over:
                raise TimeoutError("the time for this message is over")
            # A duplicate of the descriptor, because TLS takes over the original.
            self._held.append(connection.dup())

    def count(self, received: int) -> None:
        """Count received bytes; raise OSError if they are too many."""
        self._received += received
        if self._received > MOST_BYTES:
            self.is_flooded = True
            raise OSError("the channel answers without end")

    def end(self) -> None:
        """Shut the connections down, so that whoever reads from one gets its end."""
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
    """Within a `with`, break off this thread's connections after the time limit or too large an
    answer, and raise Transient.
    """
    _watch_connecting()
    _watch_reading()
    bound = _Bound()
    timer = Timer(seconds, bound.end)
    timer.daemon = True
    token = _bound.set(bound)
    timer.start()
    try:
        yield
    except Transient:
        # The reason for the interruption is raised below.
        if not bound.is_over and not bound.is_flooded:
            raise
    finally:
        _bound.reset(token)
        timer.cancel()
        timer.join()
        bound.close()
    if bound.is_flooded:
        raise Transient(f"the channel answered more than {MOST_BYTES / 2**20:g} MiB")
    if bound.is_over:
        raise Transient(f"the channel was not done with the message within {seconds:g} s")


@cache
def _watch_connecting() -> None:
    """Make sockets, which all libraries use to connect, register their connections where that is
    asked for.
    """
    connect = socket.socket.connect

    def connect_held(self: socket.socket, address: Any) -> None:
        bound = _bound.get()
        if bound is not None:
            bound.hold(self)
        connect(self, address)

    socket.socket.connect = connect_held  # type: ignore[method-assign,assignment]  # as its own


@cache
def _watch_reading() -> None:
    """Make reads count their bytes where that is asked for: as received, through the files that all
    libraries read from, and over HTTP also as unpacked.
    """
    import requests  # noqa: PLC0415 - loads slowly, and few need it

    readinto, iter_content = socket.SocketIO.readinto, requests.Response.iter_content

    def count_read(self: socket.SocketIO, buffer: Any) -> int | None:
        received = readinto(self, buffer)
        bound = _bound.get()
        if bound is not None:
            bound.count(received or 0)
        return received

    def count_unpacked(self: requests.Response, *args: Any, **kwargs: Any) -> Iterator[Any]:
        for piece in iter_content(self, *args, **kwargs):
            bound = _bound.get()
            if bound is not None:
                bound.count(len(piece))
            yield piece

    socket.SocketIO.readinto = count_read  # type: ignore[method-assign,assignment]  # as its own
    requests.Response.iter_content = count_unpacked  # type: ignore[method-assign]  # as its own
