"""Answers of POSTs that enqueue: the same run for the same idempotency key, and `202` with the
run's address or, after a wait, `200`.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from hashlib import file_digest, sha256
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any

from apiflask import APIBlueprint
from celery.signals import before_task_publish
from flask import Response, g, has_request_context, json, request, url_for
from pydantic import BaseModel
from structlog.contextvars import bind_contextvars

from api.http.auth import get_client
from api.http.deadlines import lift_deadline
from api.http.links import link_run
from api.http.shares import Shares
from api.http.state import get_database
from api.schemas.runs import Accepted, OnceHeaders, Run, WaitQuery
from core.errors import Busy
from core.naming import name_some
from records.work.documents import RunDocument, ShownRun
from records.work.requests import Once
from records.work.runs import get_run, has_ended
from tasks.engine.accept import find_repeated

# Whether the run has ended is checked often at first, then each time after an eighth of the time
# waited so far.
SHORTEST_POLL_SECONDS = 0.005
LONGEST_POLL_SECONDS = 0.05
Answers = dict[int | str, dict[str, str | dict[str, dict[str, Any]]]]
# A process has 64 threads. A caller who waits holds one.
WAITS = Shares(24, each=8)
# Of these threads so many accept a run at once: of a market of 65,000 tickers each has MongoDB read
# and index all of them, and thirty that do leave it nothing for others.
ACCEPTED_AT_ONCE = 6
TURNS = BoundedSemaphore(ACCEPTED_AT_ONCE)
# The rest of the time until the answer is due is for the run itself.
LONGEST_TURN_SECONDS = 4.0
Outcome = Callable[[ShownRun], BaseModel | None]


def _show_run(run: ShownRun) -> Run:
    return Run.model_validate(link_run(run))


def enqueues(
    blueprint: APIBlueprint, model: type[BaseModel] = Run, find_outcome: Outcome = _show_run
) -> Callable[[Callable[..., RunDocument]], Callable[..., Response]]:
    """Turn a view that returns an accepted run into one that answers with it.

    The view gets `once`, and is not called if the same request was accepted before under the same
    key. A caller who waits for the outcome gets `find_outcome(run)`, of type `model`, or the run
    itself where that is None.
    """

    def decorate(view: Callable[..., RunDocument]) -> Callable[..., Response]:
        @wraps(view)
        def answer(
            *args: Any, query_data: WaitQuery, headers_data: OnceHeaders, **kwargs: Any
        ) -> Response:
            once = read_once(headers_data)
            run = find_repeated(get_database(), once)
            if run is None:
                with _take_turn() as g.turn:
                    run = view(*args, once=once, **kwargs)
            return answer_run(run, query_data.wait, find_outcome)

        # the parsed request becomes the arguments of this function, not of the view
        del answer.__wrapped__
        documented = blueprint.doc(responses=document_answers(model))(
            blueprint.output(Accepted, 202)(answer)
        )
        with_wait = blueprint.input(WaitQuery, location="query")(documented)
        return blueprint.input(OnceHeaders, location="headers")(with_wait)

    return decorate


def _take_turn() -> ExitStack:
    """Wait until fewer accept a run than may; return what ends the turn.

    Raises Busy where that takes too long.
    """
    if not TURNS.acquire(timeout=LONGEST_TURN_SECONDS):
        raise Busy(
            f"{ACCEPTED_AT_ONCE} requests before this one are still being accepted; nothing was"
            " done: send it again, or ask for fewer tickers at once"
        )
    turn = ExitStack()
    turn.callback(TURNS.release)
    return turn


@before_task_publish.connect
def _end_turn(**_: object) -> None:
    """End the turn once the run is stored: a Redis that is frozen takes 5 s for each message, in
    which MongoDB has nothing to do, and others would be refused meanwhile.
    """
    if has_request_context() and "turn" in g:
        g.turn.close()


def answer_run(run: RunDocument, wait_seconds: int, find_outcome: Outcome) -> Response:
    """Answer with an accepted run: 202 with its address,
    or its outcome where it ends within the wait.
    """
    bind_contextvars(run_id=run["_id"])
    ended = wait_for_end(run["_id"], wait_seconds)
    if ended is None:
        return answer_accepted(run)
    return _answer(find_outcome(ended) or _show_run(ended), 200)


def describe_accepted(run: RunDocument) -> Accepted:
    """Return the fields of an accepted run that the caller gets."""
    tickers: list[str] = run["tickers"]
    subject = (
        name_some(tickers, 3) or run["market"] or run["options"].get("series_id") or "what was sent"
    )
    asked = ", ".join(filter(None, (run["interval"], run["period"])))
    return Accepted(
        status=f"{run['task']}_started",
        run_id=run["_id"],
        ticker=run["ticker"],
        tickers=tickers,
        market=run["market"],
        interval=run["interval"],
        max_period=run["period"],
        message=f"{run['task']} of {subject} ({asked}) accepted",
    )


def read_once(headers: OnceHeaders) -> Once:
    """Return the request's idempotency key, which belongs to this caller only, with a hash of the
    request.
    """
    if headers.idempotency_key is None:
        return Once()
    asked = sha256(f"{request.method} {request.path}\n".encode())
    asked.update(request.get_data())
    # A form has a new boundary each time it is sent, so the hash is of its contents.
    asked.update(json.dumps(sorted(request.form.items())).encode())
    for name, file in sorted(request.files.items()):
        asked.update(f"{name} {file.filename}\n".encode())
        asked.update(file_digest(file.stream, "sha256").digest())  # type: ignore[arg-type]  # readable, if not a BinaryIO
        file.stream.seek(0)
    return Once(f"{get_client()}:{headers.idempotency_key}", asked.hexdigest())


def answer_accepted(run: RunDocument) -> Response:
    """Answer 202 with a run's address."""
    location = url_for("runs.get_detection_run", run_id=run["_id"])
    return _answer(describe_accepted(run), 202, {"Location": location})


def wait_for_end(run_id: str, wait_seconds: int) -> ShownRun | None:
    """Return the run once it has ended; None if it takes longer than the caller waits, or if too
    many callers are waiting in this process.
    """
    place = WAITS.take() if wait_seconds else None
    if place is None:
        return None
    try:
        return _watch(run_id, wait_seconds)
    finally:
        WAITS.give_back(place)


def _watch(run_id: str, wait_seconds: int) -> ShownRun | None:
    start = monotonic()
    lift_deadline()
    while (waited := monotonic() - start) < wait_seconds:
        if has_ended(get_database(), run_id):
            return get_run(get_database(), run_id)
        sleep(min(max(waited / 8, SHORTEST_POLL_SECONDS), LONGEST_POLL_SECONDS))
    return None


def _answer(body: BaseModel, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(
        body.model_dump_json(by_alias=True), status, headers, content_type="application/json"
    )


def document_answers(model: type[BaseModel]) -> Answers:
    """Return the parts of the OpenAPI document about answers after a wait, and about a conflict."""
    names = {model.__name__, Run.__name__}
    schema = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in sorted(names)]}
    return {
        200: {
            "description": "the outcome, where the run ended within `wait` seconds",
            "content": {"application/json": {"schema": schema}},
        },
        409: {"description": "not in the present state"},
    }
