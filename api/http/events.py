"""Server-sent events: the state of a run whenever it changes, until it has ended."""

from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from time import monotonic, sleep
from typing import Any

from flask import Response

from api.http.auth import get_key_id
from api.http.errors import build_problem
from api.http.links import read_verdicts
from api.http.shares import Shares
from api.http.state import get_state
from api.schemas.runs import Run
from records import keys
from records.database import Db
from records.work.documents import ShownRun
from records.work.runs import OPEN_STATUSES, find_run

POLL_SECONDS = 0.5
COMMENT_SECONDS = 15.0
# A process has 64 threads. Each stream holds one, and other requests need some too.
STREAMS = Shares(24, each=12)
# A stream whose key was revoked ends within this time.
KEY_SECONDS = 2.0

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
        "description": (
            "events named `run`, each with the run as data and its version as id; the stream ends"
            " with it"
        ),
        "content": {"text/event-stream": {"schema": EVENT}},
    },
    503: "too many streams are open; try again, or ask for the run itself",
}


def answer_stream(events: Iterator[str]) -> Response:
    """Return the streaming answer, or a problem where too many streams are open.

    The stream ends when the key is no longer valid.
    """
    place = STREAMS.take()
    if place is None:
        detail = (
            f"too many event streams are open here ({STREAMS.each} of one key, {STREAMS.total} in"
            " all); try again, or ask for the run itself"
        )
        return build_problem(503, detail, reason="too_many_streams", headers={"Retry-After": "5"})
    guarded = _end_with_key(get_state().whole_database, get_key_id(), events)
    response = Response(
        guarded, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )
    response.call_on_close(partial(STREAMS.give_back, place))
    return response


def _end_with_key(database: Db, key_id: str | None, events: Iterator[str]) -> Iterator[str]:
    """Yield the events as long as the request's key is valid; an empty event only gives an occasion
    to check.
    """
    looked = monotonic()
    for event in events:
        if monotonic() - looked >= KEY_SECONDS:
            looked = monotonic()
            if not keys.is_admitted(database, key_id):
                return
        if event:
            yield event


def follow_run(database: Db, run_id: str, tickers_url: str, last_seen: str | None) -> Iterator[str]:
    """Yield a run as an event whenever its version differs from the last one.

    Yields a comment if the run is unchanged for long, and an empty text after each check.
    """
    said = monotonic()
    while True:
        run = find_run(database, run_id)
        if run is None:
            return
        version = build_version(run)
        if version != last_seen:
            # The reason why it waits is left out: it would mean asking the workers at each check.
            links = {"tickers_url": tickers_url, "verdicts": read_verdicts(run)}
            shown = Run.model_validate({**run, **links})
            yield f"event: run\nid: {version}\ndata: {shown.model_dump_json(by_alias=True)}\n\n"
            last_seen, said = version, monotonic()
        if run["status"] not in OPEN_STATUSES:
            return
        if monotonic() - said >= COMMENT_SECONDS:
            # Without it, proxies close a quiet stream, and we never learn that a client has gone.
            yield ": still here\n\n"
            said = monotonic()
        yield ""
        sleep(POLL_SECONDS)


def build_version(run: ShownRun) -> str:
    """Return a word that changes when the run does; fields that change with time alone (ETA, rate)
    do not count.
    """
    progress = {
        name: value
        for name, value in run["progress"].items()
        if name not in {"eta_seconds", "rows_per_second"}
    }
    return sha256(
        repr((run["status"], run["cancel_requested"], sorted(progress.items()))).encode()
    ).hexdigest()[:16]
