"""The audit trail: every step of an alert, and what else people change; who did, and when.

Nothing of it is ever changed.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from bson import ObjectId
from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from core.words import AlertEvent, AlertState
from records.alerts.documents import TrailDocument, trail_in
from records.database import Db, in_transaction, match
from records.keyset import Key, Keyset, Position, find_page

NEWEST_FIRST = Keyset((Key("at", datetime, DESCENDING), Key("_id", str)))
# Of a list that a person changes so many entries are told that came, and that went.
TOLD_ENTRIES = 100
SECRETS = frozenset({"channel", "next_channel", "secret"})

Written = TypeVar("Written")
Changes = dict[str, Any]
"""What a change comes to, by field."""


def build_entry(
    alert_id: str | None,
    step: AlertEvent,
    *,
    by: str,
    at: datetime,
    states: tuple[AlertState | None, AlertState | None],
    details: Mapping[str, Any] | None,
    subject: str | None = None,
) -> TrailDocument:
    """Return an entry, not yet written; `states` are those before and after."""
    return {
        **({"subject": subject} if subject else {}),  # type: ignore[typeddict-item]  # its own
        # They count up, as many steps are often of one moment.
        "_id": str(ObjectId()),
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


def build_note(
    step: AlertEvent,
    subject: str,
    *,
    by: str,
    at: datetime,
    details: Mapping[str, Any] | None,
) -> TrailDocument:
    """Return an entry of what a person changes beside alerts, not yet written."""
    return build_entry(
        None, step, by=by, at=at, states=(None, None), details=details, subject=subject
    )


def write_noted(
    database: Db, change: Callable[[ClientSession], Written], entries: Sequence[TrailDocument]
) -> Written:
    """Make a change and write its entries, all or nothing; return what the change did."""

    def write(session: ClientSession) -> Written:
        done = change(session)
        add_entries(database, entries, session)
        return done

    return in_transaction(database, write)


def compare(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Changes:
    """Return what a change comes to, by field: its value before and after, of a list what came and
    went, and of what is secret only that it changes.
    """
    held = before or {}
    return {
        name: _tell(name, held.get(name), value)
        for name, value in after.items()
        if _to_list(held.get(name)) != _to_list(value)
    }


def _to_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tell(name: str, before: Any, after: Any) -> Any:
    if name in SECRETS:
        return "cleared" if after is None else "set"
    if isinstance(after, list | tuple):
        held, wanted = dict.fromkeys(before or ()), dict.fromkeys(after)
        came = [each for each in wanted if each not in held]
        went = [each for each in held if each not in wanted]
        return {"added": came[:TOLD_ENTRIES], "removed": went[:TOLD_ENTRIES]}
    return {"before": before, "after": after}


def find_trail(database: Db, alert_id: str) -> list[TrailDocument]:
    """Return all steps of an alert in their order."""
    return list(trail_in(database).find({"alert_id": alert_id}).sort([("at", 1), ("_id", 1)]))


def find_entries(
    database: Db,
    *,
    alert_id: str | None,
    by: str | None = None,
    step: AlertEvent | None = None,
    after: Position | None = None,
    limit: int,
) -> list[TrailDocument]:
    """Return steps of all alerts in the order NEWEST_FIRST, from the one after `after` on."""
    query = match(alert_id=alert_id, by=by, step=step)
    return find_page(trail_in(database), query, NEWEST_FIRST, after=after, limit=limit)
