"""The sessions of each market around today,
for whoever counts them without an exchange's calendar at hand.

Made by what has the calendars loaded: imports, and the commands that change sessions.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from records.database import Db, Query
from records.market.documents import SessionDaysDocument, session_days_in
from records.questions import Question, ask

# Markets whose sessions of eleven years, some 100 kB each, a process keeps.
MOST_KEPT = 64


def find_session_days(
    database: Db, markets: Sequence[str] | None = None
) -> dict[str, SessionDaysDocument]:
    """Return {days, opens, closes} of markets by code:
    days since 1970 and UTC seconds, ascending.
    """
    query: dict[str, object] = {} if markets is None else {"_id": {"$in": list(markets)}}
    return {found["_id"]: found for found in session_days_in(database).find(query)}


def find_sessions(
    database: Db, market: str, made_at: datetime | None
) -> SessionDaysDocument | None:
    """Return the sessions of one market, which this process reads once until they are made anew.

    `made_at` is the answer to `ask_made_at`.
    """
    return None if made_at is None else _read(database, market, made_at)


@lru_cache(maxsize=MOST_KEPT)
def _read(database: Db, market: str, _made_at: datetime) -> SessionDaysDocument | None:
    return find_session_days(database, [market]).get(market)


def find_made_at(database: Db, market: str) -> datetime | None:
    """Return when the sessions of a market were noted, or None."""
    made_at = ask_made_at(database, market)
    ask(database, made_at)
    return made_at.answer


def ask_made_at(database: Db, market: str) -> Question[datetime | None]:
    """Ask for what `find_made_at` returns, for a reader that asks other questions at once."""
    stages: list[Query] = [{"$match": {"_id": market}}, {"$project": {"made_at": 1}}]
    return Question(
        session_days_in(database), stages, lambda found: found[0]["made_at"] if found else None
    )


def set_session_days(
    database: Db,
    market: str,
    *,
    days: Sequence[int],
    opens: Sequence[int],
    closes: Sequence[int],
    now: datetime,
) -> None:
    """Note the sessions of a market."""
    document: SessionDaysDocument = {
        "_id": market,
        "days": list(days),
        "opens": list(opens),
        "closes": list(closes),
        "made_at": now,
    }
    session_days_in(database).replace_one({"_id": market}, document, upsert=True)
