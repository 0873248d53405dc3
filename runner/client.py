"""A small client of the service's API, for the demo."""

import json
import time
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request
from uuid import uuid4

from core.errors import ServerUnreachable, TapewatchError
from core.loopback import open_directly
from core.settings import Settings
from runner.service import api_url

TRY_SECONDS = 30.0
TIMEOUT_SECONDS = 15.0
PAUSE_SECONDS = 0.5

Json = dict[str, Any]


class ApiRefused(TapewatchError):
    """The API answered with a problem; `problem` is its document."""

    reason = "api_refused"

    def __init__(self, problem: Json) -> None:
        super().__init__(
            f"the API refused: {problem.get('detail', problem)}", reason=problem.get("reason")
        )
        self.problem = problem


class Api:
    """Sends requests to the API; repeats them for a while where the API is being restarted."""

    def __init__(self, settings: Settings, *, try_seconds: float = TRY_SECONDS) -> None:
        self._url = api_url(settings) + settings.url_prefix
        self._try_seconds = try_seconds

    def get(self, path: str, **query: object) -> Json:
        """Return the answer to a GET. Raises ApiRefused and ServerUnreachable."""
        return self._ask(Request(f"{self._url}{path}?{urlencode(query)}"))  # noqa: S310 -- our own address

    def post(self, path: str, body: Json) -> Json:
        """Return the answer to a POST that enqueues; asked twice, it enqueues once.

        Raises as `get`.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
        return self._ask(Request(f"{self._url}{path}", json.dumps(body).encode(), headers))  # noqa: S310 -- our own

    def _ask(self, request: Request) -> Json:
        deadline = time.monotonic() + self._try_seconds
        while True:
            try:
                with open_directly(request, timeout=TIMEOUT_SECONDS) as answer:
                    document: Json = json.load(answer)
                    return document
            except HTTPError as error:
                if error.code < 500 or time.monotonic() > deadline:
                    raise ApiRefused(json.load(error)) from error
            except (OSError, HTTPException) as error:
                if time.monotonic() > deadline:
                    raise ServerUnreachable(
                        f"the API at {self._url} does not answer: {error}"
                    ) from error
            time.sleep(PAUSE_SECONDS)
