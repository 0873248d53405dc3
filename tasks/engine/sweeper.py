"""The sweeper: MongoDB is the record, a message only a hint; what lost its message is sent again.

Two sweepers at once are harmless: every step is a conditional write, and a message too many finds
nothing to claim. What waits in a queue is not sent again, however long it waits, so that sweeps
never make a backlog longer.
"""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from records.database import get_server_time
from records.leftovers import delete_leftovers
from records.work import batches, counters, endings, runs
from records.work.heartbeats import CLEANER, take_turn
from tasks.engine.accept import publish_run
from tasks.engine.one_of_many import going_on
from tasks.engine.recovery import recover_batches
from tasks.process.broker import BROKER_ERRORS, find_waiting, take_unreadable
from tasks.process.holders import free_abandoned
from tasks.process.worker import Worker

# Leftovers do no harm but use space.
CLEANING_SECONDS = 3_600

log = structlog.get_logger()


def sweep(worker: Worker) -> dict[str, int]:
    """Recover what is stuck and return how often each action was taken."""
    done: Counter[str] = Counter()
    done["lease_ended"] += free_abandoned(worker.database) + batches.free_expired(worker.database)
    try:
        waiting = find_waiting(worker.celery)
    except BROKER_ERRORS as error:
        log.warning("broker_unreachable", error=str(error))
    else:
        done += recover_batches(
            worker, batches.find_lost(worker.database, worker.settings.sweep_seconds, waiting)
        )
        _recover_runs(worker, waiting, done)
        _count_unreadable(worker)
    for run_id in runs.find_unfinished(worker.database):
        with going_on("sweep_failed", run_id):
            done["run_finished"] += (
                endings.finish_run(worker.database, run_id, datetime.now(UTC)) is not None
            )
    if take_turn(worker.database, CLEANER, CLEANING_SECONDS):
        done["leftover_deleted"] += delete_leftovers(
            worker.database, get_server_time(worker.database)
        )
    done = +done
    if done:
        log.info("swept", **done)
        counters.add_counts(worker.database, {counters.SWEEPER: done})
    return dict(done)


def _count_unreadable(worker: Worker) -> None:
    """Count the messages that workers set aside,
    whose own processes keep no connection to MongoDB.
    """
    try:
        counters.add_counts(worker.database, {counters.UNREADABLE: take_unreadable(worker.celery)})
    except BROKER_ERRORS as error:
        log.warning("broker_unreachable", error=str(error))


def _recover_runs(worker: Worker, waiting: Collection[str], done: Counter[str]) -> None:
    """Send again the queued runs whose message was lost,
    and fail those that cost a worker each time.
    """
    for run in runs.find_lost(worker.database, worker.settings.sweep_seconds, waiting):
        with going_on("sweep_failed", run["_id"]):
            if run["attempts"] >= worker.settings.max_attempts:
                error = (
                    f"given up after {run['attempts']} attempts to split it into batches; see the"
                    " workers' logs"
                )
                endings.fail_run(
                    worker.database, run["_id"], "attempts_exhausted", error, datetime.now(UTC)
                )
                done["run_failed"] += 1
            elif publish_run(worker.database, worker.celery, run):
                done["run_sent_again"] += 1
            else:
                return
