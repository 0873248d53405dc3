"""Turns: of many simultaneous requests of one quick kind, a few are worked on and the others wait.

If all threads of a process compute at once, they take one another's time slices, so that each of
fifty takes fifty times as long. One after the other, the last ends at the same time and most of the
others much earlier.
"""

from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import Any

AT_WORK = 3
# If the requests at work wait for a server that does not answer, the others need not wait for them.
LONGEST_WAIT_SECONDS = 1.0

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Turns:
    """A WSGI application around another: requests whose path contains a word take turns."""

    def __init__(self, app: WsgiApp, word: str) -> None:
        self._app = app
        self._word = word
        self._free = BoundedSemaphore(AT_WORK)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        if self._word not in environ.get("PATH_INFO", ""):
            return self._app(environ, start_response)
        has_turn = self._free.acquire(timeout=LONGEST_WAIT_SECONDS)
        try:
            return self._app(environ, start_response)
        finally:
            if has_turn:
                self._free.release()
