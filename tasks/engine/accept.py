"""Accepting work: the run is written first, then its message is sent;
a message that gets lost is sent again later.
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import takewhile

import structlog
from celery import Celery
from pymongo import timeout
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern
from structlog.contextvars import bound_contextvars

from core.errors import BadInput, Conflict
from core.naming import count_of
from records.database import Db
from records.work import batches, endings, runs
from records.work.documents import RunDocument
from records.work.requests import INSERT_SECONDS, Once, RunRequest, insert_run
from tasks import names
from tasks.engine.kind import KINDS
from tasks.process.broker import BROKER_ERRORS
from tasks.process.logs import describe_subject

log = structlog.get_logger()


def accept_run(
    database: Db, celery: Celery, request: RunRequest, *, now: datetime, force: bool = False
) -> RunDocument:
    """Write a run and send its message; return the run's document.

    A broker that does not answer is no error to the caller: the sweeper sends the message again.
    Repeating a request with its idempotency key returns the run of the first one. With `force`,
    backfills in the way of a backfill are cancelled.

    Raises:
        BadInput: the idempotency key was used for another request (`reason:
            idempotency_key_reused`).
        Conflict: a backfill of one of these series is open (`reason: backfill_in_progress`,
            `run_id` names it).
    """
    try:
        run = insert_run(database, request, now)
    except (Conflict, DuplicateKeyError):
        # The open backfill may be this request's own run, written when MongoDB had no majority to
        # confirm it.
        confirmed = database.with_options(read_concern=ReadConcern("linearizable"))
        with timeout(INSERT_SECONDS):
            repeated = find_repeated(confirmed, request.once)
        if repeated is not None:
            return repeated
        if not force:
            raise
        for other in runs.find_open_backfills(database, request.tickers, request.interval):
            endings.request_cancel(database, other["_id"], now)
        return accept_run(database, celery, request, now=now, force=force)
    with bound_contextvars(run_id=run["_id"]):
        log.info(
            "run_accepted", asked=run["task"], trigger=run["trigger"], tickers=len(run["tickers"])
        )
        publish_run(database, celery, run)
    return run


def publish_run(database: Db, celery: Celery, run: RunDocument) -> bool:
    """Send the message that starts a run; False where the broker does not take it."""
    kind = KINDS[run["task"]]
    sent = send(celery, kind.name, run["_id"], kind.queue, task_id=run["_id"], about=_describe(run))
    if sent:
        runs.mark_published(database, run["_id"])
    return sent


def publish_batches(database: Db, celery: Celery, task: str, tickers: Mapping[str, int]) -> None:
    """Send one message a batch, up to the first that the broker does not take;
    the rest is the sweeper's.

    `tickers` says how many tickers each batch has, by its id.
    """

    def publish(batch_id: str) -> bool:
        run_id, _, label = batch_id.partition(":")
        about = f"run {run_id}: {task}, batch {label} of {count_of(tickers[batch_id], 'ticker')}"
        return send(celery, names.RUN_BATCH, batch_id, KINDS[task].queue, about=about)

    batches.mark_published(database, takewhile(publish, tickers))


def send(
    celery: Celery,
    name: str,
    subject: str,
    queue: str,
    *,
    task_id: str | None = None,
    about: str | None = None,
) -> bool:
    """Send one message whose only argument is an id; False, and a log line,
    where the broker does not take it.

    `about` is what Flower shows in place of the arguments.
    """
    try:
        celery.send_task(
            name,
            args=[subject],
            queue=queue,
            task_id=task_id,
            argsrepr=about or subject,
            retry=False,
        )
    except BROKER_ERRORS as error:
        log.warning("publish_failed", sent_task=name, error=str(error), **describe_subject(subject))
        return False
    return True


def _describe(run: RunDocument) -> str:
    subject = runs.describe_subject(run)
    return f"run {run['_id']}: {run['task']} {subject} {run['interval']}"


def find_repeated(database: Db, once: Once) -> RunDocument | None:
    """Return the run that was accepted under this key, or None.

    Raises BadInput where it had another body.
    """
    if once.key is None:
        return None
    run = runs.find_by_key(database, once.key)
    if run is not None and run["body_hash"] != once.body_hash:
        raise BadInput(
            f"this idempotency key belongs to run {run['_id']}, whose request was another; "
            "use a new key for a new request",
            reason="idempotency_key_reused",
            run_id=run["_id"],
        )
    return run
