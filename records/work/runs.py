"""Runs: every request becomes a run, whose document tells its progress and its outcome.

A run's `_id` is its Celery task id. Audits in the same collection tell what happened to each of its
tickers, and have the run's id in `run_id`: see `records/work/audits.py`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, get_args, overload

from pymongo import DESCENDING, ReturnDocument
from pymongo.client_session import ClientSession

from core.errors import Cancelled, NotFound
from core.naming import name_some
from core.words import OpenStatus, Status, Task, Trigger
from records.database import Db, Query, among, between, in_transaction, match, older_than
from records.findings.documents import AnomalyDocument
from records.keyset import Key, Keyset, Position
from records.models.champions import ALL_MARKETS
from records.questions import Question, ask, get_first
from records.tenancy import get_tenant, qualify
from records.work import batches
from records.work.documents import (
    BatchDocument,
    ListedRun,
    OpenBackfill,
    RunDocument,
    RunRecord,
    ShownRun,
    batches_in,
    runs_in,
)
from records.work.progress import ask_progress, describe_progress, find_failures

OPEN_STATUSES: tuple[OpenStatus, ...] = get_args(OpenStatus)
LISTED_FAILURES = 1_000
# A list of runs shows so many tickers of each, as a run may have ten thousand.
LISTED_TICKERS = 20
NAMED_TICKERS = 3
NEWEST_FIRST = Keyset((Key("requested_at", datetime, DESCENDING), Key("_id", str, DESCENDING)))
_IS_OPEN: Query = {"status": {"$in": list(OPEN_STATUSES)}}
# A null lease counts as expired, as null sorts before any date.
_UNHELD = {"$lt": ["$lease_until", "$$NOW"]}
# A sweep sends at most so many runs again.
MOST_LOST = 1_000


def describe_subject(run: RunDocument, ticker_count: int | None = None) -> str:
    """Return what a run is about, in the words of the pages (`parts/run_progress.js`): its
    watchlist, market, versions, table, tickers or file; "" where it has none of these.

    A detection of a whole market is about the market, although it has all tickers of it. A retry
    has only the tickers that another run left undone, and is about these. `ticker_count` is how
    many tickers there are where `run["tickers"]` has only the first of them, as in lists.
    """
    tickers, market = run["tickers"], run["market"] and f"market {run['market']}"
    count = len(tickers) if ticker_count is None else ticker_count
    if run["watchlist"]:
        return run["watchlist"]
    if market and run["task"] in {"backfill", "incremental"} and not run["retry_of"]:
        return market
    if run["task"] == "evaluate" and run["options"].get("versions"):
        return " and ".join(run["options"]["versions"])
    if run["task"] == "export" and run["options"].get("table"):
        return str(run["options"]["table"])
    is_of_many = run["task"] in {"analytics", "correlation"} and count > NAMED_TICKERS
    if is_of_many and len(run["markets"]) == 1:
        return f"{count:,} tickers of market {run['markets'][0]}"
    named = name_some(tickers, NAMED_TICKERS, count)
    file = run["options"].get("filename", "") if run["task"] == "import" else ""
    return named or file or market or ""


def mark_published(database: Db, run_id: str) -> None:
    """Store that the run's message was sent now, by the server's clock."""
    runs_in(database).update_one({"_id": run_id}, [{"$set": {"published_at": "$$NOW"}}])


def claim_run(
    database: Db, run_id: str, *, lease_seconds: int, max_attempts: int
) -> RunDocument | None:
    """Claim a queued run in order to split it into batches; return its document.

    Return None where it is not queued, where another worker holds it, or where it was tried
    `max_attempts` times.
    """
    return runs_in(database).find_one_and_update(
        {"_id": run_id, "status": "queued", "attempts": {"$lt": max_attempts}, "$expr": _UNHELD},
        [
            {
                "$set": {
                    "attempts": {"$add": ["$attempts", 1]},
                    "lease_until": {"$add": ["$$NOW", lease_seconds * 1000]},
                }
            }
        ],
        return_document=ReturnDocument.AFTER,
    )


def find_lost(
    database: Db, older_than_seconds: float, waiting: Collection[str]
) -> list[RunDocument]:
    """Return queued runs that no worker is splitting and whose message seems lost: it was sent
    longer ago than `older_than_seconds`, and is not among the `waiting` messages.
    """
    age = older_than("published_at", older_than_seconds)
    query = {
        "status": "queued",
        "run_id": None,
        "_id": {"$nin": list(waiting)},
        "$expr": {"$and": [age, _UNHELD]},
    }
    return list(runs_in(database).find(query).limit(MOST_LOST))


def start_run(database: Db, run_id: str, plan: Sequence[BatchDocument], now: datetime) -> bool:
    """Move a queued run to `in_progress` and write its batches, in one transaction; return False
    where it is not queued any more.
    """

    def write(session: ClientSession) -> bool:
        run = runs_in(database).find_one_and_update(
            {"_id": run_id, "status": "queued"},
            {"$set": {"status": "in_progress", "started_at": now}},
            session=session,
        )
        if run is None:
            return False
        if plan:
            batches_in(database).insert_many(list(plan), session=session)
        return True

    return in_transaction(database, write)


def get_active(database: Db, run_id: str) -> RunDocument:
    """Return a run that may be worked on. Raises Cancelled where it was cancelled or is gone."""
    run = runs_in(database).find_one({"_id": run_id})
    if run is None or run["cancel_requested"]:
        raise Cancelled(f"run {run_id} was cancelled")
    return run


def count_open_runs(database: Db) -> dict[tuple[Trigger, Status], int]:
    """Return how many runs have not ended, by trigger and status."""
    group = {"_id": {"trigger": "$trigger", "status": "$status"}, "count": {"$sum": 1}}
    stages: list[Query] = [{"$match": _IS_OPEN}, {"$group": group}]
    found = database.detection_runs.aggregate(stages)
    return {(each["_id"]["trigger"], each["_id"]["status"]): each["count"] for each in found}


def find_oldest_waiting_seconds(database: Db) -> float | None:
    """Return for how many seconds the oldest queued run or pending batch has waited for a worker;
    None where none is waiting.
    """
    stages: list[Query] = [
        {"$match": {"status": "queued"}},
        {"$group": {"_id": None, "oldest": {"$min": "$requested_at"}}},
        {"$set": {"age": {"$divide": [{"$subtract": ["$$NOW", "$oldest"]}, 1_000]}}},
    ]
    queued = next((found["age"] for found in database.detection_runs.aggregate(stages)), None)
    pending = batches.find_oldest_pending_seconds(database)
    return max((age for age in (queued, pending) if age is not None), default=None)


def find_unfinished(database: Db) -> list[str]:
    """Return the ids of runs in progress all of whose batches have ended."""
    running = [run["_id"] for run in runs_in(database).find({"status": "in_progress"}, {"_id": 1})]
    is_open = {"run_id": {"$in": running}, "state": {"$in": list(batches.OPEN_STATES)}}
    still_open = set(batches_in(database).distinct("run_id", is_open))
    return [run_id for run_id in running if run_id not in still_open]


def get_run(database: Db, run_id: str) -> ShownRun:
    """Return a run with `progress` counted from its batches and its `failures`. Raises NotFound."""
    run = find_run(database, run_id)
    if run is None:
        raise _build_not_found(run_id)
    return run


def find_bare_run(database: Db, run_id: str) -> RunDocument | None:
    """Return a run without its progress and failures, or None."""
    return runs_in(database).find_one({"_id": run_id, "run_id": None})


def find_watchlists(database: Db, run_ids: Iterable[str]) -> dict[str, str]:
    """Return by run id the watchlist of each run that scanned one, named by
    `records.tenancy.qualify` where the tenant is not the default one.
    """
    query = {"_id": {"$in": list(run_ids)}, "run_id": None, "watchlist": {"$ne": None}}
    found = runs_in(database).find(query, {"watchlist": 1, "tenant": 1})
    return {run["_id"]: qualify(run.get("tenant"), str(run["watchlist"])) for run in found}


def find_by_key(database: Db, idempotency_key: str) -> RunDocument | None:
    """Return the run that was accepted under an idempotency key, or None."""
    return runs_in(database).find_one({"idempotency_key": own_key(database, idempotency_key)})


def forget_keys_after(database: Db, watchlist: str, now: datetime) -> None:
    """Forget the idempotency keys of a watchlist's scheduled runs that were requested in the
    future, while a clock was ahead, so that their slots are free when they come.
    """
    # No audit is meant, and by `run_id` the index of runs by the time of their request is used.
    is_ahead = {"run_id": None, "requested_at": {"$gt": now}}
    ahead = is_ahead | {"watchlist": watchlist, "trigger": "scheduler"}
    runs_in(database).update_many(ahead, {"$set": {"idempotency_key": None}})


@overload
def own_key(database: Db, key: str) -> str: ...
@overload
def own_key(database: Db, key: str | None) -> str | None: ...
def own_key(database: Db, key: str | None) -> str | None:
    """Return an idempotency key in its stored form, which has the tenant in it."""
    return None if key is None else qualify(get_tenant(database), key)


def note_outcome(database: Db, run_id: str, outcome: RunRecord, session: ClientSession) -> None:
    """Store in a run the outcome of its only batch, inside the transaction that ends the batch."""
    runs_in(database).update_one({"_id": run_id}, {"$set": outcome}, session=session)


def add_warning(database: Db, run_id: str, warning: str) -> None:
    """Add a warning to a run that has ended, unless it has it."""
    runs_in(database).update_one({"_id": run_id}, {"$addToSet": {"warnings": warning}})


def add_found(
    database: Db,
    run_id: str,
    found: Sequence[AnomalyDocument],
    *,
    checked: int,
    session: ClientSession,
) -> None:
    """Add the anomalies that a batch found to the result of a run that does not store anomalies.

    The result keeps the first 1,000 of them, and counts all.
    """
    counts = Counter(anomaly["severity"] for anomaly in found)
    added = {f"result.counts.{severity}": count for severity, count in counts.items()}
    runs_in(database).update_one(
        {"_id": run_id},
        {
            "$inc": {"result.checked": checked, **added},
            "$push": {"result.found": {"$each": list(found), "$slice": LISTED_FAILURES}},
        },
        session=session,
    )


def check_run(database: Db, run_id: str) -> None:
    """Raise NotFound where there is no such run."""
    if _find_id(database, {"_id": run_id, "run_id": None}) is None:
        raise _build_not_found(run_id)


def find_run(database: Db, run_id: str) -> ShownRun | None:
    """Return a run with `progress` counted from its batches and its `failures`, or None."""
    stages: list[Query] = [{"$match": {"_id": run_id, "run_id": None}}]
    bare: Question[RunDocument | None] = Question(runs_in(database), stages, get_first)
    progress = ask_progress(database, run_id)
    ask(database, bare, progress)
    run, totals = bare.answer, progress.answer
    if run is None:
        return None
    failures = find_failures(database, run_id)[:LISTED_FAILURES] if totals["tickers_failed"] else []
    return {**run, "progress": describe_progress(run, totals), "failures": failures}


def has_ended(database: Db, run_id: str) -> bool:
    """Return whether a run is in an end state."""
    ended = {"_id": run_id, "status": {"$nin": list(OPEN_STATUSES)}}
    return _find_id(database, ended) is not None


def build_query(
    *,
    status: Status | None = None,
    trigger: Trigger | None = None,
    ticker: str | None = None,
    task: Task | None = None,
    watchlist: str | None = None,
    market: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Query:
    """Return the MongoDB query of some filters; `start` and `end` filter by the time of request."""
    query = match(
        status=status,
        # A run of all markets is a run of each market.
        markets=among([market, ALL_MARKETS] if market is not None else None),
        trigger=trigger,
        tickers=ticker,
        task=task,
        watchlist=watchlist,
        requested_at=between(start, end),
    )
    return {"run_id": None, **query}


def find_runs(
    database: Db, query: Query, *, after: Position | None = None, limit: int = 50
) -> list[ListedRun]:
    """Return the runs of a query that `build_query` made, in the order NEWEST_FIRST, from the run
    after `after` on, without their progress.
    """
    following = NEWEST_FIRST.build_query(after)
    shown = {
        "ticker_count": {"$size": "$tickers"},
        "tickers": {"$slice": ["$tickers", LISTED_TICKERS]},
        "verdicts": {"$ifNull": ["$result.verdicts", {}]},
    }
    stages: list[Query] = [
        {"$match": {"$and": [query, following]} if following else query},
        {"$sort": dict(NEWEST_FIRST.sort)},
        {"$limit": limit},
        {"$set": shown},
        {"$unset": ["anomaly_ids", "result"]},
    ]
    found: list[Any] = list(runs_in(database).aggregate(stages))
    return found


def find_open_run(database: Db, ticker: str, interval: str | None) -> str | None:
    """Return the id of a run of a ticker (and interval, None for any) that has not ended,
    or None.
    """
    query = {"run_id": None, **_IS_OPEN, **match(tickers=ticker, interval=interval)}
    return _find_id(database, query)


def find_open_retry(database: Db, run_id: str, session: ClientSession) -> str | None:
    """Return the id of the retry of a run that is queued or in progress and was not cancelled, or
    None.
    """
    query = {**_IS_OPEN, "cancel_requested": False, "retry_of": run_id}
    return _find_id(database, query, session)


def find_open_backfills(
    database: Db, tickers: Sequence[str], interval: str, session: ClientSession | None = None
) -> list[OpenBackfill]:
    """Return the backfills of any of these series that are queued or in progress.

    A cancelled backfill does not count, although a batch of it may still be at work.
    """
    is_open = {"task": "backfill", "completed_at": {"$type": "null"}, "cancel_requested": False}
    query = is_open | {"interval": interval, "tickers": {"$in": list(tickers)}}
    return [*runs_in(database).find(query, {"status": 1, "tickers": 1}, session=session)]


def has_open_scan(database: Db, watchlist: str) -> bool:
    """Return whether a periodic scan of a watchlist is queued or in progress."""
    query = {"watchlist": watchlist, "trigger": "scheduler", "task": "incremental", **_IS_OPEN}
    return _find_id(database, query) is not None


def has_open_analytics(database: Db, market: str, interval: str) -> bool:
    """Return whether a run that computes metrics of a market and interval is queued or in
    progress.
    """
    query = {"task": "analytics", "market": market, "interval": interval, **_IS_OPEN}
    return _find_id(database, query) is not None


def _find_id(database: Db, query: Query, session: ClientSession | None = None) -> str | None:
    run = runs_in(database).find_one(query, {"_id": 1}, session=session)
    return None if run is None else str(run["_id"])


def _build_not_found(run_id: str) -> NotFound:
    return NotFound(f"there is no run {run_id!r}; finished runs are kept for 30 days")
