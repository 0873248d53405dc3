"""A batch that has no holder and no queued message is tried again, split, or given up."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

import structlog
from pymongo.client_session import ClientSession

from core.words import Task
from records.database import in_transaction
from records.tenancy import of_owner
from records.work import batches, counters, endings, runs
from records.work.audits import build_failure, write_audits
from records.work.documents import BatchDocument, RunDocument
from tasks.engine.accept import publish_batches
from tasks.engine.one_of_many import going_on
from tasks.process.worker import Worker

log = structlog.get_logger()


def recover_batches(worker: Worker, lost: Iterable[BatchDocument]) -> Counter[str]:
    """Cancel, give up, split or send again these pending batches; return how often each was done.

    Every step is a conditional write, so two sweepers that find the same batch do no harm.
    """
    done: Counter[str] = Counter()
    to_send: dict[Task, dict[str, int]] = defaultdict(dict)
    for batch in lost:
        with going_on("batch_not_recovered", batch["_id"]):
            run = runs.find_bare_run(worker.database, batch["run_id"])
            if run is None:
                batches.delete_batch(worker.database, batch["_id"])
                done["batch_without_run_deleted"] += 1
            elif run["cancel_requested"]:
                done["batch_cancelled"] += batches.cancel_pending(
                    worker.database, run["_id"], datetime.now(UTC)
                )
            elif batch["attempts"] >= worker.settings.max_attempts:
                done["batch_buried"] += _bury(worker, run, batch)
            elif batch["attempts"] >= batches.SPLIT_AFTER_ATTEMPTS and len(batch["tickers"]) > 1:
                parts = batches.split_batch(worker.database, batch, datetime.now(UTC))
                to_send[run["task"]] |= dict.fromkeys(parts, 1)
                done["batch_split"] += bool(parts)
            else:
                to_send[run["task"]][batch["_id"]] = len(batch["tickers"])
                done["batch_sent_again"] += 1
    for task, tickers in to_send.items():
        publish_batches(worker.database, worker.celery, task, tickers)
    return done


def recover_used_up(worker: Worker, batch_id: str) -> None:
    """Split or give up at once a batch that has no attempts left; a batch that may still be claimed
    is left to the sweeper.

    Otherwise a ticker that kills its process would wait for a sweep after each attempt.
    """
    used_up = batches.find_used_up(
        worker.database, batch_id, max_attempts=worker.settings.max_attempts
    )
    done = recover_batches(worker, used_up)
    if done:
        log.info("recovered", batch_id=batch_id, **done)
        counters.add_counts(worker.database, {counters.SWEEPER: done})
        run_id = used_up[0]["run_id"]
        recover_batches(worker, batches.find_waiting_suspect(worker.database, run_id))
        endings.finish_run(worker.database, run_id, datetime.now(UTC))


def _bury(worker: Worker, run: RunDocument, batch: BatchDocument) -> bool:
    """Give up a batch that used all its attempts,
    with an audit document for each of its tickers.
    """
    now = datetime.now(UTC)
    error = f"given up after {batch['attempts']} attempts: {batch.get('error')}"
    result, audits = build_failure(run, batch["tickers"], "attempts_exhausted", error, now)

    def write(session: ClientSession) -> bool:
        buried = batches.bury_batch(worker.database, batch, session, result=result, now=now)
        if buried:
            write_audits(of_owner(worker.database, run), audits, session)
        return buried

    return in_transaction(worker.database, write)
