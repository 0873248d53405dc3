"""Server-sent events: a run as it changes, until it has ended."""

from collections.abc import Iterator
from hashlib import sha256
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any

from flask import Response

from api.http.errors import build_problem
from api.schemas.runs import Run
from records.database import Db
from records.work.documents import ShownRun
from records.work.runs import OPEN_STATUSES, find_run

POLL_SECONDS = 0.5
COMMENT_SECONDS = 15.0
# Of this process' 64 threads; each stream holds one, and requests need some too.
MOST_STREAMS = 40

EVENT = {
    "type": "object",
    "properties": {
        "event": {"const": "run"},
        "id": {"type": "string", "description": "version of the run, for `Last-Event-ID`"},
        "data": {"type": "string", "description": "the run, as JSON"},
    },
}
STREAM: Any = {
    200: {
        "description": "events named `run`, each with the run as data and its version as id; the stream ends with it",
        "content": {"text/event-stream": {"schema": EVENT}},
    },
    503: "too many streams are open; try again, or ask for the run itself",
}
_streams = BoundedSemaphore(MOST_STREAMS)


def answer_stream(events: Iterator[str]) -> Response:
    """Return the streaming answer, or a problem where too many streams are open."""
    if not _streams.acquire(blocking=False):
        detail = f"{MOST_STREAMS} event streams are open here; try again, or ask for the run itself"
        return build_problem(503, detail, reason="too_many_streams", headers={"Retry-After": "5"})
    response = Response(events, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
    response.call_on_close(_streams.release)
    return response


def follow_run(database: Db, run_id: str, tickers_url: str, last_seen: str | None) -> Iterator[str]:
    """Yield a run as events: whenever its version is not the one seen last.

    A comment is yielded when it is long unchanged.
    """
    said = monotonic()
    while True:
        run = find_run(database, run_id)
        if run is None:
            return
        version = build_version(run)
        if version != last_seen:
            shown = Run.model_validate(run | {"tickers_url": tickers_url})
            yield f"event: run\nid: {version}\ndata: {shown.model_dump_json(by_alias=True)}\n\n"
            last_seen, said = version, monotonic()
        if run["status"] not in OPEN_STATUSES:
            return
        if monotonic() - said >= COMMENT_SECONDS:
            # Without it, proxies give up on a quiet stream, and we never learn that a client has gone.
            yield ": still here\n\n"
            said = monotonic()
        sleep(POLL_SECONDS)


def build_version(run: ShownRun) -> str:
    """Return a word that changes when the run does; what only time changes (ETA, rate) is left out."""
    progress = {
        name: value for name, value in run["progress"].items() if name not in {"eta_seconds", "rows_per_second"}
    }
    return sha256(repr((run["status"], run["cancel_requested"], sorted(progress.items()))).encode()).hexdigest()[:16]
