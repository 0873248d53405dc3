"""Mutes: alerts that are expected for a while, of which nobody is to be told. A mute has an end and
counts the alerts that it silenced; mutes can be listed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypedDict
from uuid import uuid4

from pymongo import DESCENDING
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from core.errors import BadInput, Conflict, NotFound
from core.words import Direction, MoveScope
from records.alerts.documents import AlertDocument
from records.alerts.trail import add_entries, build_entry
from records.database import Db, Query, in_transaction
from records.keyset import Key, Keyset, Position, find_page

NEWEST_FIRST = Keyset((Key("created_at", datetime, DESCENDING), Key("_id", str)))
LONGEST = timedelta(days=90)
MOST_AT_ONCE = 1_000


class MuteScope(TypedDict):
    """Which alerts a mute silences: those with all of these values; None stands for any value."""

    watchlist: str | None
    ticker: str | None
    market: str | None
    interval: str | None
    direction: Direction | None
    scope: MoveScope | None


class MuteDocument(MuteScope):
    """A mute.

    Attributes:
        until: its end. A user may end it earlier, at `ended_at`.
        alert_id: the alert from which a user made it, if any.
        silenced, last_silenced_at: how many alerts it has silenced (they are resolved when they are
            raised), and when it last did.
    """

    _id: str
    until: datetime
    reason: str
    alert_id: str | None
    created_by: str
    created_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    silenced: int
    last_silenced_at: datetime | None


def mutes_in(database: Db) -> Collection[MuteDocument]:
    """Return the collection of mutes."""
    return database.mutes


def add_mute(
    database: Db,
    what: MuteScope,
    *,
    until: datetime,
    reason: str,
    by: str,
    now: datetime,
    alert_id: str | None = None,
    session: ClientSession | None = None,
) -> MuteDocument:
    """Store a mute and its entry in the audit trail; return the mute.

    Raises BadInput where it names no ticker, watchlist or market, does not end within 90 days, or
    where too many mutes are in force.
    """
    if not any(what[name] for name in ("ticker", "watchlist", "market")):
        raise BadInput("a mute needs a ticker, a watchlist or a market: name at least one")
    if not now < until <= now + LONGEST:
        raise BadInput(
            f"a mute must end after now and within {LONGEST.days} days: {until:%Y-%m-%d %H:%M} is"
            " too early or too late. It can be made again when it has ended."
        )
    mute: MuteDocument = {
        **what,
        "_id": uuid4().hex,
        "until": until,
        "reason": reason,
        "alert_id": alert_id,
        "created_by": by,
        "created_at": now,
        "ended_at": None,
        "ended_by": None,
        "silenced": 0,
        "last_silenced_at": None,
    }

    def write(session: ClientSession) -> None:
        active = mutes_in(database).count_documents(build_active(now), session=session)
        if active >= MOST_AT_ONCE:
            raise BadInput(f"{active} mutes are in force, which is the limit: end some of them")
        mutes_in(database).insert_one(mute, session=session)
        _note(database, mute, "mute", by, now, session)

    if session is not None:
        write(session)
    else:
        in_transaction(database, write)
    return mute


def end_mute(database: Db, mute_id: str, *, by: str, now: datetime) -> MuteDocument:
    """End a mute now. Raises NotFound; Conflict where it has ended already."""

    def write(session: ClientSession) -> MuteDocument:
        mute = mutes_in(database).find_one({"_id": mute_id}, session=session)
        if mute is None:
            raise NotFound(f"there is no mute {mute_id[:40]!r}; `flask alerts mutes` lists them")
        end = mute["ended_at"] or mute["until"]
        if end <= now:
            raise Conflict(
                f"this mute ended at {end:%Y-%m-%d %H:%M} UTC", reason="wrong_step", state="ended"
            )
        ended: MuteDocument = {**mute, "ended_at": now, "ended_by": by}
        changes = {"$set": {"ended_at": now, "ended_by": by}}
        mutes_in(database).update_one({"_id": mute_id}, changes, session=session)
        _note(database, ended, "unmute", by, now, session)
        return ended

    return in_transaction(database, write)


def build_active(now: datetime) -> Query:
    """Return the query of the mutes that are in force."""
    return {"ended_at": None, "until": {"$gt": now}}


def find_active(database: Db, now: datetime, session: ClientSession) -> list[MuteDocument]:
    """Return the mutes in force, the oldest first."""
    return list(mutes_in(database).find(build_active(now), session=session).sort("created_at", 1))


def find_mutes(
    database: Db,
    *,
    now: datetime,
    active: bool | None,
    ticker: str | None = None,
    after: Position | None = None,
    limit: int = 0,
) -> list[MuteDocument]:
    """Return mutes in the order NEWEST_FIRST: those in force (`active` of True), those that have
    ended (False), or both (None).

    A `limit` of 0 is none.
    """
    query = {} if active is None else build_active(now) if active else {"$nor": [build_active(now)]}
    if ticker is not None:
        query = {**query, "ticker": ticker}
    return find_page(mutes_in(database), query, NEWEST_FIRST, after=after, limit=limit)


def matches(mute: MuteScope, alert: AlertDocument) -> bool:
    """Return whether a mute silences an alert."""
    has = {
        "watchlist": alert["watchlist"],
        "ticker": alert["entity_id"],
        "market": alert["market"],
        "interval": alert["interval"],
        "direction": alert["direction"],
        "scope": alert["scope"],
    }
    return all(mute[name] in {None, value} for name, value in has.items())  # type: ignore[literal-required]  # its own


def count_silenced(
    database: Db, mute_ids: Sequence[str], now: datetime, session: ClientSession
) -> None:
    """Add a silenced alert to each of these mutes; a mute that is named twice gets two."""
    for mute_id in set(mute_ids):
        count = {"$inc": {"silenced": mute_ids.count(mute_id)}, "$set": {"last_silenced_at": now}}
        mutes_in(database).update_one({"_id": mute_id}, count, session=session)


def describe_mute(mute: MuteScope) -> str:
    """Return in words which alerts a mute silences."""
    parts = [mute["scope"] and f"{mute['scope']} moves", mute["direction"], mute["interval"]]
    named = [mute["ticker"], mute["market"] and f"market {mute['market']}"]
    named.append(mute["watchlist"] and f"watchlist {mute['watchlist']}")
    return ", ".join(part for part in [*named, *parts] if part)


def _note(
    database: Db, mute: MuteDocument, step: str, by: str, now: datetime, session: ClientSession
) -> None:
    details = {"until": mute["until"], "reason": mute["reason"], "mute": mute["_id"]}
    entry = build_entry(
        mute["alert_id"],
        step,  # type: ignore[arg-type]  # one of the words
        by=by,
        at=now,
        states=(None, None),
        details=details,
        subject=describe_mute(mute),
    )
    add_entries(database, [entry], session)
