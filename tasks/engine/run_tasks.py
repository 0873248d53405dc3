"""One task a kind of run. Its id is the run's; it splits the run into batches and sends them."""

from celery import shared_task

from tasks import names
from tasks.engine.execution import Result
from tasks.engine.planning import start
from tasks.process.worker import get_worker


@shared_task(name=names.BACKFILL)
def backfill(run_id: str) -> Result:
    """Detect whole histories."""
    return start(get_worker(), run_id)


@shared_task(name=names.INCREMENTAL)
def incremental(run_id: str) -> Result:
    """Detect what came, or was corrected, since the watermark."""
    return start(get_worker(), run_id)


@shared_task(name=names.VERIFY)
def verify(run_id: str) -> Result:
    """Derive stored anomalies again and compare."""
    return start(get_worker(), run_id)


@shared_task(name=names.TRAIN)
def train(run_id: str) -> Result:
    """Fit a model of a market."""
    return start(get_worker(), run_id)


@shared_task(name=names.IMPORT_BARS)
def import_bars(run_id: str) -> Result:
    """Take in bars that were pushed or uploaded."""
    return start(get_worker(), run_id)
