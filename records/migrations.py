"""Migrations: numbered steps that bring a database to what this code needs.

A migration may be run again at any time, by two processes at once, and beside the code of the
version before: it adds and rewrites, and takes away only what that code no longer reads. So no lock
is needed, and none can be left behind.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.errors import OperationFailure

from core.errors import DatabaseUnfit
from records.database import Db
from records.indexes import ensure_indexes, ensure_tenant_indexes
from records.market.markets import SHIPPED_ROWS
from records.tenancy import find_tenants, of_tenant

SCHEMA = "schema"
# There is no such index, or not even the collection.
_GONE = {26, 27}
# Who has one of these has used the service before.
_DATA = ("series", "detection_runs", "models")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, what it does, and how."""

    number: int
    name: str
    apply: Callable[[Db], None]


def drop_index(database: Db, collection: str, name: str) -> None:
    """Drop an index, unless it is gone already."""
    try:
        database[collection].drop_index(name)
    except OperationFailure as error:
        if error.code not in _GONE:
            raise


def narrow_run_indexes(database: Db) -> None:
    """Have runs alone in the indexes that only runs are looked for by."""
    ensure_indexes(database)
    for name in ("started_at_-1", "run_id_1_requested_at_-1__id_-1", "tickers_1_requested_at_-1"):
        drop_index(database, "detection_runs", name)


def join_score_indexes(database: Db) -> None:
    """Have one index of anomalies by score in place of two: each costs every anomaly that is
    written.
    """
    ensure_indexes(database)
    for name in ("anomaly_score_-1", "anomaly_score_1__id_1"):
        drop_index(database, "anomalies", name)


def drop_unread_anomaly_indexes(database: Db) -> None:
    """Drop indexes that nothing reads: each costs every anomaly that is written."""
    for name in ("sent_1_Datetime_-1", "created_at_-1"):
        drop_index(database, "anomalies", name)


def let_imports_expire(database: Db) -> None:
    """Have what imports brought be forgotten after a time; and drop an index that nothing reads."""
    drop_index(database, "bar_imports", "at_-1")
    drop_index(database, "models", "sha256_1")


def forget_day_inputs(database: Db) -> None:
    """Have what markets did computed anew, as the rule for it is another; their revisions go on, so
    that the days which that moves are scored again. Of the three columns that a day had, the first
    is its ratio.
    """
    for days in database.market_days.find({"columns": {"$exists": True}}, {"columns": 1}):
        columns = days["columns"]
        ratios = b"".join(columns[at : at + 4] for at in range(0, len(columns), 12))
        database.market_days.update_one(
            {"_id": days["_id"]}, {"$set": {"ratios": ratios}, "$unset": {"columns": ""}}
        )
    forgotten: dict[str, Any] = {
        "inputs": "",
        "years": {},
        "ends": None,
        "changes_seen": -1,
        "checked_by": [],
    }
    database.market_days.update_many({}, {"$set": forgotten})


def forget_fingerprints(database: Db) -> None:
    """Take the bars' fingerprint out of watermarks, which go by the bars' revision."""
    database.detection_metadata.update_many(
        {"bars_fingerprint": {"$exists": True}}, {"$unset": {"bars_fingerprint": ""}}
    )


def move_thresholds(database: Db) -> None:
    """Move the thresholds of watchlists, which were kept twice, into the watchlists:
    detection read the others.
    """
    kept = {each["name"]: each for each in database.thresholds.find({"scope": "watchlist"})}
    for watchlist in database.watchlists.find({"threshold": {"$not": {"$type": "object"}}}):
        policy = kept.get(watchlist["_id"])
        stored = {"kind": policy["kind"], "value": policy["value"]} if policy else None
        database.watchlists.update_one({"_id": watchlist["_id"]}, {"$set": {"threshold": stored}})
    database.thresholds.delete_many({"scope": "watchlist"})


