"""Watchlists: named tickers that are scanned together, after their market has closed a bar or by
cron.

`version` rises with each change, so that a change of an older state is refused. The scheduler's
fields (`last_slot`, `last_scan`, `last_run_id`, `next_scan`) are not part of what a caller changes.
Where `next_scan` is None, as after any change, the scheduler computes it from the schedule.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from core.errors import Conflict, NotFound, VersionMoved
from core.words import AlertEvent
from records.alerts.documents import TrailDocument
from records.alerts.trail import build_note, compare
from records.database import Db, Query
from records.keyset import BY_ID, Position, find_page, fit_page
from records.questions import Question
from records.tenancy import each_tenant
from records.work.documents import (
    FetchFields,
    RunDocument,
    ScanFields,
    WatchlistDocument,
    WatchlistFields,
    watchlists_in,
)

LISTED_TICKERS = 20_000
# A `last_slot` further in the future was stored while a clock was wrong.
CLOCKS_DIFFER = timedelta(minutes=1)


def add_watchlist(
    database: Db,
    name: str,
    fields: WatchlistFields,
    now: datetime,
    session: ClientSession | None = None,
) -> WatchlistDocument:
    """Add a watchlist and return it. Raises Conflict where one of that name exists."""
    watchlist: WatchlistDocument = {
        "_id": name,
        "name": name,
        **fields,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        # Slots before the watchlist was made are not scanned.
        "last_slot": now,
        "last_scan": None,
        "last_run_id": None,
        "next_scan": None,
        "fetch_slot": None,
        "fetch_run_id": None,
        "fetch_asked_at": None,
    }
    try:
        watchlists_in(database).insert_one(watchlist, session=session)
    except DuplicateKeyError as error:
        raise Conflict(
            f"there is a watchlist named {name!r}; change it with PUT, or choose another name"
        ) from error
    return watchlist


def find_watchlists(
    database: Db, *, after: Position | None = None, limit: int
) -> list[WatchlistDocument]:
    """Return watchlists by name, from the one after `after` on; all where `limit` is 0."""
    return find_page(watchlists_in(database), {}, BY_ID, after=after, limit=limit)


def fit_watchlists(database: Db, *, after: Position | None, limit: int) -> int:
    """Return how many of the next `limit` watchlists fit on a page, by the number of their tickers;
    at least one.
    """
    found = watchlists_in(database)
    return fit_page(
        found, {}, BY_ID, after=after, limit=limit, field="tickers", most=LISTED_TICKERS
    )


def find_scans(database: Db) -> list[WatchlistDocument]:
    """Return all watchlists by name, without their tickers, of which there may be thousands."""
    return find_page(watchlists_in(database), {}, BY_ID, after=None, limit=0, fields={"tickers": 0})


def find_watched(database: Db) -> set[tuple[str, str]]:
    """Return the tickers and intervals of the enabled watchlists of all tenants."""
    return {
        (ticker, one["interval"])
        for own in each_tenant(database)
        for one in watchlists_in(own).find({"enabled": True}, {"tickers": 1, "interval": 1})
        for ticker in one["tickers"]
    }


def find_watchlist(database: Db, name: str) -> WatchlistDocument | None:
    """Return a watchlist, or None."""
    return watchlists_in(database).find_one({"_id": name})


def get_watchlist(database: Db, name: str) -> WatchlistDocument:
    """Return a watchlist. Raises NotFound, which names the watchlists that exist."""
    watchlist = find_watchlist(database, name)
    if watchlist is None:
        names = [other["_id"] for other in find_watchlists(database, limit=10)]
        raise NotFound(f"there is no watchlist {name!r}; there are: {', '.join(names) or '(none)'}")
    return watchlist


def find_watched_tickers(database: Db, name: str | None) -> list[str] | None:
    """Return the tickers of a watchlist, None where `name` is None.

    Raises NotFound, which names the watchlists that exist.
    """
    return None if name is None else get_watchlist(database, name)["tickers"]


def find_holders(database: Db, tickers: Sequence[str], interval: str) -> list[WatchlistDocument]:
    """Return the watchlists that hold any of these series, by name."""
    query = {"tickers": {"$in": list(tickers)}, "interval": interval}
    return list(watchlists_in(database).find(query).sort("_id", 1))


def replace_watchlist(
    database: Db,
    name: str,
    fields: WatchlistFields,
    now: datetime,
    *,
    version: int | None = None,
    session: ClientSession | None = None,
) -> WatchlistDocument:
    """Replace a watchlist's fields and return it; with `version`, only where it has that version.

    Raises NotFound, VersionMoved.
    """
    replaced = watchlists_in(database).find_one_and_update(
        _select(name, version),
        {"$set": {**fields, "updated_at": now, "next_scan": None}, "$inc": {"version": 1}},
        return_document=ReturnDocument.AFTER,
        session=session,
    )
    if replaced is None:
        raise _explain_unchanged(database, name, version)
    return replaced


def remove_watchlist(
    database: Db, name: str, *, version: int | None, session: ClientSession
) -> None:
    """Remove a watchlist; its runs and anomalies stay. Raises as `replace_watchlist`."""
    removed = watchlists_in(database).delete_one(_select(name, version), session=session)
    if removed.deleted_count == 0:
        raise _explain_unchanged(database, name, version)


def find_due(database: Db, now: datetime) -> list[WatchlistDocument]:
    """Return the enabled watchlists that are due, by `next_scan`: their next scan has come or is
    not known, or their last slot lies in the future, as it was stored while a clock was wrong.
    """
    is_due = {
        "enabled": True,
        "$or": [
            {"next_scan": None},
            {"next_scan": {"$lte": now}},
            {"last_slot": {"$gt": now + CLOCKS_DIFFER}},
        ],
    }
    return list(watchlists_in(database).find(is_due).sort([("next_scan", 1), ("_id", 1)]))


def find_fetching(database: Db, interval: str | None = None) -> list[WatchlistDocument]:
    """Return the watchlists whose bars are fetched from a source, by name."""
    query: Query = {"enabled": True, "source": {"$in": ["yahoo", "folder"]}}
    if interval is not None:
        query = {**query, "interval": interval}
    return list(watchlists_in(database).find(query).sort("_id", 1))


def note_scan(
    database: Db, watchlist: WatchlistDocument, scanned: ScanFields | FetchFields
) -> None:
    """Store the scheduler's fields of a watchlist, unless the watchlist has changed since it was
    read.
    """
    watchlists_in(database).update_one(
        _select(watchlist["_id"], watchlist["version"]), {"$set": scanned}
    )


def note_last_scan(database: Db, run: RunDocument) -> None:
    """Store a run as the last scan of its watchlist, and of others all of whose tickers it looks
    at, as that of a market may; unless a later one is stored.
    """
    not_seen = {"$elemMatch": {"$nin": run["tickers"]}}
    seen = {"interval": run["interval"], "tickers": {"$not": not_seen}}
    is_older = {"last_scan": {"$not": {"$gte": run["requested_at"]}}}
    scanned = {"last_scan": run["requested_at"], "last_run_id": run["_id"]}
    watchlists_in(database).update_many(
        {"$or": [{"_id": run["watchlist"]}, seen], **is_older}, {"$set": scanned}
    )


def ask_next_scan(database: Db, ticker: str, interval: str) -> Question[datetime | None]:
    """Ask when a series is scanned next by any watchlist; the answer is None where none does."""
    query = {"tickers": ticker, "interval": interval, "enabled": True, "next_scan": {"$ne": None}}
    stages: list[Query] = [
        {"$match": query},
        {"$sort": {"next_scan": 1}},
        {"$limit": 1},
        {"$project": {"next_scan": 1}},
    ]
    return Question(
        watchlists_in(database), stages, lambda found: found[0]["next_scan"] if found else None
    )


def forget_next_scans(database: Db, market: str) -> None:
    """Make the scheduler compute the next scan of a market's watchlists again, as the market's
    sessions have changed. It is done for all tenants.
    """
    for own in each_tenant(database):
        watchlists_in(own).update_many({"markets": market}, {"$set": {"next_scan": None}})


def note_watchlist(
    before: WatchlistDocument | None, name: str, fields: WatchlistFields, *, by: str, at: datetime
) -> list[TrailDocument]:
    """Return the audit trail's entries for a watchlist that was added or changed; a change of its
    threshold has its own entry.
    """
    changes = compare(before, fields)
    threshold = changes.pop("threshold", None)
    subject = f"watchlist {name}"
    entries = []
    if changes or before is None:
        step: AlertEvent = "make" if before is None else "change"
        entries.append(build_note(step, subject, by=by, at=at, details=changes))
    if threshold is not None:
        entries.append(build_note("threshold", subject, by=by, at=at, details=threshold))
    return entries


def _select(name: str, version: int | None) -> Query:
    return {"_id": name} if version is None else {"_id": name, "version": version}


def _explain_unchanged(database: Db, name: str, version: int | None) -> VersionMoved:
    present = get_watchlist(database, name)["version"]
    return VersionMoved(
        f"watchlist {name!r} is at version {present}, not {version}; read it again before you"
        " change it"
    )
