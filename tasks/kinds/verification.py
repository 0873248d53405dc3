"""A batch of a verification has the stored anomalies of its tickers derived again."""

from dataclasses import replace

from pymongo.client_session import ClientSession

from detection.verify import verify as rederive
from records.database import in_transaction
from records.findings import verifications
from records.findings.documents import VerificationDocument
from records.work.audits import find_scored_spans
from records.work.batches import Batch
from records.work.documents import RunDocument
from records.work.runs import find_watchlists
from tasks.engine.kind import Result
from tasks.kinds.parts import build_checkpoint, build_finish, build_job, report_models
from tasks.process.worker import Worker


def verify(worker: Worker, run: RunDocument, batch: Batch) -> Result:
    """Derive the run's anomalies of the batch's tickers again;
    watermarks and anomalies stay as they are.
    """
    database, options = worker.database, run["options"]
    checkpoint, finish = build_checkpoint(worker, batch), build_finish(database, batch)
    documents: list[VerificationDocument] = []
    of_run = options.get("run_id")
    watchlist = find_watchlists(database, [of_run]).get(of_run) if of_run else None
    for interval in verifications.find_selected_intervals(database, options, batch.tickers):
        job = replace(build_job(run, batch, interval), watchlist=watchlist)
        stored = verifications.find_selected(database, options, batch.tickers, interval)
        spans = (
            find_scored_spans(database, options["run_id"], batch.tickers, interval)
            if "run_id" in options
            else verifications.find_spans(database, options, batch.tickers, interval)
        )
        documents += rederive(database, worker.models, job, stored, spans, checkpoint)
    report_models(worker)

    def write(session: ClientSession) -> None:
        finish(session, {"tickers_done": len(batch.tickers), "tickers_failed": 0, "failures": []})
        verifications.write_verifications(database, documents, session)

    in_transaction(database, write)
    return [
        {name: document[name] for name in ("anomaly_id", "verdict", "cause")}
        for document in documents[:20]
    ]
