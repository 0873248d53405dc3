"""Connections that try to keep a server from answering others. Their number is bounded, and only
loopback is attacked.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

# As many as once starved a server; each is one socket of this machine.
HALF_SENT = 280
WAITING = 220
STREAMS = 80
SLOW_BODIES = 150
DEAF_READERS = 100
PROBE_SECONDS = 5.0


def refuse_strangers(url: str) -> tuple[str, int]:
    """Return host and port of an address on loopback. Raises ValueError for any other address, so
    that only the user's own machine is attacked.
    """
    parts = urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost", "::1"} or parts.port is None:
        raise ValueError(f"{url} is not on loopback; only a service of this machine is attacked")
    return parts.hostname, parts.port


@contextmanager
def hold(
    url: str, count: int, *pieces: bytes, pause_seconds: float = 1.0
) -> Iterator[list[socket.socket]]:
    """Open connections that each send the pieces, and then repeat the last one, for the length of a
    `with`.
    """
    address, over = refuse_strangers(url), threading.Event()
    with ExitStack() as opened:
        sockets = []
        for _ in range(count):
            one = opened.enter_context(socket.create_connection(address, timeout=10))
            one.settimeout(2)
            sockets.append(one)
            _send(one, b"".join(pieces))

        def go_on() -> None:
            while not over.wait(pause_seconds):
                for one in sockets:
                    _send(one, pieces[-1])

        thread = threading.Thread(target=go_on, name="attacker", daemon=True)
        thread.start()
        try:
            yield sockets
        finally:
            over.set()
            thread.join()


def _show(key: str) -> str:
    """Return the header with a key; nothing without a key."""
    return f"X-API-Key: {key}\r\n" if key else ""


def _send(one: socket.socket, content: bytes) -> None:
    try:
        one.sendall(content)
    except OSError:
        return  # The server has closed the connection.


@contextmanager
def half_sent_requests(url: str, count: int = HALF_SENT) -> Iterator[None]:
    """Requests that send one header after another and never the last one, without a key."""
    with hold(
        url, count, b"GET /py/tickers HTTP/1.1\r\nHost: localhost\r\n", b"X-Padding: more\r\n"
    ):
        yield


@contextmanager
def silent_connections(url: str, count: int = HALF_SENT) -> Iterator[None]:
    """Connections that send nothing."""
    with hold(url, count, b""):
        yield


@contextmanager
def slow_bodies(url: str, key: str, count: int = SLOW_BODIES) -> Iterator[None]:
    """Bodies sent at a byte a second, with one key; without a key a body is not even read."""
    head = (
        f"POST /py/data/candles HTTP/1.1\r\nHost: localhost\r\n{_show(key)}"
        "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    )
    with hold(url, count, head.encode(), b" "):
        yield


@contextmanager
def deaf_readers(url: str, key: str, path: str, count: int = DEAF_READERS) -> Iterator[None]:
    """Requests of one key whose answers are never read."""
    ask = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{_show(key)}\r\n".encode()
    with hold(url, count, ask * 4, b""):
        yield


@contextmanager
def waiting_posts(url: str, key: str, count: int = WAITING) -> Iterator[None]:
    """Requests of one key that wait for the end of a run that does not end."""
    body = b'{"market": "US"}'
    head = (
        f"POST /py/anomalies/incremental?wait=30 HTTP/1.1\r\nHost: localhost\r\n{_show(key)}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with hold(url, count, head.encode() + body, b""):
        yield


@contextmanager
def event_streams(url: str, key: str, run_id: str, count: int = STREAMS) -> Iterator[None]:
    """Event streams of one key of a run that does not end."""
    ask = f"GET /py/detection-runs/{run_id}/events HTTP/1.1\r\nHost: localhost\r\n{_show(key)}\r\n"
    with hold(url, count, ask.encode(), b""):
        yield


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to another client: seconds by request, and errors."""

    seconds: list[float]
    failed: list[str]

    def __str__(self) -> str:
        slowest = max(self.seconds, default=float("nan"))
        middle = median(self.seconds) if self.seconds else float("nan")
        return (
            f"{len(self.seconds)} answered, median {middle * 1000:.0f} ms, slowest"
            f" {slowest * 1000:.0f} ms"
            + (f"; {len(self.failed)} NOT answered: {self.failed[0]}" if self.failed else "")
        )


def ask_as_others(url: str, key: str | None, paths: tuple[str, ...], rounds: int = 20) -> Answers:
    """Request each path this many times, as another client would, and note how long each answer
    took.
    """
    refuse_strangers(url)
    seconds, failed = [], []
    for _ in range(rounds):
        for path in paths:
            start = time.monotonic()
            try:
                with urlopen(  # noqa: S310 - loopback
                    Request(url + path, headers={"X-API-Key": key} if key else {}),  # noqa: S310 - loopback
                    timeout=PROBE_SECONDS,
                ):
                    seconds.append(time.monotonic() - start)
            except OSError as error:
                failed.append(f"{path}: {error}")
                if len(failed) > 3:
                    return Answers(seconds, failed)
        time.sleep(0.05)
    return Answers(seconds, failed)
