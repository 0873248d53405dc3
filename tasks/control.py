"""Tasks of the control queue, which has a worker of its own."""

from celery import shared_task

from detection.records.database import get_server_time
from detection.records.heartbeats import SCHEDULER, SWEEPER, beat
from tasks import names, sweeper
from tasks.worker import get_worker


@shared_task(name=names.SWEEP)
def sweep() -> dict[str, int]:
    """Bring back what got lost: see tasks/sweeper.py."""
    done = sweeper.sweep(get_worker())
    beat(get_worker().database, SWEEPER)
    return done


@shared_task(name=names.TICK)
def tick() -> list[str]:
    """Accept the scans that are due: see tasks/scans.py."""
    from tasks.scans import scan_due  # noqa: PLC0415 - the calendars load slowly, and a sweep must not wait for them

    worker = get_worker()
    accepted = scan_due(worker, get_server_time(worker.database))
    beat(worker.database, SCHEDULER)
    return accepted
