"""The outbox: what others are to be told, written in the same transaction as what happened."""

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
    """Add one event; a second one of the same run and name would break the transaction,
    not be sent twice.
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
    """Return the events that nobody was told of yet, the oldest first."""
    return list(events_in(database).find({"delivered_at": None}).sort("created_at", 1).limit(limit))


def is_delivered(database: Db, run_id: str, event: EventName) -> bool:
    """Whether an event of a run was handed on: then its alerts are raised."""
    found = {"_id": f"{run_id}:{event}", "delivered_at": {"$ne": None}}
    return events_in(database).find_one(found, {"_id": 1}) is not None


def mark_delivered(database: Db, event_id: str, now: datetime, session: ClientSession) -> bool:
    """Note that an event was handed on; False where somebody else did."""
    undelivered = {"_id": event_id, "delivered_at": None}
    return (
        events_in(database)
        .update_one(undelivered, {"$set": {"delivered_at": now}}, session=session)
        .modified_count
        == 1
    )
