"""What the raising of alerts reads and writes. In a watchlist, each bar is in one alert."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple, NotRequired, TypedDict, cast

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from core.words import AlertState
from records.alerts.alerts import OPEN_STATES
from records.alerts.documents import (
    AlertDocument,
    AskedAlert,
    BreadthFields,
    ListedAlert,
    StrangestFields,
    TrailDocument,
    alerts_in,
    history_in,
)
from records.alerts.trail import add_entries
from records.database import Db, Query

# Each transaction that raises alerts writes this document of the settings, so that the second of
# two at once reads what the first has written.
TURN = "alerts"
# So many alerts of a run are read at a time.
PART = 500


class SpanOfAlerts(NamedTuple):
    """The first and the last bar of the alerts of a watchlist's tickers of one market."""

    watchlist: str | None
    market: str
    first: datetime
    last: datetime


class LaterFields(StrangestFields, total=False):
    """The fields of an alert that later bars change."""

    bar_time: datetime
    last_bar: datetime
    count: int
    anomaly_ids: list[str]
    untold_ids: list[str]
    bars: list[datetime]
    breadth: BreadthFields
    run_id: str
    grade_before: float
    updated_at: datetime


class HeldAlert(TypedDict):
    """The fields of an alert by which it is resolved with its anomalies, and comes back with
    them.
    """

    _id: str
    state: AlertState
    resolved_by: str | None
    muted_by: NotRequired[str]
    anomaly_ids: list[str]


def take_turn(database: Db, session: ClientSession) -> None:
    """Let only this transaction raise alerts at this time: others conflict with it."""
    database.settings.update_one(
        {"_id": TURN}, {"$inc": {"raised": 1}}, upsert=True, session=session
    )


def find_open(
    database: Db, entity_ids: Sequence[str], interval: str, session: ClientSession | None = None
) -> list[ListedAlert]:
    """Return the open alerts of these entities (tickers, markets), by their first bar, without
    what the model read.
    """
    query = {
        "entity_id": {"$in": list(entity_ids)},
        "interval": interval,
        "state": {"$in": list(OPEN_STATES)},
    }
    found = alerts_in(database).find(query, {"inputs": 0}, session=session)
    return [cast("ListedAlert", alert) for alert in found.sort("bar_time", 1)]


def find_told(
    database: Db, anomaly_ids: Sequence[str], session: ClientSession
) -> set[tuple[str | None, str]]:
    """Return (watchlist, anomaly) for each anomaly in an alert, open or in the history, that has
    any of these anomalies.
    """
    query = {"anomaly_ids": {"$in": list(anomaly_ids)}}
    fields = {"watchlist": 1, "anomaly_ids": 1}
    return {
        (alert["watchlist"], held)
        for kept in (alerts_in(database), history_in(database))
        for alert in kept.find(query, fields, session=session)
        for held in alert["anomaly_ids"]
    }


def find_known(database: Db, alert_ids: Sequence[str], session: ClientSession) -> set[str]:
    """Return which of these alerts exist already, in any state or in the history."""
    query = {"_id": {"$in": list(alert_ids)}}
    return {
        alert["_id"]
        for kept in (alerts_in(database), history_in(database))
        for alert in kept.find(query, {"_id": 1}, session=session)
    }


def write_raised(
    database: Db,
    new: Sequence[AlertDocument],
    later: Sequence[tuple[str, LaterFields]],
    entries: Sequence[TrailDocument],
    session: ClientSession,
) -> None:
    """Write new alerts, the changes of others by later bars, and the trail's entries of both."""
    if new:
        alerts_in(database).insert_many(list(new), session=session)
    if later:
        writes = [UpdateOne({"_id": alert_id}, {"$set": fields}) for alert_id, fields in later]
        alerts_in(database).bulk_write(writes, ordered=False, session=session)
    add_entries(database, entries, session)


def find_of_run(
    database: Db, run_id: str, session: ClientSession | None = None, *, limit: int = 0
) -> list[AlertDocument]:
    """Return the alerts that a run raised, or to which it was the last to add bars: at most `limit`
    (0: all).
    """
    return list(alerts_in(database).find({"run_id": run_id}, session=session).limit(limit))


