"""Open-loop load: requests are sent at fixed times, without waiting for the answers before."""

import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import NOT_MODIFIED
from itertools import count
from json import dumps
from socket import create_connection
from threading import Lock
from typing import Self

CLIENTS = 16
MOST_BYTES = 1 << 20
LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
ETAG = re.compile(rb"^etag: *([^\r]+)", re.IGNORECASE | re.MULTILINE)


class Client:
    """One connection that is kept open.

    It parses no more of an answer than it must, because it shares the cores with the server that is
    timed.
    """

    def __init__(self, port: int, key: str) -> None:
        self._socket = create_connection(("127.0.0.1", port), timeout=30)
        self._headers = (
            f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\n"
        )

    def ask(self, path: str, body: object = None, *, etag: str | None = None) -> bytes:
        """Send a GET, or a POST if there is a body, and return the answer's body.

        Any answer but a 2xx is an error; if an `etag` is given, it is sent, and any answer but a
        304 is an error.
        """
        given = "" if etag is None else f"If-None-Match: {etag}\r\n"
        if body is None:
            status, _, content = self._request(f"GET {path}{self._headers}{given}\r\n")
        else:
            text = dumps(body)
            status, _, content = self._request(
                f"POST {path}{self._headers}Content-Length: {len(text)}\r\n\r\n{text}"
            )
        expected = range(200, 300) if etag is None else (304,)
        assert status in expected, (path, status, content[:500])
        return content

    def read_etag(self, path: str) -> str:
        """Return the ETag of the answer to a GET."""
        _, headers, _ = self._request(f"GET {path}{self._headers}\r\n")
        found = ETAG.search(headers)
        assert found is not None, path
        return found[1].decode()

    def _request(self, request: str) -> tuple[int, bytes, bytes]:
        """Return an answer's status, headers and body."""
        self._socket.sendall(request.encode())
        headers, end, content = b"", b"", b""
        while not end:
            headers, end, content = (headers + self._receive()).partition(b"\r\n\r\n")
        length = LENGTH.search(headers)
        status, parts = int(headers[9:12]), [content]
        missing = 0 if length is None else int(length[1]) - len(content)
        assert length is not None or status == NOT_MODIFIED, headers
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        return status, headers, b"".join(parts)

    def _receive(self) -> bytes:
        content = self._socket.recv(MOST_BYTES)
        assert content, "the API closed the connection"
        return content

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def read_at_rate(
    port: int,
    key: str,
    paths: Sequence[str | tuple[str, str]],
    *,
    per_second: float,
    seconds: float,
) -> list[float]:
    """Request the paths in turn, this many a second, and return how long each answer took, in
    seconds.

    If a path has an ETag, the answer must be that nothing has changed.

    The time of an answer counts from the moment at which its request was due. So it includes the
    wait for a connection if earlier answers were slow.
    """
    total = int(per_second * seconds)
    numbers, lock = count(), Lock()
    start = time.perf_counter() + 0.2

    def work() -> list[float]:
        took: list[float] = []
        with Client(port, key) as client:
            client.ask("/healthz")
            while True:
                with lock:
                    number = next(numbers)
                if number >= total:
                    return took
                due = start + number / per_second
                time.sleep(max(0.0, due - time.perf_counter()))
                asked = paths[number % len(paths)]
                path, etag = (asked, None) if isinstance(asked, str) else asked
                client.ask(path, etag=etag)
                took.append(time.perf_counter() - due)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [
            seconds
            for part in [pool.submit(work) for _ in range(CLIENTS)]
            for seconds in part.result()
        ]
