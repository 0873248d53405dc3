"""The API and the command line ask for runs through one function a kind."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import IO, Any, Literal
from uuid import uuid4

from celery import Celery

from core.errors import Conflict, NotFound
from core.words import Trigger
from detection.models.plan import TrainingPlan, find_training_series
from detection.models.single_series import FitRequest
from market.imports.options import NO_OPTIONS, ReadingOptions
from records.database import Db
from records.findings.verifications import find_any_selected
from records.leftovers import RETRIED_WITHIN
from records.market import uploads
from records.models.single_series import write_points
from records.work import audits, runs, watchlists
from records.work.documents import RunDocument
from records.work.requests import RunRequest
from tasks.engine.accept import accept_run
from tasks.requests.selection import Selection, select_tickers


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a repeated request known: the caller's key, and a hash of what was asked under it."""

    key: str | None = None
    body_hash: str | None = None


NOT_ONCE = Once()


def request_detection(
    database: Db,
    celery: Celery,
    selection: Selection,
    *,
    interval: str,
    now: datetime,
    task: Literal["backfill", "incremental"] = "incremental",
    trigger: Trigger = "manual",
    period: str | None = None,
    force: bool = False,
    walk_forward: bool = False,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a detection and return its run. With `force`, backfills in the way of a backfill are cancelled.

    With `walk_forward` each stretch is scored by the latest model that had not seen it, not by the champion.

    Raises:
        NotFound: a ticker has no stored bars.
        Conflict: a backfill of one of these series is open (`run_id` names it).
        BadInput: the key of `once` belongs to another request.
    """
    request = RunRequest(
        task,
        trigger,
        tickers=select_tickers(database, selection, interval),
        interval=interval,
        period=period,
        market=selection.market,
        watchlist=selection.watchlist,
        options={"walk_forward": True} if walk_forward else {},
        idempotency_key=once.key,
        body_hash=once.body_hash,
    )
    run = accept_run(database, celery, request, now=now, force=force)
    if task == "incremental" and selection.watchlist:
        watchlists.note_last_scan(database, selection.watchlist, run)
    return run


def request_training(
    database: Db,
    celery: Celery,
    market: str,
    *,
    interval: str,
    tickers: Sequence[str],
    options: Mapping[str, Any],
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a training and return its run. `options` are those of `TrainingPlan.from_options`.

    Raises BadInput at once where an option cannot be used or there are no bars to learn from.
    """
    plan = TrainingPlan.from_options(market, interval=interval, tickers=tickers, options=options)
    find_training_series(database, plan)
    request = RunRequest(
        "train",
        "manual",
        tickers=plan.tickers,
        interval=plan.interval,
        market=plan.market,
        options=options,
        idempotency_key=once.key,
        body_hash=once.body_hash,
    )
    return accept_run(database, celery, request, now=now)


def request_verification(
    database: Db,
    celery: Celery,
    options: Mapping[str, Any],
    *,
    now: datetime,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Accept a verification and return its run; `options` are those of `verifications.build_selection`.

    Raises NotFound where there is no such anomaly, and BadInput.
    """
    anomaly = find_any_selected(database, options)
    if anomaly is None:
        asked = ", ".join(f"{name} {value}" for name, value in options.items())
        advice = (
            "; an anomaly belongs to the run that found it first, so verify a ticker or a model version instead"
            if "run_id" in options
            else ""
        )
        raise NotFound(f"there is no anomaly to verify for {asked}{advice}", reason="no_anomalies")
    is_single = len(options.get("anomaly_ids", ())) == 1 or "ticker" in options
    request = RunRequest(
        "verify",
        "verification",
        tickers=(anomaly["Ticker"],) if is_single else (),
        interval=anomaly["interval"],
        market=anomaly["market"] if is_single else None,
        options=options,
        idempotency_key=once.key,
        body_hash=once.body_hash,
    )
    return accept_run(database, celery, request, now=now)


@dataclass(frozen=True, slots=True)
class Sent:
    """Bars as they came in; the ending of the name says what they are. Checked: candles whose shape is known."""

    content: bytes | IO[bytes]
    filename: str
    is_checked: bool = False


def request_import(
    database: Db,
    celery: Celery,
    sent: Sent,
    *,
    interval: str,
    ticker: str | None,
    now: datetime,
    reading: ReadingOptions = NO_OPTIONS,
    once: Once = NOT_ONCE,
) -> RunDocument:
    """Keep what was sent and accept its import; return the run.

    Options of the run: upload_id, filename, ticker (whose the bars are where they do not say), reading (how the file is
    to be read where it does not settle that itself) and pushed (whether these are candles that the API has checked).
    """
    upload_id = uploads.store_upload(database, sent.filename, sent.content)
    request = RunRequest(
        "import",
        "manual",
        tickers=(ticker,) if ticker else (),
        interval=interval,
        options={
            "upload_id": upload_id,
            "filename": sent.filename,
            "ticker": ticker,
            "reading": reading.to_dict(),
            "pushed": sent.is_checked,
        },
        idempotency_key=once.key,
        body_hash=once.body_hash,
    )
    run = accept_run(database, celery, request, now=now)
    if run["options"]["upload_id"] != upload_id:  # the same request came in twice at once
        uploads.delete_upload(database, upload_id)
    return run


def request_retry(database: Db, celery: Celery, run_id: str, *, now: datetime, once: Once = NOT_ONCE) -> RunDocument:
    """Accept a run of what another left undone: its failed tickers or, where it is about none, the whole of it.

    Raises:
        NotFound: there is no such run.
        Conflict: it goes on (`run_in_progress`), left nothing undone (`nothing_to_retry`), what it would import is
            no longer kept (`upload_gone`), or another backfill of one of its series is open.
    """
    run = runs.get_run(database, run_id)
    if run["status"] in runs.OPEN_STATUSES:
        raise Conflict(f"run {run_id} is {run['status']}; retry it when it has ended", reason="run_in_progress")
    is_detection = run["task"] in {"backfill", "incremental"}
    tickers = audits.find_unfinished(database, run) if is_detection else run["tickers"]
    if run["status"] == "complete" or (is_detection and not tickers):
        raise Conflict(f"run {run_id} left nothing undone", reason="nothing_to_retry")
    upload_id = run["options"].get("upload_id")
    if upload_id is not None and not uploads.has_upload(database, upload_id):
        days = RETRIED_WITHIN.days
        raise Conflict(f"what run {run_id} imported was kept for {days} days; send it again", reason="upload_gone")
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
        idempotency_key=once.key,
        body_hash=once.body_hash,
    )
    return accept_run(database, celery, request, now=now)


def request_series_fit(
    database: Db, celery: Celery, request: FitRequest, *, now: datetime, once: Once = NOT_ONCE
) -> RunDocument:
    """Keep a long history and accept its fit; return the run.

    Options of the run: fit_id (under which the history is stored), series_id, detector, parameters.
    """
    fit_id = uuid4().hex
    write_points(database, fit_id, request.timestamps, request.values, now)
    options = {
        "fit_id": fit_id,
        "series_id": request.series_id,
        "detector": request.kind.name,
        "parameters": asdict(request.parameters),
        "points": request.count,
    }
    wanted = RunRequest("fit_series", "manual", options=options, idempotency_key=once.key, body_hash=once.body_hash)
    return accept_run(database, celery, wanted, now=now)
