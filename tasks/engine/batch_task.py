"""The task that does the work of one batch."""

from celery import shared_task

from tasks import names
from tasks.engine.execution import Result, execute_batch
from tasks.process.worker import get_worker


@shared_task(name=names.RUN_BATCH)
def run_batch(batch_id: str) -> Result:
    """Claim one batch, do its work and commit it once."""
    return execute_batch(get_worker(), batch_id)
