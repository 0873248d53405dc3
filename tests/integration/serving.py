"""Runs the API in gunicorn, for tests with many requests at once or with a real client."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from core.settings import Settings
from runner.programs import ROOT, api_command
from runner.servers import free_port
from runner.service import api_url, wait_for_api

Answer = tuple[int, dict[str, Any]]


@contextmanager
def serve_api(settings: Settings) -> Iterator[str]:
    """Start the API over the servers of these settings, on a free port, and yield its address."""
    served = settings.model_copy(update={"port": free_port()})
    addresses = {
        name.upper(): getattr(settings, name)
        for name in ("mongo_url", "redis_url", "mongo_database")
    }
    with subprocess.Popen(
        api_command(served), cwd=ROOT, env={**os.environ, **addresses}
    ) as process:
        try:
            wait_for_api(served)
            yield api_url(served)
        finally:
            process.terminate()


def post(url: str, body: object, **headers: str) -> Answer:
    """Return status and parsed document of the answer to a POST."""
    content, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    request = Request(url, content, headers)  # noqa: S310 - our own address
    try:
        with urlopen(request, timeout=60) as response:  # noqa: S310 - our own address
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Make all calls at the same moment, and return the result of each."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> Answer:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
