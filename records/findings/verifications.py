"""Verifications: what a verify run found about each anomaly, kept as long as its run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import ReplaceOne
from pymongo.client_session import ClientSession

from core.errors import BadInput
from core.words import Verdict
from records.database import Db, Query, match
from records.findings.anomaly_queries import build_query
from records.findings.documents import (
    AnomalyDocument,
    AnomalySubject,
    VerificationDocument,
    anomalies_in,
    verifications_in,
)
from records.findings.watermarks import find_detected_ranges
from records.keyset import BY_ID, Position, find_page

SELECTIONS = ("anomaly_ids", "run_id", "ticker", "model_version")


def find_selected_tickers(database: Db, options: Mapping[str, Any]) -> list[str]:
    """Return the tickers of the anomalies that a verify run checks, in order.

    Raises as `build_selection`.
    """
    tickers: list[str] = anomalies_in(database).distinct("Ticker", build_selection(options))
    return sorted(tickers)


def find_selected_intervals(
    database: Db, options: Mapping[str, Any], tickers: Sequence[str]
) -> list[str]:
    """Return the intervals of the anomalies of these tickers that a verify run checks."""
    return anomalies_in(database).distinct("interval", _select(options, tickers))


def find_selected(
    database: Db, options: Mapping[str, Any], tickers: Sequence[str], interval: str
) -> list[AnomalyDocument]:
    """Return the anomalies of these tickers and this interval that a verify run checks."""
    return list(anomalies_in(database).find({**_select(options, tickers), "interval": interval}))


def find_any_selected(database: Db, options: Mapping[str, Any]) -> AnomalySubject | None:
    """Return {Ticker, interval, market} of one of the anomalies that a verify run checks; None
    where there are none.
    """
    return anomalies_in(database).find_one(
        build_selection(options), dict.fromkeys(AnomalySubject.__annotations__, 1)
    )


def build_selection(options: Mapping[str, Any]) -> Query:
    """Return the query of the anomalies that a verify run checks.

    Raises BadInput where `options` have none of SELECTIONS.
    """
    if "anomaly_ids" in options:
        return {"_id": {"$in": list(options["anomaly_ids"])}}
    if "run_id" in options:
        return build_query(run_id=options["run_id"])
    if "ticker" in options:
        return build_query(tickers=[options["ticker"]])
    if "model_version" in options:
        return build_query(model_version=options["model_version"])
    raise BadInput(f"say what to verify: one of {', '.join(SELECTIONS)}")


def find_spans(
    database: Db, options: Mapping[str, Any], tickers: Sequence[str], interval: str
) -> dict[str, list[tuple[datetime, datetime]]]:
    """Return by ticker the stretch of bars in which verification also looks for anomalies that are
    not stored: all bars that were ever scored. It is empty where single anomalies are verified.

    The stretches of a run's verification come from the run's audits (`find_scored_spans`) instead.
    """
    if "anomaly_ids" in options:
        return {}
    ranges = find_detected_ranges(database, tickers, interval)
    return {
        ticker: [(detected["first_detected_timestamp"], detected["last_detected_timestamp"])]
        for ticker, detected in ranges.items()
    }


def write_verifications(
    database: Db, documents: Sequence[VerificationDocument], session: ClientSession
) -> None:
    """Store verifications inside the transaction of their batch."""
    if documents:
        writes = [
            ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents
        ]
        verifications_in(database).bulk_write(writes, ordered=False, session=session)


def find_verifications(
    database: Db,
    run_id: str,
    *,
    verdict: Verdict | None = None,
    after: Position | None = None,
    limit: int = 0,
) -> list[VerificationDocument]:
    """Return the verifications of a verify run by id; all where `limit` is 0."""
    query = match(verification_run_id=run_id, verdict=verdict)
    return find_page(verifications_in(database), query, BY_ID, after=after, limit=limit)


def find_latest(database: Db, anomaly_ids: Sequence[str]) -> list[VerificationDocument]:
    """Return the latest verification of each of these anomalies that has one, by its `_id`."""
    query = {"anomaly_id": {"$in": list(anomaly_ids)}}
    found = verifications_in(database).find(query).sort([("verified_at", 1), ("_id", 1)])
    return sorted({each["anomaly_id"]: each for each in found}.values(), key=lambda v: v["_id"])


def count_verdicts(
    database: Db, run_id: str, session: ClientSession | None = None
) -> dict[Verdict, int]:
    """Return how many anomalies of a verify run got each verdict."""
    stages: list[Query] = [
        {"$match": {"verification_run_id": run_id}},
        {"$group": {"_id": "$verdict", "count": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    ]
    return {
        group["_id"]: group["count"]
        for group in database.verifications.aggregate(stages, session=session)
    }


def count_unverified(database: Db, run_id: str) -> int:
    """Return how many stored anomalies a verify run could not confirm as they are stored."""
    return verifications_in(database).count_documents(
        {"verification_run_id": run_id, "verified": False, "verdict": {"$ne": "new"}}
    )


def _select(options: Mapping[str, Any], tickers: Sequence[str]) -> Query:
    return {**build_selection(options), "Ticker": {"$in": list(tickers)}}
