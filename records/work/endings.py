"""Ends runs, each exactly once, with its outcome and one event in the outbox."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession

from core.words import EndStatus
from records.database import Db, Query, in_transaction
from records.findings.verifications import count_verdicts
from records.work import batches, counters, outbox
from records.work.audits import summarize_audits
from records.work.documents import (
    RunDocument,
    RunOutcome,
    RunRecord,
    RunTotals,
    ShownRun,
    TickerFailure,
    runs_in,
)
from records.work.progress import count_progress, find_failures, get_row_counts
from records.work.runs import OPEN_STATUSES, get_run

LISTED_ERRORS = 100


def finish_run(database: Db, run_id: str, now: datetime) -> RunDocument | None:
    """End a run whose batches have all ended, with one completion event.

    Returns the finished run, or None where batches are open or another process has finished it.
    """
    if batches.count_open(database, run_id):
        return None

    def write(session: ClientSession) -> RunDocument | None:
        run = runs_in(database).find_one({"_id": run_id, "status": "in_progress"}, session=session)
        # Counted again, in the transaction's snapshot: without one, a batch may change its state
        # while others are counted.
        totals = count_progress(database, run_id, session)
        if run is None or totals["batches_done"] < totals["batches_total"]:
            return None
        failures = find_failures(database, run_id, session) if totals["tickers_failed"] else []
        outcome = _build_outcome(run, totals, failures, now)
        record = _build_record(database, run, totals, failures, session)
        runs_in(database).update_one(
            {"_id": run_id}, {"$set": {**outcome, **record}}, session=session
        )
        outbox.add_event(
            database, run_id, "run_completed", {"status": outcome["status"]}, now, session
        )
        return {**run, **outcome, **record}

    finished = in_transaction(database, write)
    _count_end(database, finished)
    return finished


def fail_run(database: Db, run_id: str, reason: str, error: str, now: datetime) -> None:
    """End a run as failed that could not be split into batches."""
    _end_queued(
        database, run_id, "failed", {"reason": reason, "error": error, "errors": [error]}, now
    )


def request_cancel(database: Db, run_id: str, now: datetime) -> ShownRun:
    """Cancel a run: a queued run and pending batches end now, held batches between two steps.

    Raises NotFound.
    """
    run = runs_in(database).find_one_and_update(
        {"_id": run_id, "run_id": None, "status": {"$in": list(OPEN_STATUSES)}},
        {"$set": {"cancel_requested": True}},
        return_document=ReturnDocument.AFTER,
    )
    if run is None:
        return get_run(database, run_id)
    _end_queued(database, run_id, "cancelled", {}, now)
    batches.cancel_pending(database, run_id, now)
    finish_run(database, run_id, now)
    return get_run(database, run_id)


def _end_queued(
    database: Db, run_id: str, status: EndStatus, record: RunRecord, now: datetime
) -> None:
    """End a run that was not split yet, and write its completion event in the same transaction."""

    def write(session: ClientSession) -> RunDocument | None:
        ended = {"$set": {**record, "status": status, "completed_at": now, "duration_seconds": 0.0}}
        queued = {"_id": run_id, "status": "queued"}
        run = runs_in(database).find_one_and_update(
            queued, ended, return_document=ReturnDocument.AFTER, session=session
        )
        if run is not None:
            outbox.add_event(database, run_id, "run_completed", {"status": status}, now, session)
        return run

    ended = in_transaction(database, write)
    _count_end(database, ended)


def _count_end(database: Db, run: RunDocument | None) -> None:
    if run is not None:
        counters.add_counts(
            database, {counters.RUNS_ENDED: {f"{run['trigger']}:{run['status']}": 1}}
        )


def _build_outcome(
    run: RunDocument,
    totals: RunTotals,
    failures: Sequence[TickerFailure],
    now: datetime,
) -> RunOutcome:
    failed = totals["tickers_failed"]
    if totals["batches_cancelled"]:
        status: EndStatus = "cancelled"
    elif failed == 0:
        status = "complete"
    else:
        status = "failed" if totals["tickers_done"] == 0 else "partial"
    error = None
    if failed:
        named = ", ".join(failure["ticker"] for failure in failures[:5]) + (
            ", ..." if failed > 5 else ""
        )
        error = (
            f"{failed} of {max(failed, totals['tickers_total'])} failed ({named}):"
            f" {failures[0]['error']}"
        )
    return {
        "tickers_total": totals["tickers_total"],
        "tickers_done": totals["tickers_done"],
        "tickers_failed": totals["tickers_failed"],
        **get_row_counts(totals),
        "status": status,
        "error": error,
        "errors": list(dict.fromkeys(failure["error"] for failure in failures))[:LISTED_ERRORS],
        "completed_at": now,
        "duration_seconds": max(0.0, (now - run["started_at"]).total_seconds()),
    }


def _build_record(
    database: Db,
    run: RunDocument,
    totals: RunTotals,
    failures: Sequence[TickerFailure],
    session: ClientSession,
) -> RunRecord:
    """Return the record of an ended run, which clients read.

    `reason` is the reason that all its tickers share, `reasons` counts them. The `result` of a
    verification has its verdicts, and by version how many anomalies could not be derived again;
    other tasks write their result in the transaction of their batch.
    """
    summary = summarize_audits(database, run, session)
    reasons = Counter(summary["reasons"]) + Counter(failure["reason"] for failure in failures)
    is_shared = len(reasons) == 1 and reasons.total() >= totals["tickers_total"]
    record: RunRecord = {
        "model_version": summary["model_version"],
        "model_hash": summary["model_hash"],
        "warnings": summary["warnings"],
        "anomaly_ids": summary["anomaly_ids"],
        "reasons": dict(reasons),
        "reason": next(iter(reasons)) if is_shared else None,
    }
    if run["task"] == "train":  # The model that it trained was stored by `note_outcome`.
        del record["model_version"], record["model_hash"], record["warnings"]
    if run["task"] == "verify":
        record["result"] = {"verdicts": count_verdicts(database, run["_id"], session)}
        if lost := _count_not_derived(database, run["_id"], session):
            record["result"] = {**record["result"], "not_derived": lost}
    return record


def _count_not_derived(database: Db, run_id: str, session: ClientSession) -> dict[str, int]:
    """Return how many anomalies of each version a verification could not derive again."""
    stages: list[Query] = [
        {"$match": {"run_id": run_id}},
        {"$unwind": "$result.not_derived"},
        {
            "$group": {
                "_id": "$result.not_derived.version",
                "anomalies": {"$sum": "$result.not_derived.anomalies"},
            }
        },
        {"$sort": {"_id": 1}},
    ]
    found = database.batches.aggregate(stages, session=session)
    return {group["_id"]: group["anomalies"] for group in found}
