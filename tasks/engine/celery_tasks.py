"""The Celery tasks of runs: one a kind of run, whose id is the run's, and one for their batches."""

from celery import shared_task

from tasks import names
from tasks.engine.execution import execute_batch
from tasks.engine.kind import KINDS, Result
from tasks.engine.planning import start
from tasks.process.worker import get_worker


def start_run(run_id: str) -> Result:
    """Split a run into batches and send them."""
    return start(get_worker(), run_id)


for _kind in KINDS.values():
    shared_task(name=_kind.name)(start_run)


@shared_task(name=names.RUN_BATCH)
def run_batch(batch_id: str) -> Result:
    """Claim one batch, do its work and commit it once."""
    return execute_batch(get_worker(), batch_id)
