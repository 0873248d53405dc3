"""Audits: what happened to each ticker in a run, kept beside the run in `detection_runs`.

Each audit is a document of its own, except those of a scan, whose audits are almost the same for
thousands of tickers. The audits that a scan writes together are one document, a part. A part has
the fields that all of them share, such as the run, the model and the status; its `audits` list the
other fields of each, mostly just the ticker. A part of a single ticker is the audit itself.
`unfold` reads both forms.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Unpack, cast

from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError

from core.errors import LeaseLost
from core.words import Status
from records.database import Db, Query, match
from records.keyset import Key, Keyset, Position, find_page
from records.work.documents import (
    AuditDocument,
    AuditFields,
    AuditPart,
    AuditSummary,
    BatchResult,
    RunDocument,
    TickerFailure,
    audits_in,
)

BY_TICKER = Keyset((Key("ticker", str),))
DUPLICATE_KEY = 11000
# A run of many tickers repeats at most so many anomaly ids and warnings of its audits.
LISTED_ANOMALIES = 1_000
LISTED_WARNINGS = 100
_SUMMARIZED = (
    *("run_id", "ticker", "model_version", "model_hash", "status", "reason"),
    *("warnings", "anomaly_ids", "audits"),
)
# An anomaly id has some 50 bytes, and a document at most 16 MiB.
MOST_PART_ANOMALIES = 100_000


def build_audit_id(run_id: str, ticker: str) -> str:
    """Return the `_id` of the audit of one ticker in a run."""
    return f"{run_id}:{ticker}"


def build_audit_document(
    run_id: str,
    ticker: str,
    *,
    started_at: datetime,
    completed_at: datetime,
    **fields: Unpack[AuditFields],
) -> AuditDocument:
    """Return the audit of one ticker in a run; `fields` has what was asked, done and found."""
    return {
        "_id": build_audit_id(run_id, ticker),
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
    """Return the result of a batch of which all tickers failed, and an audit of each ticker."""
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
    """Store the audits of a part of a batch, inside the transaction that ends the batch.

    They belong to the tenant of `database`: a worker works for all tenants, and an audit belongs to
    the tenant of its run.
    Raises LeaseLost where one of the audits is stored already. A ticker is in one batch of a run at
    a time, and its audit is written in the transaction that ends the batch: so another worker has
    ended the batch.
    """
    if not audits:
        return
    is_scan = audits[0]["task"] == "incremental"
    parts = [_fold(part) for part in (_split(audits) if is_scan else ([each] for each in audits))]
    try:
        audits_in(database).insert_many(parts, ordered=False, session=session)
    except BulkWriteError as error:
        if any(failed["code"] == DUPLICATE_KEY for failed in error.details["writeErrors"]):
            raise LeaseLost(
                f"run {audits[0]['run_id']} has an audit document of one of these tickers"
            ) from error
        raise


def iterate_audits(
    database: Db, query: Query, session: ClientSession | None = None
) -> Iterator[AuditDocument]:
    """Yield the audits of all parts that match a query, such as {"run_id": ...} for those of a run,
    or {"run_id": {"$gt": ""}} for all.
    """
    for part in audits_in(database).find(query, session=session):
        yield from unfold(part)


def find_audits(
    database: Db,
    run_id: str,
    *,
    status: Status | None = None,
    reason: str | None = None,
    after: Position | None = None,
    limit: int = 50,
) -> list[AuditDocument]:
    """Return the audits of a run that exist so far, by ticker, from the one after `after` on."""
    wanted = match(status=status, reason=reason)
    alone = {"run_id": run_id, "ticker": {"$gt": ""}, **wanted}
    found = find_page(audits_in(database), alone, BY_TICKER, after=after, limit=limit)
    # A part with a list has no `ticker`, and comes first in the index: so the first document tells
    # whether the run has such parts.
    first = audits_in(database).find_one({"run_id": run_id}, sort=BY_TICKER.sort)
    if first is not None and "audits" in first:
        found += _find_listed(database, run_id, wanted, after, limit)
    audits = chain.from_iterable(unfold(part) for part in found)
    return sorted(audits, key=BY_TICKER.locate)[:limit]


def find_audits_of(
    database: Db,
    run_ids: Collection[str],
    tickers: Collection[str],
    session: ClientSession | None = None,
) -> dict[str, AuditDocument]:
    """Return the audits of any of these tickers in any of these runs, by `_id`: `RUN:TICKER`."""
    wanted = {f"{run_id}:{ticker}" for run_id in run_ids for ticker in tickers}
    found = _find_those(database, {"_id": {"$in": list(wanted)}}, wanted, session)
    if len(found) < len(wanted):
        # The others are not the first audit of their part, whose `_id` the part has.
        query = {"run_id": {"$in": list(run_ids)}, "audits.ticker": {"$in": list(tickers)}}
        found |= _find_those(database, query, wanted, session)
    return found


def look_up_audit(database: Db, ticker: str) -> list[Query]:
    """Return aggregation stages that set `audits` of each run to the part whose `_id` has this
    ticker, without the part's other audits.
    """
    first = {"$cond": [{"$isArray": "$audits"}, {"$slice": ["$audits", 1]}, "$$REMOVE"]}
    return [
        {"$set": {"audit_id": {"$concat": ["$_id", build_audit_id("", ticker)]}}},
        {
            "$lookup": {
                "from": audits_in(database).name,
                "localField": "audit_id",
                "foreignField": "_id",
                "pipeline": [{"$set": {"audits": first}}],
                "as": "audits",
            }
        },
    ]


def find_scored_spans(
    database: Db, run_id: str, tickers: Collection[str], interval: str
) -> dict[str, list[tuple[datetime, datetime]]]:
    """Return by ticker the stretches that a run scored, each as its first and its last bar."""
    audits = find_audits_of(database, [run_id], tickers).values()
    return {
        audit["ticker"]: [(span["first"], span["last"]) for span in audit.get("scored", [])]
        for audit in audits
        if audit["interval"] == interval
    }


def summarize_audits(database: Db, run: RunDocument, session: ClientSession) -> AuditSummary:
    """Return the summary of a run's audits that the run repeats; its `reasons` leave out
    failures.
    """
    reasons: Counter[str] = Counter()
    models: set[tuple[str, str | None]] = set()
    warnings: set[str] = set()
    # Only ticker and anomaly ids are kept: ten thousand whole audits take 50 MB.
    found: list[tuple[str, list[str]]] = []
    parts = audits_in(database).find({"run_id": run["_id"]}, _SUMMARIZED, session=session)
    for audit in chain.from_iterable(map(unfold, parts)):
        version, reason = audit.get("model_version"), audit["reason"]
        if version:
            models.add((version, audit.get("model_hash")))
        if reason and audit["status"] != "failed":
            reasons[reason] += 1
        warnings.update(audit["warnings"])
        if audit["anomaly_ids"]:
            found.append((audit["ticker"], audit["anomaly_ids"]))
    ids = [each for _, own in sorted(found) for each in own]
    one_version, one_hash = models.pop() if len(models) == 1 else (None, None)
    return {
        "model_version": one_version,
        "model_hash": one_hash,
        "reasons": dict(reasons),
        "warnings": sorted(warnings)[:LISTED_WARNINGS],
        "anomaly_ids": ids if len(run["tickers"]) == 1 else ids[:LISTED_ANOMALIES],
    }


def find_undone_tickers(database: Db, run: RunDocument) -> list[str]:
    """Return the tickers of a run that have no result: those that failed, and those that it never
    came to.
    """
    audits = iterate_audits(database, {"run_id": run["_id"]})
    finished = {audit["ticker"] for audit in audits if audit["status"] != "failed"}
    return [ticker for ticker in run["tickers"] if ticker not in finished]


def unfold(part: AuditPart) -> Iterator[AuditDocument]:
    """Yield the audits of a part."""
    told = cast("Mapping[str, Any]", part)
    shared = {name: value for name, value in told.items() if name != "audits"}
    for own in told.get("audits", (told,)):
        own_id = build_audit_id(part["run_id"], own["ticker"])
        yield cast("AuditDocument", {**shared, **own, "_id": own_id})


def _find_those(
    database: Db, query: Query, wanted: Collection[str], session: ClientSession | None
) -> dict[str, AuditDocument]:
    audits = iterate_audits(database, query, session)
    return {audit["_id"]: audit for audit in audits if audit["_id"] in wanted}


def _find_listed(
    database: Db, run_id: str, wanted: Query, after: Position | None, limit: int
) -> Iterator[AuditPart]:
    """Yield the first `limit` audits after a position that are stored in lists, each as a part with
    a list of one.
    """
    stages: list[Query] = [
        {"$match": {"run_id": run_id, "audits": {"$exists": True}}},
        {"$unwind": "$audits"},
        {
            "$match": {
                "$and": [
                    {"audits.ticker": {"$gt": after[0] if after else ""}},
                    *({"$or": [{n: value}, {f"audits.{n}": value}]} for n, value in wanted.items()),
                ]
            }
        },
        {"$sort": {"audits.ticker": 1}},
        {"$limit": limit},
        {"$set": {"audits": ["$audits"]}},
    ]
    yield from audits_in(database).aggregate(stages)


def _fold(audits: Sequence[AuditDocument]) -> AuditPart:
    """Return the part that stores some audits; its `_id` is that of the first."""
    told = cast("Sequence[Mapping[str, Any]]", audits)
    if len(told) == 1:
        return cast("AuditPart", dict(told[0]))
    # Most audits differ from the first by the ticker only; only the others are compared by field.
    others = [audit for audit in told if not _is_alike(audit, told[0])]
    missing = object()
    shared = {
        name: value
        for name, value in told[0].items()
        if name == "_id"
        or (name != "ticker" and all(audit.get(name, missing) == value for audit in others))
    }
    named = dict.fromkeys(chain(told[0], *others))
    differing = [name for name in named if name not in shared]
    own = [{name: audit[name] for name in differing if name in audit} for audit in told]
    return cast("AuditPart", shared | {"audits": own})


def _is_alike(audit: Mapping[str, Any], first: Mapping[str, Any]) -> bool:
    """Return whether an audit differs from another by its ticker only."""
    return {**audit, "_id": first["_id"], "ticker": first["ticker"]} == first


def _split(audits: Sequence[AuditDocument]) -> Iterator[list[AuditDocument]]:
    """Yield the audits in portions that fit into a document."""
    portion: list[AuditDocument] = []
    listed = 0
    for audit in audits:
        count = len(audit["anomaly_ids"])
        if portion and listed + count > MOST_PART_ANOMALIES:
            yield portion
            portion, listed = [], 0
        portion.append(audit)
        listed += count
    yield portion
