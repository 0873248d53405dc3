"""A batch of a verification has the stored anomalies of its tickers derived again."""

from collections import Counter
from dataclasses import replace

from pymongo.client_session import ClientSession

from detection.verify import Underived
from detection.verify import verify as rederive
from records.database import in_transaction
from records.findings import verifications
from records.findings.documents import VerificationDocument
from records.work.audits import find_scored_spans
from records.work.batches import Batch
from records.work.documents import NotDerived, RunDocument, TickerFailure, VerificationResult
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
    underived: list[Underived] = []
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
        found = rederive(database, worker.models, job, stored, spans, checkpoint)
        documents += found.documents
        underived += found.underived
    report_models(worker)

    failures = _list_failures(underived)
    not_derived: list[NotDerived] = [
        {"version": each.version, "anomalies": len(each.anomalies)} for each in underived
    ]

    result: VerificationResult = {
        "tickers_done": len(batch.tickers) - len(failures),
        "tickers_failed": len(failures),
        "failures": failures,
        "not_derived": not_derived,
    }

    def write(session: ClientSession) -> None:
        finish(session, result)
        verifications.write_verifications(database, documents, session)

    in_transaction(database, write)
    return [
        {name: document[name] for name in ("anomaly_id", "verdict", "cause")}
        for document in documents[:20]
    ]


def _list_failures(underived: list[Underived]) -> list[TickerFailure]:
    """Return a failure for each ticker that has anomalies of a version that cannot be asked."""
    failures: dict[str, TickerFailure] = {}
    for each in underived:
        counts = Counter(anomaly["Ticker"] for anomaly in each.anomalies)
        for ticker, count in counts.items():
            error = f"{count:,} of its anomalies not derived again: {each.error.message}"
            failures.setdefault(
                ticker, {"ticker": ticker, "reason": each.error.reason, "error": error}
            )
    return list(failures.values())
