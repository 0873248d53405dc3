"""Requests that come when they come: an open loop,
which does not wait for one answer before it asks for the next.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import count
from json import dumps
from threading import Lock
from typing import Self

CLIENTS = 16


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, path: str, body: object = None, *, etag: str | None = None) -> bytes:
        """Send a GET, or a POST where there is a body, and return the answer's body.

        Any answer but a 2xx is an error; with an `etag`, which is asked with, so is any but a 304.
        """
        if body is None:
            given = {} if etag is None else {"If-None-Match": etag}
            self._connection.request("GET", path, headers=self._headers | given)
        else:
            self._connection.request("POST", path, dumps(body), self._headers)
        response = self._connection.getresponse()
        content = response.read()
        expected = range(200, 300) if etag is None else (304,)
        assert response.status in expected, (path, response.status, content[:500])
        return content

    def read_etag(self, path: str) -> str:
        """Return the ETag of the answer to a GET."""
        self._connection.request("GET", path, headers=self._headers)
        response = self._connection.getresponse()
        response.read()
        etag = response.headers["ETag"]
        assert etag, path
        return str(etag)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def read_at_rate(
    port: int,
    key: str,
    paths: Sequence[str | tuple[str, str]],
    *,
    per_second: float,
    seconds: float,
) -> list[float]:
    """Ask for the paths in turn, so many a second,
    and return how long each answer took, in seconds.

    Of a path that comes with an ETag, the answer must be that it has not changed.

    The time of an answer counts from the moment at which the request was due: one that had to wait
    for a connection, because answers before it were slow, waited all the same.
    """
    total = int(per_second * seconds)
    numbers, lock = count(), Lock()
    start = time.perf_counter() + 0.2

    def work() -> list[float]:
        took = []
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
