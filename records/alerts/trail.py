"""The audit trail of alerts: every step, who took it and when. Nothing of it is ever changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.words import AlertEvent, AlertState
from records.alerts.documents import TrailDocument, trail_in
from records.database import Db
from records.keyset import Key, Keyset, Position, find_page

NEWEST_FIRST = Keyset((Key("at", datetime, DESCENDING), Key("_id", str)))
LISTED = 1_000


def build_entry(
    alert_id: str | None,
    step: AlertEvent,
    *,
    by: str,
    at: datetime,
    states: tuple[AlertState | None, AlertState | None],
    details: Mapping[str, Any] | None = None,
    subject: str | None = None,
) -> TrailDocument:
    """Return an entry, not yet written; `states` are those before and after."""
    return {
        **({"subject": subject} if subject else {}),  # type: ignore[typeddict-item]  # its own
        "_id": uuid4().hex,
        "alert_id": alert_id,
        "step": step,
        "by": by,
        "at": at,
        "from_state": states[0],
        "to_state": states[1],
        "details": dict(details or {}),
    }


def add_entries(database: Db, entries: Sequence[TrailDocument], session: ClientSession) -> None:
    """Write entries inside the transaction of the steps that they are of."""
    if entries:
        trail_in(database).insert_many(list(entries), session=session)


def find_trail(database: Db, alert_id: str) -> list[TrailDocument]:
    """Return the steps of an alert in their order, the first 1,000."""
    found = trail_in(database).find({"alert_id": alert_id})
    return list(found.sort([("at", 1), ("_id", 1)]).limit(LISTED))


def find_entries(
    database: Db,
    *,
    alert_id: str | None = None,
    by: str | None = None,
    step: AlertEvent | None = None,
    after: Position | None = None,
    limit: int,
) -> list[TrailDocument]:
    """Return steps of all alerts in the order NEWEST_FIRST, from the one after `after` on."""
    asked = {"alert_id": alert_id, "by": by, "step": step}
    query = {name: value for name, value in asked.items() if value is not None}
    return find_page(trail_in(database), query, NEWEST_FIRST, after=after, limit=limit)
