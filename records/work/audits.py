"""Audit documents: what happened to one ticker in a run,
kept beside the run in `detection_runs`.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Unpack

from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError

from core.errors import LeaseLost
from core.words import Status
from records.database import Db, Query
from records.keyset import Key, Keyset, Position, find_page
from records.tenancy import of_owner
from records.work.documents import (
    AuditDocument,
    AuditFields,
    AuditSummary,
    BatchResult,
    RunDocument,
    TickerFailure,
    audits_in,
    runs_in,
)

BY_TICKER = Keyset((Key("ticker", str),))
DUPLICATE_KEY = 11000
# What a run of many tickers repeats of its audit documents; those have all of it.
LISTED_ANOMALIES = 1_000
LISTED_WARNINGS = 100


def build_audit_document(
    run_id: str,
    ticker: str,
    *,
    started_at: datetime,
    completed_at: datetime,
    **fields: Unpack[AuditFields],
) -> AuditDocument:
    """Return the audit document of one ticker in a run; `fields` say what was asked,
    done and found.
    """
    return {
        "_id": f"{run_id}:{ticker}",
        "run_id": run_id,
        "ticker": ticker,
        "started_at": started_at,
        "completed_at": completed_at,
        "duration_seconds": max(0.0, (completed_at - started_at).total_seconds()),
        **fields,
    }


def build_failure(
    run: RunDocument, tickers: Sequence[str], reason: str, error: str, now: datetime
) -> tuple[BatchResult, list[AuditDocument]]:
    """Return the result of a batch that failed whole,
    and an audit document for each of its tickers.
    """
    subjects = tickers or (run["market"] or run["task"],)
    failures: list[TickerFailure] = [
        {"ticker": subject, "reason": reason, "error": error} for subject in subjects
    ]
    outcome: AuditFields = {
        "task": run["task"],
        "trigger": run["trigger"],
        "interval": run["interval"],
        "period": run["period"],
        "rows_loaded": 0,
        "rows_preprocessed": 0,
        "rows_processed": 0,
        "anomalies_found": 0,
        "new_anomalies": 0,
        "anomaly_ids": [],
        "warnings": [],
        "status": "failed",
        "reason": reason,
        "error": error,
    }
    audits = [
        build_audit_document(
            run["_id"], ticker, started_at=run["started_at"], completed_at=now, **outcome
        )
        for ticker in tickers
    ]
    return {"tickers_done": 0, "tickers_failed": len(failures), "failures": failures}, audits


def write_audits(database: Db, audits: Sequence[AuditDocument], session: ClientSession) -> None:
    """Store audit documents inside the transaction of their batch.

    Raises LeaseLost where one is there: a ticker is in one batch of a run at a time, and that ends
    in the same transaction, so another worker has ended it.
    """
    if not audits:
        return
    # A worker does what all tenants ask for; what came of it is theirs whose run it is.
    run = runs_in(database).find_one({"_id": audits[0]["run_id"]}, {"tenant": 1}, session=session)
    try:
        audits_in(of_owner(database, run or {})).insert_many(
            list(audits), ordered=False, session=session
        )
    except BulkWriteError as error:
        if any(failed["code"] == DUPLICATE_KEY for failed in error.details["writeErrors"]):
            raise LeaseLost(
                f"run {audits[0]['run_id']} has an audit document of one of these tickers"
            ) from error
        raise


def find_audits(
    database: Db,
    run_id: str,
    *,
    status: Status | None = None,
    reason: str | None = None,
    after: Position | None = None,
    limit: int = 50,
) -> list[AuditDocument]:
    """Return what happened to each ticker of a run so far, by ticker,
    from the one after `after` on.
    """
    wanted = {"run_id": run_id, "status": status, "reason": reason}
    query = {name: value for name, value in wanted.items() if value is not None}
    return find_page(audits_in(database), query, BY_TICKER, after=after, limit=limit)


def summarize_audits(database: Db, run: RunDocument, session: ClientSession) -> AuditSummary:
    """Return what a run's audit documents say together, as the run repeats it;
    `reasons` without failures.
    """
    kinds = {
        "reason": "$reason",
        "status": "$status",
        "version": "$model_version",
        "hash": "$model_hash",
    }
    anomalies: list[Query] = [
        {"$match": {"anomalies_found": {"$gt": 0}}},
        {"$sort": {"ticker": 1}},
        {"$project": {"anomaly_ids": 1}},
        {"$unwind": "$anomaly_ids"},
    ]
    if len(run["tickers"]) != 1:
        anomalies.append({"$limit": LISTED_ANOMALIES})
    parts = {
        "kinds": [{"$group": {"_id": kinds, "count": {"$sum": 1}}}],
        "warnings": [
            {"$unwind": "$warnings"},
            {"$group": {"_id": "$warnings"}},
            {"$sort": {"_id": 1}},
            {"$limit": LISTED_WARNINGS},
        ],
        "anomalies": anomalies,
    }
    stages: list[Query] = [{"$match": {"run_id": run["_id"]}}, {"$facet": parts}]
    (found,) = database.detection_runs.aggregate(stages, session=session)
    reasons: Counter[str] = Counter()
    models = set()
    for group in found["kinds"]:
        kind = group["_id"]
        if kind.get("version"):
            models.add((kind["version"], kind["hash"]))
        if kind.get("reason") and kind["status"] != "failed":
            reasons[kind["reason"]] += group["count"]
    version, sha256 = models.pop() if len(models) == 1 else (None, None)
    return {
        "model_version": version,
        "model_hash": sha256,
        "reasons": dict(reasons),
        "warnings": [each["_id"] for each in found["warnings"]],
        "anomaly_ids": [each["anomaly_ids"] for each in found["anomalies"]],
    }


def find_unfinished(database: Db, run: RunDocument) -> list[str]:
    """Return the tickers of a run that have no result of it: those that failed,
    and those it never came to.
    """
    done = audits_in(database).find(
        {"run_id": run["_id"], "status": {"$ne": "failed"}}, {"ticker": 1}
    )
    finished = {audit["ticker"] for audit in done}
    return [ticker for ticker in run["tickers"] if ticker not in finished]
