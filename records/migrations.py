"""Migrations: numbered steps that bring a database to the state that this code needs.

A migration may be run again at any time, by two processes at once, and beside the code of the
version before: it adds and rewrites, and removes only what that code does not read any more. So it
needs no lock, which could be left behind.
"""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import OperationFailure

from core.errors import DatabaseUnfit
from records.database import Db
from records.indexes import ensure_indexes, ensure_tenant_indexes
from records.market.markets import SHIPPED_ROWS
from records.tenancy import each_tenant, find_tenants, of_tenant
from records.work.watchlists import forget_next_scans

SCHEMA = "schema"
# Error codes: the collection, or the index, does not exist.
_GONE = {26, 27}
# A database in which one of these collections has a document is not new.
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
    """Replace indexes that are only used to find runs by partial ones, without audits."""
    ensure_indexes(database)
    for name in ("started_at_-1", "run_id_1_requested_at_-1__id_-1", "tickers_1_requested_at_-1"):
        drop_index(database, "detection_runs", name)


def join_score_indexes(database: Db) -> None:
    """Replace two indexes of anomalies by score by one, as each index slows every written
    anomaly.
    """
    ensure_indexes(database)
    for name in ("anomaly_score_-1", "anomaly_score_1__id_1"):
        drop_index(database, "anomalies", name)


def drop_unread_anomaly_indexes(database: Db) -> None:
    """Drop unused indexes, as each index slows every written anomaly."""
    for name in ("sent_1_Datetime_-1", "created_at_-1"):
        drop_index(database, "anomalies", name)


def let_imports_expire(database: Db) -> None:
    """Make the records of imports expire, and drop an unused index."""
    drop_index(database, "bar_imports", "at_-1")
    drop_index(database, "models", "sha256_1")


def keep_unfinished_runs(database: Db) -> None:
    """Drop the indexes by which batches expired before their run, and runs by when they began."""
    drop_index(database, "batches", "finished_at_1")
    drop_index(database, "detection_runs", "finished_runs_ttl")


def forget_day_inputs(database: Db) -> None:
    """Make all market days be computed again, by a new rule. Their revisions go on, so that bars
    are scored again whose days change. A day had three columns, of which the first is its ratio.
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
    """Remove the fingerprint of bars from watermarks, which have the bars' revision instead."""
    database.detection_metadata.update_many(
        {"bars_fingerprint": {"$exists": True}}, {"$unset": {"bars_fingerprint": ""}}
    )


def move_thresholds(database: Db) -> None:
    """Move the thresholds of watchlists, which were stored in two places, into the watchlists. The
    others, which detection read, count.
    """
    kept = {each["name"]: each for each in database.thresholds.find({"scope": "watchlist"})}
    for watchlist in database.watchlists.find({"threshold": {"$not": {"$type": "object"}}}):
        policy = kept.get(watchlist["_id"])
        stored = {"kind": policy["kind"], "value": policy["value"]} if policy else None
        database.watchlists.update_one({"_id": watchlist["_id"]}, {"$set": {"threshold": stored}})
    database.thresholds.delete_many({"scope": "watchlist"})


def tell_markets(database: Db) -> None:
    """Give each series the market of its ticker's suffix and that market's time zone, and each
    watchlist the list of its markets.

    A series that counted as a US stock, as there was no other market, moves to its own market; its
    coverage is measured at the next import. A ticker whose spelling tells no market stays where it
    is, as a market that was set by hand, so that a user sees it.
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
    """Replace a champion for all intervals by one for each interval: the pointer is split by the
    intervals of the versions that it has named.

    Each new pointer gets the moves to versions of its interval, and names the last of these.
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
    """Remove coverage that does not count bars without a trade, so that the next import measures it
    again.
    """
    uncounted = {"coverage": {"$exists": True}, "coverage.no_trade": {"$exists": False}}
    database.series.update_many(uncounted, {"$unset": {"coverage": ""}})


def forget_listed_gaps(database: Db) -> None:
    """Remove coverage that lists gaps itself. Gaps are in a ledger now, which `flask db upgrade`
    writes afterwards.
    """
    database.series.update_many({"coverage.gaps": {"$exists": True}}, {"$unset": {"coverage": ""}})


def forget_currency_sessions(database: Db) -> None:
    """Have the sessions, the coverage and the next scans of currencies found again: a week begins
    on Sunday and ends on Friday at 17:00 in New York.

    A row of this market that was changed in other fields has the calendar that it had.
    """
    database.markets.update_one({"_id": "FX", "calendar": "24/5"}, {"$set": {"calendar": "FX"}})
    _forget_sessions(database, "FX")


def forget_evening_sessions(database: Db) -> None:
    """Have what follows from the sessions of futures and currencies found again: the last hour of
    futures is their rest, and a day on which currencies are closed is New York's.
    """
    for code in _find_markets(database, {"CMES", "us_futures", "FX"}):
        _forget_sessions(database, code)


def forget_counts_of_hours(database: Db) -> None:
    """Have the coverage of hours around lunch breaks measured anew, of which those after a break
    tell how they are counted; and that of four hours of futures, of which one that begins in their
    rest is of the next session.
    """
    _forget_coverage(database, "1h", {"XTKS", "XHKG", "XSHG", "XKRX"})
    _forget_coverage(database, "4h", {"CMES", "us_futures"})


def forget_counts_of_long_bars(database: Db) -> None:
    """Have the coverage of bars of half an hour and more measured anew: on the first and last day
    of a series, parts of bars were counted as bars where they are not counted from the open.
    """
    query = {"interval": {"$in": ["30m", "1h", "4h"]}}
    database.series.update_many(query, {"$unset": {"coverage": ""}})


