"""Requests to do the work that a run left undone."""

from datetime import datetime

from celery import Celery

from core.errors import Conflict
from records.database import Db
from records.leftovers import RETRIED_WITHIN
from records.market import uploads
from records.work import audits, runs
from records.work.documents import RunDocument
from records.work.requests import COMMAND_LINE, NOT_ONCE, Once, RunRequest
from tasks.engine.accept import accept_run


def request_retry(
    database: Db, celery: Celery, run_id: str, *, now: datetime, once: Once = NOT_ONCE
) -> RunDocument:
    """Accept a run of the work that another run left undone: its failed tickers or, where it is not
    about tickers, all of it.

    Raises:
        NotFound: there is no such run.
        Conflict: it goes on or is retried already (`run_in_progress`), left nothing undone
            (`nothing_to_retry`), what it would import is no longer kept (`upload_gone`), or another
            backfill of one of its series is open.
    """
    run = runs.get_run(database, run_id)
    if run["status"] in runs.OPEN_STATUSES:
        raise Conflict(
            f"run {run_id} is {run['status']}; retry it when it has ended", reason="run_in_progress"
        )
    is_detection = run["task"] in {"backfill", "incremental"}
    tickers = audits.find_undone_tickers(database, run) if is_detection else run["tickers"]
    if run["status"] == "complete" or (is_detection and not tickers):
        raise Conflict(f"run {run_id} left nothing undone", reason="nothing_to_retry")
    if run["options"].get("by") == COMMAND_LINE:
        raise Conflict(
            f"run {run_id} was done at the command line, which has what it imported; do it there"
            " again",
            reason="upload_gone",
        )
    upload_id = run["options"].get("upload_id")
    if upload_id is not None and not uploads.has_upload(database, upload_id):
        days = RETRIED_WITHIN.days
        raise Conflict(
            f"what run {run_id} imported was kept for {days} days; send it again",
            reason="upload_gone",
        )
    request = RunRequest(
        run["task"],
        run["trigger"],
        tickers=tuple(tickers),
        interval=run["interval"],
        period=run["period"],
        market=run["market"],
        watchlist=run["watchlist"],
        options=run["options"],
        retry_of=run_id,
        once=once,
    )
    return accept_run(database, celery, request, now=now)