def tell_markets(database: Db) -> None:
    """Give each series the market of its ticker's suffix, its time zone,
    and watchlists the list of their markets.

    What was taken for a US stock for want of another market is no longer; its coverage is measured
    at the next import. A ticker whose looks tell nothing stays where it is, said by hand, so that
    it is seen.
    """
    for market in SHIPPED_ROWS:
        zone = {"market": market["code"], "timezone": market["timezone"]}
        database.series.update_many(
            {"market": market["code"], "timezone": {"$exists": False}},
            {"$set": {"timezone": zone["timezone"]}},
        )
        endings = "|".join(
            re.escape(suffix) for suffix in market["suffixes"] + market["aliases"] if suffix
        )
        named = [ticker for ticker in (*market["indices"], market["index_ticker"]) if ticker]
        looks = [{"ticker": {"$regex": f"({endings})$"}}] if endings else []
        moved = {"market": {"$ne": market["code"]}, "$or": [*looks, {"ticker": {"$in": named}}]}
        database.series.update_many(moved, {"$set": zone, "$unset": {"coverage": ""}})
    for watchlist in database.watchlists.find({"market": {"$exists": True}}, {"market": 1}):
        changed = {"$set": {"markets": [watchlist["market"]]}, "$unset": {"market": ""}}
        database.watchlists.update_one({"_id": watchlist["_id"]}, changed)
    fetches = {"fetch_slot": None, "fetch_run_id": None, "fetch_asked_at": None}
    database.watchlists.update_many({"fetch_slot": {"$exists": False}}, {"$set": fetches})
    for series in database.series.find(
        {"market": "US", "ticker": {"$regex": "^[0-9]+$"}}, {"ticker": 1}
    ):
        database.ticker_markets.update_one(
            {"_id": series["ticker"]},
            {"$setOnInsert": {"market": "US", "set_at": None}},
            upsert=True,
        )


def part_champions(database: Db) -> None:
    """Have a champion for each interval in place of one for all:
    a pointer goes to those of the versions it named.

    Each gets the moves to versions of its interval, and names the last of them.
    """
    for pointer in list(database.champions.find({"interval": {"$exists": False}})):
        versions = [move["version"] for move in pointer["history"] if move["version"]]
        records = {
            m["_id"]: m
            for m in database.models.find({"_id": {"$in": versions}}, {"interval": 1, "market": 1})
        }
        for interval in sorted({record["interval"] for record in records.values()}):
            moves = [
                m
                for m in pointer["history"]
                if records.get(m["version"], {}).get("interval") == interval
            ]
            parted = pointer | {
                "_id": f"{pointer['_id']}::{interval}",
                "interval": interval,
                "history": moves,
            }
            # A ticker or watchlist that went back to its market's champion stays there.
            if pointer["version"] is not None:
                parted |= {name: moves[-1][name] for name in ("version", "sha256")}
            database.champions.update_one(
                {"_id": parted["_id"]}, {"$setOnInsert": parted}, upsert=True
            )
        database.champions.delete_one({"_id": pointer["_id"]})


def forget_coverage(database: Db) -> None:
    """Have coverage that does not count the bars on which nothing traded measured anew,
    at the next import.
    """
    uncounted = {"coverage": {"$exists": True}, "coverage.no_trade": {"$exists": False}}
    database.series.update_many(uncounted, {"$unset": {"coverage": ""}})


def forget_listed_gaps(database: Db) -> None:
    """Forget the coverage that lists gaps itself: these are in a ledger of their own,
    which `flask db upgrade` goes on to write.
    """
    database.series.update_many({"coverage.gaps": {"$exists": True}}, {"$unset": {"coverage": ""}})


def await_sums(_database: Db) -> None:
    """Write nothing: who upgrades goes on to sum up what looks odd in bars, of which nobody is told
    until then.
    """


def tell_kinds(database: Db) -> None:
    """Say of what was found before there were faults that it is an event."""
    untold = {"kind": {"$exists": False}}
    database.anomalies.update_many(untold, {"$set": {"kind": "event", "fault": None}})
    database.anomalies.update_many(
        {"opinions": {"$elemMatch": untold}}, {"$set": {"opinions.$[].kind": "event"}}
    )