def forget_coverage_before_1970(database: Db) -> None:
    """Have the coverage of series with bars before 1970 measured anew: all weekdays of those years
    were sessions, and then the days of rules that were not in force, as London's, were none.
    """
    query = {"first_bar": {"$lt": datetime(1970, 1, 1, tzinfo=UTC)}}
    database.series.update_many(query, {"$unset": {"coverage": ""}})


def _find_markets(database: Db, calendars: Set[str]) -> list[str]:
    """Return the codes of the markets that have one of these calendars."""
    rows = {row["_id"]: row for row in (*SHIPPED_ROWS, *database.markets.find())}
    return [code for code, row in rows.items() if row["calendar"] in calendars]


def _forget_coverage(database: Db, interval: str, calendars: Set[str]) -> None:
    """Have the coverage of an interval's series measured anew in markets of these calendars."""
    query = {"interval": interval, "market": {"$in": _find_markets(database, calendars)}}
    database.series.update_many(query, {"$unset": {"coverage": ""}})


def _forget_sessions(database: Db, market: str) -> None:
    """Have the sessions, the coverage and the next scans of a market found again."""
    database.session_days.delete_one({"_id": market})
    forget_next_scans(database, market)
    database.series.update_many({"market": market}, {"$unset": {"coverage": ""}})


def await_sums(_database: Db) -> None:
    """Write nothing. This step only raises the version, so that `flask db upgrade` is run, which
    then computes the oddities of series; until then there are none.
    """


def tell_kinds(database: Db) -> None:
    """Set the kind `event` in anomalies that were found before there were faults."""
    untold = {"kind": {"$exists": False}}
    database.anomalies.update_many(untold, {"$set": {"kind": "event", "fault": None}})
    database.anomalies.update_many(
        {"opinions": {"$elemMatch": untold}}, {"$set": {"opinions.$[].kind": "event"}}
    )


def tell_bars_gone(database: Db) -> None:
    """Set the status of anomalies whose bars are gone, as lists and counts go by the status."""
    database.anomalies.update_many(
        {"status": "new", "bars_gone_at": {"$exists": True}}, {"$set": {"status": "bars_gone"}}
    )


# What an input was called while its value was the root of what it is called now. One of a time of
# day was said to be in ranges of the last year.
_CLOCKS = (
    ("return, for its time of day", "return in usual returns of its time of day"),
    (
        "range, wicks or volume, for their time of day",
        "range, wicks or volume in usual ranges of their time of day",
    ),
)
_ROOTS = (
    *((f"{old}, in usual ranges of the last year", new) for old, new in _CLOCKS),
    *(
        (f"{old}, in usual ranges of the last weeks", f"{new} and of the last 20 bars")
        for old, new in _CLOCKS
    ),
    (", in usual ranges", " in usual ranges"),
)


def tell_distances(database: Db) -> None:
    """Replace the roots of distances, which were called usual ranges, by the distances, in
    anomalies and in alerts. The words change too, so they tell which values are roots.
    """
    label: Any = "$$input.label"
    for old, new in _ROOTS:
        label = {"$replaceAll": {"input": label, "find": old, "replacement": new}}
    values = ("actual", "low", "median", "high")
    squares = {name: {"$pow": [f"$$input.{name}", 2]} for name in values}
    is_root = {"$regexMatch": {"input": "$$input.label", "regex": ", in usual ranges"}}
    told = {"$mergeObjects": ["$$input", {"label": label}, squares]}
    each = {"$cond": [is_root, told, "$$input"]}
    inputs = {"$set": {"inputs": {"$map": {"input": "$inputs", "as": "input", "in": each}}}}
    first = {"actual_value": {"$first": "$inputs.actual"}}
    first["expected_value"] = {"$first": "$inputs.median"}
    has_roots = {"inputs.label": {"$regex": ", in usual ranges"}}
    for own in each_tenant(database):
        own.anomalies.update_many(has_roots, [inputs])
        for alerts in (own.alerts, own.alert_history):
            alerts.update_many(has_roots, [inputs, {"$set": first}])


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
    Migration(20, "measure bars of currencies by their week", forget_currency_sessions),
    Migration(21, "tell what models read in usual ranges, not in their roots", tell_distances),
    Migration(22, "measure bars of futures without their rest", forget_evening_sessions),
    Migration(23, "measure hours around lunch breaks anew", forget_counts_of_hours),
    Migration(24, "measure bars before 1970 without holidays", forget_coverage_before_1970),
    Migration(
        25, "measure hours around breaks and rests by their own bars", forget_counts_of_hours
    ),
    Migration(26, "measure bars before 1970 with New York's holidays", forget_coverage_before_1970),
    Migration(27, "measure hours by their own clock", forget_counts_of_long_bars),
    Migration(
        28, "measure hours of a day that lasts, and around rests", forget_counts_of_long_bars
    ),
    Migration(29, "keep the batches of a run until it has ended", keep_unfinished_runs),
)


def find_version(database: Db) -> int:
    """Return the number of the last applied migration; 0 where none was applied."""
    schema = database.settings.find_one({"_id": SCHEMA})
    return int(schema["version"]) if schema else 0


def upgrade(
    database: Db, now: datetime, migrations: Sequence[Migration] = MIGRATIONS
) -> list[Migration]:
    """Apply the missing migrations in order, and return them.

    New indexes are made, too: a new index needs no migration, a changed one does. Raises
    DatabaseUnfit.
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
    """Make the missing indexes, as every process does at its start. In a new database, store the
    latest version, as it needs no migration.

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
    """Store a version, unless another process has stored a later one."""
    database.settings.update_one(
        {"_id": SCHEMA}, {"$max": {"version": version, "upgraded_at": now}}, upsert=True
    )
