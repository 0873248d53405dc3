"""Starting a run: it is split into batches, which are written before they are sent."""

from datetime import UTC, datetime

from core.errors import TapewatchError, Transient
from records.work import endings, runs
from tasks.engine.accept import publish_batches
from tasks.engine.execution import execute_batch
from tasks.engine.kind import KINDS, Result
from tasks.process.worker import Worker


def start(worker: Worker, run_id: str) -> Result:
    """Split a queued run and send its batches; do the work at once where there is only one.

    A second delivery finds the run taken, or no longer queued, and does nothing. Where splitting
    fails for a reason that may pass, the lease runs out and the sweeper sends the run again.
    """
    settings = worker.settings
    run = runs.claim_run(
        worker.database,
        run_id,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
    )
    if run is None:
        return None
    now = datetime.now(UTC)
    try:
        kind = KINDS[run["task"]]
        plan = kind.split(worker, run, now)
        if kind.heavy:
            plan = [batch | {"heavy": True} for batch in plan]
    except Transient:
        raise
    except TapewatchError as error:
        endings.fail_run(worker.database, run_id, error.reason, error.message, now)
        return {"detection_run_id": run_id, "reason": error.reason, "error": error.message}
    if not runs.start_run(worker.database, run_id, plan, now):
        return None
    if len(plan) == 1:
        return execute_batch(worker, plan[0]["_id"])
    publish_batches(
        worker.database,
        worker.celery,
        run["task"],
        {batch["_id"]: len(batch["tickers"]) for batch in plan},
    )
    return {"detection_run_id": run_id, "batches": len(plan)}