def tell_bars_gone(database: Db) -> None:
    """Say in the status of anomalies too that their bars are gone: lists and counts go by it."""
    database.anomalies.update_many(
        {"status": "new", "bars_gone_at": {"$exists": True}}, {"$set": {"status": "bars_gone"}}
    )


MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "make the indexes", ensure_indexes),
    Migration(
        2,
        "drop an index that says what `_id` says",
        lambda d: drop_index(d, "anomalies", "natural_key"),
    ),
    Migration(3, "take audit documents out of the indexes of runs", narrow_run_indexes),
    Migration(4, "forget a fingerprint that says what the revision says", forget_fingerprints),
    Migration(5, "keep the threshold of a watchlist in the watchlist alone", move_thresholds),
    Migration(6, "tell the markets of series and watchlists", tell_markets),
    Migration(7, "have a champion for each interval", part_champions),
    Migration(8, "count the bars on which nothing traded", forget_coverage),
    Migration(9, "have coverage measured anew, with a ledger of gaps", forget_listed_gaps),
    Migration(10, "tell events from faults", tell_kinds),
    Migration(
        11,
        "drop an index of watermarks that nothing reads",
        lambda d: drop_index(d, "detection_metadata", "updated_at_-1"),
    ),
    Migration(12, "have one index of anomalies by score", join_score_indexes),
    Migration(13, "drop indexes of anomalies that nothing reads", drop_unread_anomaly_indexes),
    Migration(14, "compute the days of markets anew", forget_day_inputs),
    Migration(15, "compute them without bars that stand still", forget_day_inputs),
    Migration(16, "leave anomalies whose bars are gone out of lists and counts", tell_bars_gone),
    Migration(17, "compute the days of markets without prices that are off", forget_day_inputs),
    Migration(18, "let what imports brought be forgotten after a time", let_imports_expire),
    Migration(19, "sum up what looks odd in the bars of each series", await_sums),
)


def find_version(database: Db) -> int:
    """Return the number of the last migration that was applied; 0 where none was."""
    schema = database.settings.find_one({"_id": SCHEMA})
    return int(schema["version"]) if schema else 0


def upgrade(
    database: Db, now: datetime, migrations: Sequence[Migration] = MIGRATIONS
) -> list[Migration]:
    """Apply the migrations that were not applied yet, in order, and return them.

    Indexes that came since are made too: a new one needs no number, but one that changed does.
    Raises DatabaseUnfit.
    """
    version = find_version(database)
    pending = [migration for migration in migrations if migration.number > version]
    for migration in pending:
        migration.apply(database)
        _note_version(database, migration.number, now)
    ensure_indexes(database)
    for tenant in find_tenants(database):
        ensure_tenant_indexes(of_tenant(database, tenant["_id"]))
    return pending


def prepare_database(database: Db, now: datetime) -> None:
    """Make the indexes that are missing, as every process does at its start;
    what is new needs no migration.

    Raises DatabaseUnfit where an index cannot be made.
    """
    ensure_indexes(database)
    if find_version(database) == 0 and all(
        database[name].find_one({}, {"_id": 1}) is None for name in _DATA
    ):
        _note_version(database, MIGRATIONS[-1].number, now)


def check_version(database: Db, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Raise DatabaseUnfit where a migration was not applied yet."""
    version, wanted = find_version(database), migrations[-1].number
    if version < wanted:
        raise DatabaseUnfit(
            f"the database is at version {version}, and this code needs {wanted}; run `flask db"
            " upgrade`",
            version=version,
            needed=wanted,
        )


def _note_version(database: Db, version: int, now: datetime) -> None:
    """Note a version, unless another process is further already."""
    database.settings.update_one(
        {"_id": SCHEMA}, {"$max": {"version": version, "upgraded_at": now}}, upsert=True
    )
