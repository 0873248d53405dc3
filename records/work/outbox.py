"""The outbox: events to deliver, each written in the transaction of what it tells of."""

from datetime import datetime

from pymongo.client_session import ClientSession

from records.database import Db
from records.tenancy import get_tenant
from records.work.documents import (
    EventDocument,
    EventName,
    EventPayload,
    ModelNews,
    SeriesAnomalies,
    events_in,
)


def add_event(
    database: Db,
    run_id: str,
    event: EventName,
    payload: EventPayload | SeriesAnomalies | ModelNews,
    now: datetime,
    session: ClientSession,
) -> None:
    """Add one event. A second event of the same run and name aborts the transaction, so that none
    is delivered twice.
    """
    added: EventDocument = {
        "_id": f"{run_id}:{event}",
        "run_id": run_id,
        "event": event,
        "payload": payload,
        "created_at": now,
        "delivered_at": None,
    }
    if tenant := get_tenant(database):
        added["tenant"] = tenant
    events_in(database).insert_one(added, session=session)


def find_undelivered(database: Db, *, limit: int) -> list[EventDocument]:
    """Return the events that were not delivered yet, the oldest first."""
    return list(events_in(database).find({"delivered_at": None}).sort("created_at", 1).limit(limit))


def is_delivered(database: Db, run_id: str, event: EventName) -> bool:
    """Return whether an event of a run that ended was delivered; if so, its alerts are raised."""
    # Delivered events are deleted some day.
    undelivered = {"_id": f"{run_id}:{event}", "delivered_at": None}
    return events_in(database).find_one(undelivered, {"_id": 1}) is None


def mark_delivered(database: Db, event_id: str, now: datetime, session: ClientSession) -> bool:
    """Store that an event was delivered; return False where another process has done so."""
    undelivered = {"_id": event_id, "delivered_at": None}
    return (
        events_in(database)
        .update_one(undelivered, {"$set": {"delivered_at": now}}, session=session)
        .modified_count
        == 1
    )
