"""Every index of every collection, in one place."""

from pymongo import ASCENDING, DESCENDING, IndexModel

from detection.records.database import Db

DAY_SECONDS = 86_400
FINISHED_RUNS_DAYS = 30


def _index(*keys: str, **options: object) -> IndexModel:
    """Build an index from field names; a leading `-` means descending."""
    order = [(key.lstrip("-"), DESCENDING if key.startswith("-") else ASCENDING) for key in keys]
    return IndexModel(order, **options)


# Only finished runs have `completed_at`: an unfinished one must outlive any TTL, however long it waits.
_FINISHED = {"completed_at": {"$type": "date"}}

INDEXES: dict[str, list[IndexModel]] = {
    "anomalies": [
        # The unique natural key is `_id` itself: ticker, interval and time.
        _index("Ticker", "Datetime"),
        _index("sent", "-Datetime"),
        _index("detection_run_id"),
        _index("model_version"),
        _index("-anomaly_score"),
        _index("-created_at"),
        _index("-Datetime", "_id"),
    ],
    "api_keys": [
        _index("sha256", unique=True),
        _index("name", unique=True, partialFilterExpression={"revoked_at": {"$type": "null"}}),
    ],
    "bar_revisions": [_index("ticker", "interval", "revision")],
    "bars": [_index("ticker", "interval", "year", unique=True)],
    "batches": [
        _index("run_id", "state"),
        _index("state", "lease_until"),
        _index("finished_at", expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS),
    ],
    "champions": [_index("version")],
    "detection_metadata": [_index("ticker"), _index("-updated_at")],
    "detection_runs": [
        _index("ticker", "-started_at"),
        _index("status"),
        _index("trigger"),
        _index("-started_at"),
        _index("run_id", "ticker", sparse=True),
        _index("run_id", "-requested_at", "-_id"),
        _index("tickers", "-requested_at"),
        _index("idempotency_key", unique=True, partialFilterExpression={"idempotency_key": {"$type": "string"}}),
        _index(
            "started_at",
            name="finished_runs_ttl",
            expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS,
            partialFilterExpression=_FINISHED,
        ),
    ],
    "heartbeats": [_index("at", expireAfterSeconds=DAY_SECONDS)],
    "models": [_index("market", "-created_at"), _index("sha256")],
    "outbox": [_index("run_id", "event", unique=True), _index("delivered_at", "created_at")],
    "rejected_bars": [_index("ticker", "interval", "time"), _index("-rejected_at")],
    "series": [_index("market", "interval"), _index("ticker")],
    "session_overrides": [_index("market", "day", unique=True)],
    "watchlists": [_index("enabled", "next_scan"), _index("tickers", "interval", "next_scan")],
    "verifications": [
        _index("verification_run_id", "verdict"),
        _index("verified_at", expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS),
    ],
}


def ensure_indexes(database: Db) -> None:
    """Make the indexes that are missing; those that exist are left as they are."""
    for collection, indexes in INDEXES.items():
        database[collection].create_indexes(indexes)
