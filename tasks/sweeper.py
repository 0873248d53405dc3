"""The sweeper: MongoDB is the record, a message only a hint; what lost its message is sent again.

Two sweepers at once are harmless: every step is a conditional write, and a message too many finds nothing to claim.
What waits in a queue is not sent again, however long it waits, so that sweeps never make a backlog longer.
"""

from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import UTC, datetime

import structlog
from pymongo.client_session import ClientSession

from detection.records import batches, counters, runs
from detection.records.audits import build_failure, write_audits
from detection.records.database import Document, get_server_time
from detection.records.heartbeats import CLEANER, take_turn
from detection.records.leftovers import delete_leftovers
from tasks.abandoned import free_abandoned
from tasks.broker import BROKER_ERRORS, find_waiting
from tasks.each import going_on
from tasks.enqueue import publish_run
from tasks.planning import publish_batches
from tasks.worker import Worker

# What is left over does no harm but take room.
CLEANING_SECONDS = 3_600

log = structlog.get_logger()


def sweep(worker: Worker) -> dict[str, int]:
    """Recover what is stuck and return how often each action was taken."""
    done: Counter[str] = Counter()
    free_abandoned(worker.database)
    done["lease_ended"] += batches.free_expired(worker.database)
    try:
        waiting = find_waiting(worker.celery)
    except BROKER_ERRORS as error:
        log.warning("broker_unreachable", error=str(error))
    else:
        _recover_batches(worker, waiting, done)
        _recover_runs(worker, waiting, done)
    for run_id in runs.find_unfinished(worker.database):
        with going_on("sweep_failed", run_id):
            done["run_finished"] += runs.finish_run(worker.database, run_id, datetime.now(UTC)) is not None
    if take_turn(worker.database, CLEANER, CLEANING_SECONDS):
        done["leftover_deleted"] += delete_leftovers(worker.database, get_server_time(worker.database))
    done = +done
    if done:
        log.info("swept", **done)
        counters.add_counts(worker.database, {counters.SWEEPER: done})
    return dict(done)


def _recover_batches(worker: Worker, waiting: Collection[str], done: Counter[str]) -> None:
    """Cancel, bury, split or send again the pending batches whose message was lost."""
    to_send: dict[str, dict[str, int]] = defaultdict(dict)
    for batch in batches.find_lost(worker.database, worker.settings.sweep_seconds, waiting):
        with going_on("sweep_failed", batch["_id"]):
            run = worker.database.detection_runs.find_one({"_id": batch["run_id"]})
            if run is None:
                # Finished runs expire with their batches; one without the other has no reader.
                worker.database.batches.delete_one({"_id": batch["_id"]})
                done["batch_without_run_deleted"] += 1
            elif run["cancel_requested"]:
                done["batch_cancelled"] += batches.cancel_pending(worker.database, run["_id"], datetime.now(UTC))
            elif batch["attempts"] >= worker.settings.max_attempts:
                _bury(worker, run, batch)
                done["batch_buried"] += 1
            elif batch["attempts"] >= batches.SPLIT_AFTER_ATTEMPTS and len(batch["tickers"]) > 1:
                parts = batches.split_batch(worker.database, batch, datetime.now(UTC))
                to_send[run["task"]] |= dict.fromkeys(parts, 1)
                done["batch_split"] += 1
            else:
                to_send[run["task"]][batch["_id"]] = len(batch["tickers"])
                done["batch_sent_again"] += 1
    for task, tickers in to_send.items():
        publish_batches(worker, task, tickers)


def _recover_runs(worker: Worker, waiting: Collection[str], done: Counter[str]) -> None:
    """Send again the queued runs whose message was lost, and fail those that cost a worker each time."""
    for run in runs.find_lost(worker.database, worker.settings.sweep_seconds, waiting):
        with going_on("sweep_failed", run["_id"]):
            if run["attempts"] >= worker.settings.max_attempts:
                error = f"given up after {run['attempts']} attempts to split it into batches; see the workers' logs"
                runs.fail_run(worker.database, run["_id"], error, datetime.now(UTC))
                done["run_failed"] += 1
            elif publish_run(worker.database, worker.celery, run):
                done["run_sent_again"] += 1
            else:
                return


def _bury(worker: Worker, run: Document, batch: Document) -> None:
    """Give up a batch that used all its attempts, with an audit document for each of its tickers."""
    now = datetime.now(UTC)
    error = f"given up after {batch['attempts']} attempts: {batch['error']}"
    result, audits = build_failure(run, batch["tickers"], "attempts_exhausted", error, now)

    def write(session: ClientSession) -> None:
        if batches.bury_batch(worker.database, batch, session, result=result, now=now):
            write_audits(worker.database, audits, session)

    with worker.database.client.start_session() as session:
        session.with_transaction(write)
