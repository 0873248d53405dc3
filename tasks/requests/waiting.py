"""Explaining to people, in words, why a run waits; waiting for the alerts of one that ended."""

from datetime import datetime
from time import monotonic, sleep
from typing import TypedDict

from core.settings import Settings
from records.database import Db
from records.work.documents import RunDocument
from records.work.outbox import is_delivered
from records.work.waiting import count_at_work, count_batches, count_before
from tasks.engine.kind import KINDS
from tasks.process.census import WorkerCensus

# A shorter wait needs no explanation; asking the workers would take longer than the wait.
PATIENCE_SECONDS = 3.0
LONGEST_RAISING_SECONDS = 10.0
POLL_SECONDS = 0.02


class Wait(TypedDict):
    """Why a run waits: a stable word, and the same in full with what to do."""

    reason: str
    detail: str


def explain_wait(
    database: Db, run: RunDocument, census: WorkerCensus, settings: Settings, now: datetime
) -> Wait | None:
    """Return why nobody works on a run; None where somebody does, the run has ended, or it is
    new.
    """
    waited = (now - run["requested_at"]).total_seconds()
    if run["completed_at"] is not None or waited < PATIENCE_SECONDS:
        return None
    queue = KINDS[run["task"]].queue
    is_heavy = False
    if run["status"] == "in_progress":
        batches = count_batches(database, run["_id"])
        if batches["leased"] or not batches["pending"]:
            return None
        is_heavy = batches["pending_heavy"] == batches["pending"]
    workers = [one for one in census.ask() if queue in one.queues]
    if not workers:
        return {
            "reason": "no_worker",
            "detail": (
                f"no worker that answers takes messages from the queue `{queue}`: it was stopped,"
                " is frozen, or does not reach Redis; start it again, and nothing is lost meanwhile"
            ),
        }
    slots = settings.heavy_at_once
    if is_heavy and (others := count_at_work(database, heavy=True)) >= slots:
        return {
            "reason": "heavy_work",
            "detail": (
                f"it is heavy work, of which {slots} at once may be done (HEAVY_AT_ONCE), and"
                f" {others} of other runs {'is' if others == 1 else 'are'} at work"
            ),
        }
    if run["status"] == "queued" and run["published_at"] is None:
        return {
            "reason": "not_sent",
            "detail": (
                "Redis did not take its message; the sweeper sends it again, every"
                f" {settings.sweep_seconds} s"
            ),
        }
    tasks = [name for name, kind in KINDS.items() if kind.queue == queue]
    before, at_work = count_before(database, run, tasks), count_at_work(database)
    processes = sum(len(one.pids) for one in workers)
    return {
        "reason": "workers_busy",
        "detail": (
            f"the {processes} processes of the queue `{queue}` have other work: {at_work:,} batches"
            f" are at work, and {before:,} runs were asked for before it"
        ),
    }


def wait_for_alerts(database: Db, run_id: str) -> None:
    """Wait until the alerts of a run that ended are raised, at most for some seconds."""
    until = monotonic() + LONGEST_RAISING_SECONDS
    while monotonic() < until and not is_delivered(database, run_id, "run_completed"):
        sleep(POLL_SECONDS)
