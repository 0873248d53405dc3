"""Requests: writes what a caller asks for as a queued run, before any message is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from pymongo import timeout
from pymongo.client_session import ClientSession

from core.errors import Conflict
from core.words import Task, Trigger
from records.database import Db, in_transaction
from records.market.series import find_markets
from records.work.documents import RunDocument, RunOutcome, RunRecord, runs_in
from records.work.runs import find_open_backfills, find_open_retry, own_key

INSERT_SECONDS = 10.0
# The value of `by` in the options of a run that was done without workers.
COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Once:
    """What identifies a repeated request: the caller's idempotency key, and a hash of the body."""

    key: str | None = None
    body_hash: str | None = None


NOT_ONCE = Once()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a caller asks for, already validated.

    `options` holds JSON values that only the task itself reads.
    """

    task: Task
    trigger: Trigger
    tickers: tuple[str, ...] = ()
    interval: str = "1d"
    period: str | None = None
    market: str | None = None
    watchlist: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    retry_of: str | None = None
    once: Once = NOT_ONCE


def insert_run(
    database: Db, request: RunRequest, now: datetime, session: ClientSession | None = None
) -> RunDocument:
    """Write a queued run and return its document; with a session, inside its transaction.

    A backfill or a retry must come without a session, as it needs its own transaction.
    Raises DuplicateKeyError where the idempotency key is known, and Conflict for a backfill of a
    series that has an open backfill, and for a retry of a run that has an open retry.
    """
    with timeout(INSERT_SECONDS):
        run = _build_run(database, request, now, str(uuid4()))

    def write(session: ClientSession) -> None:
        # All backfills of an interval write this document, and so do all retries. So of two at
        # once, MongoDB repeats the second, which then finds the first.
        kind = "backfills" if request.task == "backfill" else "retries"
        turn = {"_id": f"{kind}::{request.interval}"}
        database.settings.update_one(turn, {"$inc": {"added": 1}}, upsert=True, session=session)
        if request.task == "backfill":
            _refuse_second_backfill(database, request, session)
        elif other := find_open_retry(database, str(request.retry_of), session):
            raise Conflict(
                f"run {request.retry_of} is retried already, by run {other}; wait for it, or cancel"
                " it",
                reason="run_in_progress",
                run_id=other,
            )
        runs_in(database).insert_one(run, session=session)

    if session is not None:
        runs_in(database).insert_one(run, session=session)
        return run
    # The driver would try a transaction for two minutes while there is no primary, and the caller
    # waits for the answer.
    with timeout(INSERT_SECONDS):
        if request.task == "backfill" or request.retry_of is not None:
            in_transaction(database, write)
        else:
            runs_in(database).insert_one(run)
    return run


def insert_done_run(
    database: Db,
    request: RunRequest,
    run_id: str,
    outcome: RunOutcome,
    record: RunRecord,
    *,
    started_at: datetime,
) -> None:
    """Write the ended run of work that the command line did itself, without workers."""
    run = _build_run(database, request, started_at, run_id)
    runs_in(database).insert_one({**run, **outcome, **record})


def _build_run(database: Db, request: RunRequest, now: datetime, run_id: str) -> RunDocument:
    return {
        "_id": run_id,
        "task": request.task,
        "trigger": request.trigger,
        "tickers": list(request.tickers),
        "ticker": request.tickers[0] if len(request.tickers) == 1 else None,
        "interval": request.interval,
        "period": request.period,
        "market": request.market,
        "markets": _list_markets(database, request),
        "watchlist": request.watchlist,
        "options": dict(request.options),
        "idempotency_key": own_key(database, request.once.key),
        "body_hash": request.once.body_hash,
        "retry_of": request.retry_of,
        "status": "queued",
        "requested_at": now,
        "started_at": now,
        "completed_at": None,
        "duration_seconds": None,
        "cancel_requested": False,
        "error": None,
        "warnings": [],
        "published_at": None,
        "attempts": 0,
        "lease_until": None,
    }


def _list_markets(database: Db, request: RunRequest) -> list[str]:
    if request.market is not None:
        return [request.market]
    named = [(ticker, request.interval) for ticker in request.tickers]
    return find_markets(database, named) if named else []


def _refuse_second_backfill(database: Db, request: RunRequest, session: ClientSession) -> None:
    for other in find_open_backfills(database, request.tickers, request.interval, session):
        shared = min(set(request.tickers) & set(other["tickers"]))
        raise Conflict(
            f"a {request.interval} backfill of {shared} is {other['status']}: run {other['_id']}; "
            "wait for it, cancel it, or pass force",
            reason="backfill_in_progress",
            run_id=other["_id"],
        )
