"""A batch of a backfill or an incremental run has the bars of its tickers detected."""

from datetime import UTC, datetime

from detection.pipeline import detect as pipeline
from detection.pipeline.job import TickerResult
from detection.pipeline.work_counts import add_detection
from records.work.batches import Batch
from records.work.documents import RunDocument
from tasks.kinds.parts import build_checkpoint, build_finish, build_job, report_models
from tasks.process.worker import Worker


def detect(worker: Worker, run: RunDocument, batch: Batch) -> list[TickerResult]:
    """Detect the batch's tickers, for a backfill or an incremental run."""
    job = build_job(run, batch, run["interval"])
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(worker.database, batch)
    outcomes, results = pipeline.detect_and_commit(
        worker.database, worker.models, job, checkpoint, finish
    )
    report_models(worker)
    add_detection(worker.database, job, outcomes, results, datetime.now(UTC))
    return results