def find_parts_of_run(database: Db, run_id: str) -> Iterator[list[AskedAlert]]:
    """Yield what rules ask for of the alerts that `find_of_run` finds, PART of them at a time: a
    backfill may raise tens of thousands.
    """
    fields = dict.fromkeys(AskedAlert.__annotations__, 1)
    found = alerts_in(database).find({"run_id": run_id}, fields, batch_size=PART)
    while part := list(islice(found, PART)):
        yield cast("list[AskedAlert]", part)


def find_spans_of_run(database: Db, run_id: str) -> list[SpanOfAlerts]:
    """Return the first and the last bar of the tickers' alerts that `find_of_run` finds, by
    watchlist and market.
    """
    stages: list[Query] = [
        {"$match": {"run_id": run_id, "entity_type": "ticker"}},
        {
            "$group": {
                "_id": {"watchlist": "$watchlist", "market": "$market"},
                "first": {"$min": "$bar_time"},
                "last": {"$max": "$last_bar"},
            }
        },
        {"$sort": {"_id": 1}},
    ]
    return [
        SpanOfAlerts(
            group["_id"]["watchlist"], group["_id"]["market"], group["first"], group["last"]
        )
        for group in database.alerts.aggregate(stages)
    ]


def find_by_ids(database: Db, alert_ids: Sequence[str]) -> list[AlertDocument]:
    """Return those of these alerts that are not in the history, in this order."""
    query = {"_id": {"$in": list(alert_ids)}}
    found = {alert["_id"]: alert for alert in alerts_in(database).find(query)}
    return [found[each] for each in alert_ids if each in found]


def adopt_children(
    database: Db, parent_id: str, anomaly_ids: Sequence[str], watchlist: str | None
) -> None:
    """Set the parent of a watchlist's alerts of tickers that have any of these anomalies, unless
    they have a parent.
    """
    query = {
        "anomaly_ids": {"$in": list(anomaly_ids)},
        "watchlist": watchlist,
        "parent_id": None,
        "entity_type": "ticker",
    }
    alerts_in(database).update_many(query, {"$set": {"parent_id": parent_id}})


def find_held(
    database: Db, tickers: Sequence[str], interval: str, states: Sequence[AlertState]
) -> list[HeldAlert]:
    """Return the tickers' alerts in these states, whose anomalies a run may have changed."""
    query = {
        "entity_id": {"$in": list(tickers)},
        "interval": interval,
        "state": {"$in": list(states)},
        "entity_type": "ticker",
    }
    fields = dict.fromkeys(HeldAlert.__annotations__, 1)
    return [cast("HeldAlert", alert) for alert in alerts_in(database).find(query, fields)]


def find_childless(database: Db, session: ClientSession | None = None) -> list[str]:
    """Return the open market-wide alerts without an open alert of a ticker."""
    is_open = {"$in": list(OPEN_STATES)}
    wide = {"state": is_open, "entity_type": "market"}
    parents = {alert["_id"]: alert for alert in alerts_in(database).find(wide, session=session)}
    held = {"parent_id": {"$in": [*parents]}, "state": is_open}
    with_children = alerts_in(database).distinct("parent_id", held, session=session)
    childless = sorted(set(parents) - set(with_children))
    return [each for each in childless if not _is_shared(database, parents[each], session)]


def _is_shared(database: Db, wide: AlertDocument, session: ClientSession | None) -> bool:
    """Return whether an open alert of a ticker, with another market-wide alert as its parent,
    overlaps this one.
    """
    query = {
        "watchlist": wide["watchlist"],
        "market": wide["market"],
        "interval": wide["interval"],
        "entity_type": "ticker",
        "state": {"$in": list(OPEN_STATES)},
        "parent_id": {"$ne": None},
        "bar_time": {"$lte": wide["last_bar"]},
        "last_bar": {"$gte": wide["bar_time"]},
    }
    return alerts_in(database).find_one(query, {"_id": 1}, session=session) is not None
