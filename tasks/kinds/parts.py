"""What the handlers of all kinds share: a batch's job, its checkpoint, and closing it in their
transaction.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import monotonic

import structlog
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from detection.pipeline.detect import BACKFILL_TICKERS
from detection.pipeline.job import Job
from records.database import Db
from records.tenancy import qualify
from records.work import batches, runs
from records.work.batches import Batch
from records.work.counters import MODEL_CACHE, add_counts
from records.work.documents import BatchResult, RunDocument
from records.work.heartbeats import beat
from tasks.engine.renewal import go_on_renewing, stop_renewing
from tasks.process.worker import Worker

# Within this time a cancelled run notices; a batch that takes less need not check.
CHECK_SECONDS = 0.5

log = structlog.get_logger()


def report_models(worker: Worker) -> None:
    """Publish what this process' model cache holds, for the workers' status, and count its use.

    Never raises: a committed batch must not look as if it had failed.
    """
    try:
        beat(worker.database, worker.name, **worker.models.get_cache_stats())
    except PyMongoError as error:
        log.warning("models_not_reported", error=str(error))
    add_counts(worker.database, {MODEL_CACHE: worker.models.take_counts()})


def build_job(run: RunDocument, batch: Batch, interval: str) -> Job:
    """Return the part of a run that falls to a batch."""
    return Job(
        run_id=run["_id"],
        task=run["task"],
        trigger=run["trigger"],
        market=str(batch.market),
        tickers=batch.tickers,
        interval=interval,
        period=run["period"],
        started_at=datetime.now(UTC),
        watchlist=run["watchlist"] and qualify(run.get("tenant"), run["watchlist"]),
        walk_forward=bool(run["options"].get("walk_forward")),
        detector=run["options"].get("detector"),
        keep_scores=bool(run["options"].get("keep_scores")),
        tenant=run.get("tenant"),
    )


def build_checkpoint(worker: Worker, batch: Batch) -> Callable[[float], None]:
    """Return what long work calls between two steps. It raises LeaseLost and Cancelled.

    A call soon after the last one, or after the claim, does nothing: steps may be short, and there
    may be thousands.
    """
    checked = renewed = monotonic()
    # The open transaction of a batch that is written part by part ends with the batch's own
    # document. A renewal meanwhile changes this document, and MongoDB repeats the whole
    # transaction.
    in_parts = len(batch.tickers) > BACKFILL_TICKERS
    renew_seconds = batch.lease_seconds / 3 if in_parts else CHECK_SECONDS

    def checkpoint(fraction: float) -> None:
        nonlocal checked, renewed
        go_on_renewing()
        now = monotonic()
        if now - checked < CHECK_SECONDS:
            return
        checked = now
        runs.get_active(worker.database, batch.run_id)
        if now - renewed < renew_seconds:
            return
        renewed = now
        batches.renew_lease(
            worker.database, batch, lease_seconds=batch.lease_seconds, progress=fraction
        )

    return checkpoint


def count_done(*, tickers: int, rows: int | None = None) -> BatchResult:
    """Return the result of a batch in which nothing failed; without `rows` it tells of none."""
    done: BatchResult = {"tickers_done": tickers, "tickers_failed": 0, "failures": []}
    return done if rows is None else {**done, "rows_loaded": rows, "rows_processed": rows}


def build_guard(database: Db, batch: Batch) -> Callable[[ClientSession], None]:
    """Return what a transaction calls that writes bars before the batch is finished. It raises
    LeaseLost: a worker that was frozen must not write them over what came since.
    """
    return partial(batches.check_held, database, batch)


def build_finish(database: Db, batch: Batch) -> Callable[[ClientSession, BatchResult], None]:
    """Return what closes the batch inside the transaction of its effects."""

    def finish(session: ClientSession, result: BatchResult) -> None:
        stop_renewing()
        batches.finish_batch(database, batch, session, result=result, now=datetime.now(UTC))

    return finish
