"""The history of alerts, and the queries for alerts that wake, expire or are archived with time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import Any

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.words import Feedback
from records.alerts.alerts import OPEN_STATES
from records.alerts.documents import (
    AlertDocument,
    EndedAlert,
    MarketConditions,
    alerts_in,
    history_in,
)
from records.analytics.documents import market_snapshots_in
from records.database import Db, among, between, in_transaction, match
from records.keyset import Key, Keyset, Position, find_page

NEWEST_FIRST = Keyset((Key("bar_time", datetime, DESCENDING), Key("_id", str)))


def find_awake(database: Db, now: datetime, *, limit: int) -> list[str]:
    """Return the `_id` of alerts whose snooze is over."""
    query = {"state": "snoozed", "snoozed_until": {"$lte": now}}
    return [alert["_id"] for alert in alerts_in(database).find(query, {"_id": 1}).limit(limit)]


def find_untouched(database: Db, before: datetime, *, limit: int) -> list[str]:
    """Return the `_id` of open alerts that have not changed since `before`."""
    query = {"state": {"$in": list(OPEN_STATES)}, "updated_at": {"$lt": before}}
    return [alert["_id"] for alert in alerts_in(database).find(query, {"_id": 1}).limit(limit)]


def find_settled(database: Db, before: datetime, *, limit: int) -> list[AlertDocument]:
    """Return alerts that were resolved before `before`."""
    query = {"state": "resolved", "resolved_at": {"$lt": before}}
    return list(alerts_in(database).find(query).limit(limit))


def find_conditions(
    database: Db, market: str, interval: str, bar_time: datetime
) -> MarketConditions:
    """Return the conditions of a market on a bar; all None where no snapshot of it is stored."""
    found = market_snapshots_in(database).find_one(
        {"market": market, "interval": interval, "time": bar_time}
    )
    if found is None:
        return {"regime": None, "breadth": None, "z": None}
    regimes = found["regimes"]
    return {
        "regime": max(regimes, key=regimes.__getitem__) if regimes else None,
        "breadth": found["breadth"]["advance_decline"],
        "z": found["z"],
    }


def archive_alert(database: Db, alert_id: str, end: Callable[[AlertDocument], EndedAlert]) -> None:
    """Move a resolved alert into the history, in the form that `end` returns; one that is not
    resolved any more stays.

    Its entries of the trail and its labels stay where they are.
    """

    def write(session: ClientSession) -> None:
        settled = {"_id": alert_id, "state": "resolved"}
        alert = alerts_in(database).find_one_and_delete(settled, session=session)
        if alert is None:
            return
        # The history may have an alert of the same bar from before the bar was deleted and imported
        # again.
        kept = {"_id": alert_id}
        history_in(database).replace_one(kept, end(alert), upsert=True, session=session)

    in_transaction(database, write)


def find_ended(
    database: Db,
    *,
    ticker: str | None = None,
    watchlist: str | None = None,
    feedback: Feedback | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    after: Position | None = None,
    limit: int,
) -> list[EndedAlert]:
    """Return alerts of the history in the order NEWEST_FIRST, from the one after `after` on."""
    query = match(
        entity_id=ticker, watchlist=watchlist, feedback=feedback, bar_time=between(start, end)
    )
    return find_page(history_in(database), query, NEWEST_FIRST, after=after, limit=limit)


def iterate_alerts(
    database: Db,
    *,
    entities: Sequence[str],
    watchlist: str | None,
    interval: str | None,
    start: datetime | None,
    end: datetime | None,
    fields: Sequence[str],
) -> tuple[int, Iterator[Mapping[str, Any]]]:
    """Return how many alerts some tickers and markets have, also ended ones, and an iterator over
    `fields` of them by entity and bar; `fields` must have `entity_id` and `bar_time`.
    """
    query = match(
        entity_id=among(entities),
        watchlist=watchlist,
        interval=interval,
        bar_time=between(start, end),
    )
    order = [("entity_id", 1), ("bar_time", 1), ("_id", 1)]
    kept = (alerts_in(database), history_in(database))
    most = sum(collection.count_documents(query) for collection in kept)

    def locate(alert: Mapping[str, Any]) -> tuple[str, datetime, str]:
        return alert["entity_id"], alert["bar_time"], alert["_id"]

    found = (collection.find(query, fields).sort(order) for collection in kept)
    return most, merge(*found, key=locate)


def find_alerted(database: Db, interval: str | None, watchlist: str | None = None) -> list[str]:
    """Return, in order, the entities (such as tickers and markets) with alerts, also ended ones;
    where a watchlist is named, with alerts of it.
    """
    kept = (alerts_in(database), history_in(database))
    query = match(interval=interval, watchlist=watchlist)
    return sorted({name for one in kept for name in one.distinct("entity_id", query)})
