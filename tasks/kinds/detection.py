"""A batch of a backfill or an incremental run has the bars of its tickers detected."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

from pymongo.client_session import ClientSession

from alerts.conditions import find_overview
from detection.pipeline import detect as pipeline
from detection.pipeline.commit import Finish
from detection.pipeline.job import (
    Job,
    TickerResult,
    build_audit,
    build_result,
    count_outcomes,
)
from detection.pipeline.work_counts import add_detection
from records.database import in_transaction
from records.findings.documents import AnomalyDocument
from records.tenancy import of_owner
from records.work.batches import Batch
from records.work.documents import BatchResult, RunDocument
from records.work.runs import add_found, note_outcome
from records.work.watchlists import find_watchlist
from tasks.kinds.parts import build_checkpoint, build_finish, build_job, report_models
from tasks.periodic.root_causes import explain_documents
from tasks.process.worker import Worker


def detect(worker: Worker, run: RunDocument, batch: Batch) -> list[TickerResult]:
    """Detect the batch's tickers, for a backfill or an incremental run."""
    job = build_job(run, batch, run["interval"])
    if run["options"].get("store") is False:
        return look(worker, run, batch, job)
    checkpoint, finish = build_checkpoint(worker, batch), _build_finish(worker, run, batch)
    outcomes, results = pipeline.detect_and_commit(
        worker.database, worker.models, job, checkpoint, finish
    )
    report_models(worker)
    add_detection(worker.database, job, outcomes, results, datetime.now(UTC))
    return results


def look(worker: Worker, run: RunDocument, batch: Batch, job: Job) -> list[TickerResult]:
    """Detect the batch's tickers and store only the result in the run, no anomalies."""
    database = worker.database
    # The last bars are scored again here, whatever came since the watermark.
    job = replace(job, task="backfill", is_stored=False)
    with pipeline.detect(database, worker.models, job, build_checkpoint(worker, batch)) as parts:
        outcomes = [outcome for part in parts for outcome in part]
    found = [anomaly for outcome in outcomes for anomaly in outcome.found]
    told = explain_documents(database, job.interval, found)
    shown = [cast("AnomalyDocument", {**a, **told.get(a["_id"], {})}) for a in found]
    audits = [build_audit(job, outcome, 0, datetime.now(UTC)) for outcome in outcomes]
    finish = build_finish(database, batch)

    def write(session: ClientSession) -> None:
        add_found(database, run["_id"], shown, checked=len(outcomes), session=session)
        finish(session, count_outcomes(outcomes, audits))

    in_transaction(database, write)
    report_models(worker)
    return [build_result(audit) for audit in audits]


def _build_finish(worker: Worker, run: RunDocument, batch: Batch) -> Finish:
    """Return what closes the batch; where the watchlist asked for it,
    with an overview of its markets as the run's result.
    """
    finish = build_finish(worker.database, batch)
    if not run["options"].get("with_overview"):
        return finish
    watchlist = find_watchlist(of_owner(worker.database, run), str(run["watchlist"]))
    markets = watchlist["markets"] if watchlist else [str(batch.market)]
    overview = find_overview(worker.database, markets, run["interval"])

    def finish_with_overview(session: ClientSession, result: BatchResult) -> None:
        note_outcome(worker.database, run["_id"], {"result": {"overview": overview}}, session)
        finish(session, result)

    return finish_with_overview
