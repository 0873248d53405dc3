"""Every index of every collection, in one place."""

from collections.abc import Mapping

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import OperationFailure

from core.errors import DatabaseUnfit
from records.database import Db
from records.tenancy import OWN

DAY_SECONDS = 86_400
FINISHED_RUNS_DAYS = 30
SETS_DAYS = 7
FILLED_GAPS_DAYS = 90
IMPORTS_DAYS = 90
NOT_CLOSED_DAYS = 7
DRIFTS_DAYS = 400
# Error codes: an index of the same name or keys has other options or keys, and documents are not
# unique.
_TWICE = 11000
_CANNOT_BE_MADE = {85, 86, _TWICE}


def _index(*keys: str, **options: object) -> IndexModel:
    """Build an index from field names; a leading `-` means descending."""
    order = [(key.lstrip("-"), DESCENDING if key.startswith("-") else ASCENDING) for key in keys]
    return IndexModel(order, **options)


# An audit has a `run_id`, a run has none; there are a thousand times as many audits as runs.
_RUN = {"run_id": None}

_OPEN_BACKFILL = {"task": "backfill", "completed_at": {"$type": "null"}}

INDEXES: dict[str, list[IndexModel]] = {
    "alert_history": [
        _index("-bar_time", "_id"),
        _index("entity_id", "-bar_time"),
        _index("watchlist", "-bar_time"),
        _index("anomaly_ids"),
        _index("-created_at"),
        # The statistics of all alerts are counted from this index, without reading an alert.
        _index(
            "watchlist",
            "entity_type",
            "cause",
            "state",
            "resolved_by",
            "resolved_at",
            "created_at",
            name="history_statistics",
        ),
    ],
    "alert_trail": [_index("alert_id", "at"), _index("-at", "_id"), _index("by", "-at")],
    "alerts": [
        # Lists of alerts, by each of the most used filters.
        _index("state", "-created_at", "_id"),
        _index("state", "severity", "-created_at", "_id"),
        _index("state", "watchlist", "-created_at", "_id"),
        _index("state", "scope", "-created_at", "_id"),
        _index("state", "market", "-created_at", "_id"),
        # Filters by fields that few alerts have. By name, all other entity types come before
        # `ticker`, so the index of `entity_type` has all alerts but those of tickers.
        _index("owner", "-created_at", "_id", partialFilterExpression={"owner": {"$gt": ""}}),
        _index(
            "entity_type",
            "-created_at",
            "_id",
            partialFilterExpression={"entity_type": {"$lt": "ticker"}},
        ),
        _index(
            "muted_by",
            "-created_at",
            "_id",
            partialFilterExpression={"muted_by": {"$exists": True}},
        ),
        # Lists of alerts with the highest grade first, for any filter.
        _index("state", "-grade", "-created_at", "_id"),
        _index("-grade", "-created_at", "_id"),
        _index("-last_bar"),
        _index("-created_at", "_id"),
        # Queries of the raising of alerts.
        _index("entity_id", "interval", "state"),
        _index("anomaly_ids"),
        _index("run_id"),
        _index("parent_id"),
        # Queries for alerts that wake, expire or are archived with time.
        _index("state", "snoozed_until"),
        _index("state", "updated_at"),
        _index("state", "resolved_at"),
    ],
    "evaluations": [
        _index("created_at", expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS),
    ],
    "bar_scores": [
        _index("run_id", "ticker", "version", "first"),
        _index("ticker", "interval", "-created_at"),
        _index("created_at", expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS),
    ],
    "drifts": [
        _index("-at", "_id"),
        _index("market", "interval", "-session"),
        _index("at", name="drifts_ttl", expireAfterSeconds=DRIFTS_DAYS * DAY_SECONDS),
    ],
    "challengers": [_index("-created_at", "_id"), _index("market", "interval", "-created_at")],
    "analytics": [
        _index("ticker", "interval", "-time"),
        # Only snapshots of intraday bars have an end; those of a day and longer are kept.
        _index("expires_at", expireAfterSeconds=0, sparse=True),
    ],
    "analytics_markets": [
        _index("market", "interval", "-time"),
        _index("expires_at", expireAfterSeconds=0, sparse=True),
    ],
    "analytics_overview": [
        _index("interval", "market", "ticker"),
        _index("interval", "ticker"),
    ],
    "analytics_sets": [_index("computed_at", expireAfterSeconds=SETS_DAYS * DAY_SECONDS)],
    "anomalies": [
        # The unique natural key is `_id` itself: ticker, interval and time.
        _index("Ticker", "Datetime"),
        _index("detection_run_id"),
        _index("model_version"),
        # Lists of anomalies page by page, in each of their orders, which are also read backwards.
        _index("-Datetime", "_id"),
        _index("-anomaly_score", "-_id"),
        _index("-grade", "_id"),
        # Anomalies are counted from this index, without reading one.
        _index("status", "market", "severity", "kind", "scope", "Ticker", "Datetime"),
    ],
    "api_keys": [
        _index("sha256", unique=True),
        _index("name", unique=True, partialFilterExpression={"revoked_at": {"$type": "null"}}),
    ],
    "bar_imports": [
        _index("import_id"),
        _index("ticker", "interval", "-at"),
        _index("at", expireAfterSeconds=IMPORTS_DAYS * DAY_SECONDS),
    ],
    "bar_revisions": [_index("ticker", "interval", "revision"), _index("-at", "-first", "-_id")],
    "bars": [_index("ticker", "interval", "span", unique=True)],
    "batches": [
        _index("run_id", "state"),
        _index("state", "lease_until"),
        _index("state", "created_at"),
        # Each slot for heavy batches, or for the suspects of a run, has one at the most.
        _index("slot", unique=True, partialFilterExpression={"slot": {"$type": "string"}}),
        _index("finished_at", "run_id"),
    ],
    "champions": [_index("version")],
    # None by `updated_at`: it would cost each scan a third of its watermarks, and nothing asks.
    "detection_metadata": [_index("ticker")],
    "detection_runs": [
        _index("ticker", "-started_at"),
        _index("status"),
        _index("trigger"),
        _index("run_id", "ticker", sparse=True),
        _index("-started_at", name="runs_by_start", partialFilterExpression=_RUN),
        _index("-requested_at", "-_id", name="runs_by_request", partialFilterExpression=_RUN),
        _index("tickers", "-requested_at", name="runs_by_ticker", partialFilterExpression=_RUN),
        _index(
            "tenant",
            "-requested_at",
            "-_id",
            name="runs_by_tenant",
            partialFilterExpression=_RUN,
        ),
        _index("interval", partialFilterExpression=_OPEN_BACKFILL),
        _index("options.upload_id", sparse=True),
        _index(
            "idempotency_key",
            unique=True,
            partialFilterExpression={"idempotency_key": {"$type": "string"}},
        ),
        # An unfinished run outlives any TTL, however long it waits: it has no time here.
        _index("completed_at", expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS),
    ],
    "gaps": [
        _index("ticker", "interval", "last"),
        _index("market", "interval", "last"),
        _index("-first", "-_id"),
        _index("state", "next_try"),
        _index("filled_at", expireAfterSeconds=FILLED_GAPS_DAYS * DAY_SECONDS),
    ],
    "labels": [_index("-labelled_at", "_id"), _index("alert_id"), _index("ticker", "interval")],
    "mutes": [_index("ended_at", "until"), _index("-created_at", "_id"), _index("ticker")],
    "groups": [_index("order")],
    "heartbeats": [_index("at", expireAfterSeconds=DAY_SECONDS)],
    "models": [_index("market", "-created_at"), _index("-created_at", "-_id")],
    "notification_rules": [_index("enabled")],
    "deliveries": [
        _index("state", "due_at"),
        _index("-created_at", "-_id"),
        _index(
            "created_at", name="deliveries_ttl", expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS
        ),
    ],
    "outbox": [
        _index("run_id", "event", unique=True),
        _index("delivered_at", "created_at"),
        _index("delivered_at", expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS),
    ],
    "rejected_bars": [
        _index("ticker", "interval", "time"),
        _index("-rejected_at", "row", "_id"),
        # Others are as many as a source has bad rows; of these each look at a live one adds one.
        _index(
            "rejected_at",
            name="not_closed_ttl",
            expireAfterSeconds=NOT_CLOSED_DAYS * DAY_SECONDS,
            partialFilterExpression={"reason": "not_closed"},
        ),
    ],
    "rejected_records": [
        _index("-rejected_at", "row", "_id"),
        _index("ticker", "-rejected_at"),
        _index(
            "rejected_at",
            name="rejected_records_ttl",
            expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS,
        ),
    ],
    "depth": [
        _index("ticker", "venue", "-time", "-_id"),
        _index("expires_at", expireAfterSeconds=0),
    ],
    "funding": [_index("ticker", "venue", "-time", "-_id")],
    "trades": [
        _index("ticker", "venue", "hour", "last"),
        _index("ticker", "venue", "first", "last"),
        _index("expires_at", expireAfterSeconds=0),
    ],
    "trade_series": [_index("ticker"), _index("expires_at", expireAfterSeconds=0)],
    "series_models": [
        _index("series_id", "-version", unique=True),
        _index("series_id", "fingerprint", unique=True),
        _index("fit_id"),
    ],
    "series_points": [_index("fit_id", "chunk", unique=True), _index("created_at")],
    "series_predictions": [_index("series_id", "-timestamp", "-version")],
    "series": [_index("market", "interval"), _index("ticker")],
    "session_overrides": [_index("market", "day", unique=True)],
    "watchlists": [_index("enabled", "next_scan"), _index("tickers", "interval", "next_scan")],
    "verifications": [
        _index("verification_run_id", "verdict"),
        _index("anomaly_id"),
        _index("verified_at", expireAfterSeconds=FINISHED_RUNS_DAYS * DAY_SECONDS),
    ],
}


def ensure_indexes(database: Db) -> None:
    """Make the missing indexes; existing ones are left as they are.

    Raises DatabaseUnfit where an existing index differs from the code's, or where the documents do
    not allow one.
    """
    _make_indexes(database, INDEXES)


def ensure_tenant_indexes(database: Db) -> None:
    """Make the missing indexes of a tenant's own collections. Raises as `ensure_indexes`."""
    _make_indexes(database, {name: INDEXES[name] for name in sorted(OWN)})


def _make_indexes(database: Db, wanted: Mapping[str, list[IndexModel]]) -> None:
    for collection, indexes in wanted.items():
        try:
            database[collection].create_indexes(indexes)
        except OperationFailure as error:
            if error.code not in _CANNOT_BE_MADE:
                raise
            name = database[collection].name
            mend = (
                "Remove nothing yet: unless you have put copies there, an earlier version has"
                " stored it otherwise. Export it with that version, and import it into a new"
                " database"
                if error.code == _TWICE
                else f"Remove the one in its way with mongosh (db.{name}.dropIndex(NAME)), and run"
                " `flask db upgrade`"
            )
            raise DatabaseUnfit(f"an index of {name} cannot be made: {error}. {mend}") from error
