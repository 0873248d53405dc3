"""Tasks of the control queue, which has a worker of its own."""

from celery import shared_task

from detection.records.heartbeats import SWEEPER, beat
from tasks import names, sweeper
from tasks.worker import get_worker


@shared_task(name=names.SWEEP)
def sweep() -> dict[str, int]:
    """Bring back what got lost: see tasks/sweeper.py."""
    done = sweeper.sweep(get_worker())
    beat(get_worker().database, SWEEPER)
    return done
