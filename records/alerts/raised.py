"""What raising reads and writes: the alerts of a run, each bar in one alert of a watchlist."""

from collections.abc import Sequence
from datetime import datetime

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from core.words import AlertState
from records.alerts.alerts import OPEN_STATES
from records.alerts.documents import (
    AlertDocument,
    BreadthFields,
    StrangestFields,
    TrailDocument,
    alerts_in,
    history_in,
)
from records.alerts.trail import add_entries
from records.database import Db

# Whoever raises alerts writes this document of the settings, so that of two at once the second
# looks when the first is done.
TURN = "alerts"


class LaterFields(StrangestFields, total=False):
    """What a later bar changes of an alert."""

    bar_time: datetime
    last_bar: datetime
    count: int
    anomaly_ids: list[str]
    bars: list[datetime]
    breadth: BreadthFields
    run_id: str
    grade_before: float
    updated_at: datetime


def take_turn(database: Db, session: ClientSession) -> None:
    """Have this transaction be the only one that raises alerts."""
    database.settings.update_one(
        {"_id": TURN}, {"$inc": {"raised": 1}}, upsert=True, session=session
    )


def find_open(
    database: Db, entity_ids: Sequence[str], interval: str, session: ClientSession | None = None
) -> list[AlertDocument]:
    """Return the open alerts of these tickers, or markets, by their first bar."""
    query = {
        "entity_id": {"$in": list(entity_ids)},
        "interval": interval,
        "state": {"$in": list(OPEN_STATES)},
    }
    return list(alerts_in(database).find(query, session=session).sort("bar_time", 1))


def find_told(
    database: Db, anomaly_ids: Sequence[str], session: ClientSession
) -> set[tuple[str | None, str]]:
    """Return which of these anomalies an alert holds already, one of the history too, each with the
    alert's watchlist.
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
    """Return which of these alerts there are already, in whatever state, or in the history."""
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
    """Write alerts, what later bars change of others, and the trail of both."""
    if new:
        alerts_in(database).insert_many(list(new), session=session)
    if later:
        writes = [UpdateOne({"_id": alert_id}, {"$set": fields}) for alert_id, fields in later]
        alerts_in(database).bulk_write(writes, ordered=False, session=session)
    add_entries(database, entries, session)


def find_of_run(
    database: Db, run_id: str, session: ClientSession | None = None
) -> list[AlertDocument]:
    """Return the alerts that a run raised, or was the last to add to."""
    return list(alerts_in(database).find({"run_id": run_id}, session=session))


def adopt_children(
    database: Db, parent_id: str, anomaly_ids: Sequence[str], watchlist: str | None
) -> None:
    """Give the alerts of a watchlist that hold any of these anomalies their parent."""
    query = {
        "anomaly_ids": {"$in": list(anomaly_ids)},
        "watchlist": watchlist,
        "parent_id": None,
        "entity_type": "ticker",
    }
    alerts_in(database).update_many(query, {"$set": {"parent_id": parent_id}})


def find_held(
    database: Db, tickers: Sequence[str], interval: str, states: Sequence[AlertState]
) -> list[AlertDocument]:
    """Return alerts of tickers in these states: those a run may have changed the ground of."""
    query = {"entity_id": {"$in": list(tickers)}, "interval": interval}
    return list(
        alerts_in(database).find({**query, "state": {"$in": list(states)}, "entity_type": "ticker"})
    )


def find_childless(database: Db, session: ClientSession | None = None) -> list[str]:
    """Return the open alerts of market-wide bars none of whose tickers' alerts is open."""
    is_open = {"$in": list(OPEN_STATES)}
    wide = {"state": is_open, "entity_type": "market"}
    parents = {alert["_id"]: alert for alert in alerts_in(database).find(wide, session=session)}
    held = {"parent_id": {"$in": [*parents]}, "state": is_open}
    with_children = alerts_in(database).distinct("parent_id", held, session=session)
    childless = sorted(set(parents) - set(with_children))
    return [each for each in childless if not _is_shared(database, parents[each], session)]


def _is_shared(database: Db, wide: AlertDocument, session: ClientSession | None) -> bool:
    """Whether a ticker's alert that began with another market-wide bar goes on over this one."""
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
