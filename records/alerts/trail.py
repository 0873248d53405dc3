"""The audit trail: every step of an alert and every other change that people make, with who made
it and when.

Entries are never changed.
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
# An entry about a changed list names at most so many added items, and as many removed ones.
TOLD_ENTRIES = 100
SECRETS = frozenset({"channel", "next_channel", "secret"})

Written = TypeVar("Written")
Changes = dict[str, Any]
"""What a change does to each field."""


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
    """Return an entry, not yet written; `states` are the alert's states before and after."""
    return {
        **({"subject": subject} if subject else {}),  # type: ignore[typeddict-item]  # its own
        # ObjectIds count up, which orders the many entries that often have the same time.
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
    """Write entries inside the transaction of their steps."""
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
    """Return an entry about a change that is not a step of an alert, not yet written."""
    return build_entry(
        None, step, by=by, at=at, states=(None, None), details=details, subject=subject
    )


def write_noted(
    database: Db, change: Callable[[ClientSession], Written], entries: Sequence[TrailDocument]
) -> Written:
    """Make a change and write its entries in one transaction; return what `change` returned."""

    def write(session: ClientSession) -> Written:
        done = change(session)
        add_entries(database, entries, session)
        return done

    return in_transaction(database, write)


def compare(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Changes:
    """Return what a change does to each field that it changes: its value before and after, for a
    list what was added and removed, for a secret only that it was set or cleared.
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
    """Return entries in the order NEWEST_FIRST, from the one after `after` on."""
    query = match(alert_id=alert_id, by=by, step=step)
    return find_page(trail_in(database), query, NEWEST_FIRST, after=after, limit=limit)
