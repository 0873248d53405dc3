"""A batch of a backfill or an incremental run has the bars of its tickers detected."""

from datetime import UTC, datetime

from pymongo.client_session import ClientSession

from alerts.conditions import find_overview
from detection.pipeline import detect as pipeline
from detection.pipeline.commit import Finish
from detection.pipeline.job import TickerResult
from detection.pipeline.work_counts import add_detection
from records.work.batches import Batch
from records.work.documents import BatchResult, RunDocument
from records.work.runs import note_outcome
from records.work.watchlists import find_watchlist
from tasks.kinds.parts import build_checkpoint, build_finish, build_job, report_models
from tasks.process.worker import Worker


def detect(worker: Worker, run: RunDocument, batch: Batch) -> list[TickerResult]:
    """Detect the batch's tickers, for a backfill or an incremental run."""
    job = build_job(run, batch, run["interval"])
    checkpoint, finish = build_checkpoint(worker, batch), _build_finish(worker, run, batch)
    outcomes, results = pipeline.detect_and_commit(
        worker.database, worker.models, job, checkpoint, finish
    )
    report_models(worker)
    add_detection(worker.database, job, outcomes, results, datetime.now(UTC))
    return results


def _build_finish(worker: Worker, run: RunDocument, batch: Batch) -> Finish:
    """Return what closes the batch; where the watchlist asked for it,
    with an overview of its markets as the run's result.
    """
    finish = build_finish(worker.database, batch)
    if not run["options"].get("with_overview"):
        return finish
    watchlist = find_watchlist(worker.database, str(run["watchlist"]))
    markets = watchlist["markets"] if watchlist else [str(batch.market)]
    overview = find_overview(worker.database, markets, run["interval"])

    def finish_with_overview(session: ClientSession, result: BatchResult) -> None:
        note_outcome(worker.database, run["_id"], {"result": {"overview": overview}}, session)
        finish(session, result)

    return finish_with_overview
