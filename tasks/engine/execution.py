"""A worker does one batch: claims it, works, commits under its fence,
and ends a run that is done.
"""

from datetime import UTC, datetime
from time import sleep

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from core.errors import Cancelled, LeaseLost, TapewatchError, Transient
from records.database import in_transaction
from records.tenancy import of_owner
from records.work import batches, counters, endings, runs
from records.work.audits import build_failure, write_audits
from records.work.batches import Batch
from records.work.documents import RunDocument
from tasks.engine.kind import KINDS, Result
from tasks.engine.recovery import recover_batches, recover_used_up
from tasks.engine.renewal import renewing
from tasks.engine.telling import ask_notifier
from tasks.process.holders import free_abandoned, sign
from tasks.process.memory import is_refused
from tasks.process.worker import Worker

log = structlog.get_logger()

# A process that fails immediately, for example because the disk is full, must not take every batch
# before a healthy process asks for work. A process that is refused memory exits instead.
PAUSE_SECONDS = 1.0


def execute_batch(worker: Worker, batch_id: str) -> Result:
    """Do the work of a batch, if it is free, and return its result.

    Whatever goes wrong, the batch ends in a state from which the sweeper or another worker goes on.
    """
    batch = _claim(worker, batch_id)
    if batch is None and (freed := free_abandoned(worker.database, batch_id)):
        counters.add_counts(worker.database, {counters.SWEEPER: {"lease_ended": freed}})
        batch = _claim(worker, batch_id)
    if batch is None:
        log.info("batch_not_free", batch_id=batch_id)
        batches.note_refused(worker.database, batch_id)
        recover_used_up(worker, batch_id)
        return None
    try:
        result = _work(worker, batch)
    except LeaseLost as lost:
        log.warning("lease_lost", batch_id=batch.id, fence=batch.fence, error=lost.message)
        return None
    if endings.finish_run(worker.database, batch.run_id, datetime.now(UTC)) is not None:
        ask_notifier(worker)
    # The batch's heavy slot is free: a batch that waits for one need not wait for a sweep.
    if batch.heavy:
        recover_batches(worker, batches.find_waiting_heavy(worker.database))
    elif batch.is_suspect:
        recover_batches(worker, batches.find_waiting_suspect(worker.database, batch.run_id))
    return result


def _claim(worker: Worker, batch_id: str) -> Batch | None:
    settings = worker.settings
    return batches.claim_batch(
        worker.database,
        batch_id,
        sign(worker),
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        heavy_at_once=settings.heavy_at_once,
    )


def _work(worker: Worker, batch: Batch) -> Result:
    """Run the handler of the batch's task and record how it ended. Raises LeaseLost."""
    try:
        run = runs.get_active(worker.database, batch.run_id)
        with renewing(worker.database, batch):
            return KINDS[run["task"]].load_handler()(worker, run, batch)
    except LeaseLost:
        raise
    except Cancelled:
        batches.cancel_batch(worker.database, batch, datetime.now(UTC))
    except (Transient, PyMongoError) as error:
        _release(worker, batch, error)
    except TapewatchError as error:
        return _fail(worker, run, batch, error)
    except Exception as error:  # noqa: BLE001 - whatever it was, the batch must not stay in our hands
        _release(worker, batch, error)
    return None


def _release(worker: Worker, batch: Batch, error: Exception) -> None:
    log.warning("batch_released", batch_id=batch.id, attempts=batch.attempts, exc_info=error)
    batches.release_batch(worker.database, batch, _describe(worker, error))
    recover_used_up(worker, batch.id)
    if is_refused(error):
        raise error
    sleep(PAUSE_SECONDS)


def _describe(worker: Worker, error: Exception) -> str:
    if isinstance(error, SoftTimeLimitExceeded):
        return (
            f"it was not done within {worker.celery.conf.task_soft_time_limit:g} s: ask for less at"
            " once (fewer tickers or bars, a smaller file)"
        )
    return f"{type(error).__name__}: {error}"


def _fail(worker: Worker, run: RunDocument, batch: Batch, error: TapewatchError) -> Result:
    """Record an error that another attempt would only repeat."""
    now = datetime.now(UTC)
    result, audits = build_failure(run, batch.tickers, error.reason, error.message, now)

    def write(session: ClientSession) -> None:
        batches.finish_batch(worker.database, batch, session, result=result, now=now)
        write_audits(of_owner(worker.database, run), audits, session)

    in_transaction(worker.database, write)
    log.warning("batch_failed", batch_id=batch.id, reason=error.reason, error=error.message)
    return {"detection_run_id": batch.run_id, "reason": error.reason, "error": error.message}
