"""Audit documents: what happened to one ticker in a run, kept beside the run in `detection_runs`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError

from core.errors import LeaseLost
from records.database import Db, Document
from records.work.batches import ROW_COUNTS

DUPLICATE_KEY = 11000


def build_audit_document(
    run_id: str, ticker: str, *, started_at: datetime, completed_at: datetime, **fields: Any
) -> Document:
    """Return the audit document of one ticker in a run; `fields` say what was asked, done and found."""
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
    run: Document, tickers: Sequence[str], reason: str, error: str, now: datetime
) -> tuple[Document, list[Document]]:
    """Return the result of a batch that failed whole, and an audit document for each of its tickers."""
    subjects = tickers or (run["market"] or run["task"],)
    failures = [{"ticker": subject, "reason": reason, "error": error} for subject in subjects]
    asked = {name: run[name] for name in ("task", "trigger", "interval", "period")}
    outcome: Document = dict.fromkeys(ROW_COUNTS, 0) | {"anomaly_ids": [], "warnings": []}
    outcome |= {"status": "failed", "reason": reason, "error": error}
    audits = [
        build_audit_document(run["_id"], ticker, started_at=run["started_at"], completed_at=now, **asked, **outcome)
        for ticker in tickers
    ]
    return {"tickers_done": 0, "tickers_failed": len(failures), "failures": failures}, audits


def write_audits(database: Db, audits: Sequence[Document], session: ClientSession) -> None:
    """Store audit documents inside the transaction of their batch.

    Raises LeaseLost where one is there: a ticker is in one batch of a run at a time, and that ends in the same
    transaction, so another worker has ended it.
    """
    if not audits:
        return
    try:
        database.detection_runs.insert_many(list(audits), ordered=False, session=session)
    except BulkWriteError as error:
        if any(failed["code"] == DUPLICATE_KEY for failed in error.details["writeErrors"]):
            raise LeaseLost(f"run {audits[0]['run_id']} has an audit document of one of these tickers") from error
        raise


def find_unfinished(database: Db, run: Document) -> list[str]:
    """Return the tickers of a run that have no result of it: those that failed, and those it never came to."""
    done = database.detection_runs.find({"run_id": run["_id"], "status": {"$ne": "failed"}}, {"ticker": 1})
    finished = {audit["ticker"] for audit in done}
    return [ticker for ticker in run["tickers"] if ticker not in finished]
