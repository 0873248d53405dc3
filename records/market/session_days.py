"""The sessions of each market around today, for processes that have not loaded the exchange
calendars.

Processes with loaded calendars write them: imports, and the commands that change sessions.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from records.database import Db, Query
from records.market.documents import SessionDaysDocument, session_days_in
from records.questions import Question, ask

# A process keeps the sessions of at most so many markets: of eleven years each, some 100 kB.
MOST_KEPT = 64


def find_session_days(
    database: Db, markets: Sequence[str] | None = None
) -> dict[str, SessionDaysDocument]:
    """Return the sessions of markets by code, ascending: `days` are days since 1970, `opens` and
    `closes` UTC seconds. `markets` of None are all.
    """
    query: dict[str, object] = {} if markets is None else {"_id": {"$in": list(markets)}}
    return {found["_id"]: found for found in session_days_in(database).find(query)}


def find_sessions(
    database: Db, market: str, made_at: datetime | None
) -> SessionDaysDocument | None:
    """Return the sessions of one market, which this process reads again only after a change.

    `made_at` is the answer to `ask_made_at`.
    """
    return None if made_at is None else _read(database, market, made_at)


@lru_cache(maxsize=MOST_KEPT)
def _read(database: Db, market: str, _made_at: datetime) -> SessionDaysDocument | None:
    return find_session_days(database, [market]).get(market)


def find_made_at(database: Db, market: str) -> datetime | None:
    """Return when the sessions of a market were stored, or None."""
    made_at = ask_made_at(database, market)
    ask(database, made_at)
    return made_at.answer


def ask_made_at(database: Db, market: str) -> Question[datetime | None]:
    """Ask for what `find_made_at` returns, in one query with a reader's other questions."""
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
    """Store the sessions of a market: `days` since 1970, `opens` and `closes` in UTC seconds."""
    document: SessionDaysDocument = {
        "_id": market,
        "days": list(days),
        "opens": list(opens),
        "closes": list(closes),
        "made_at": now,
    }
    session_days_in(database).replace_one({"_id": market}, document, upsert=True)
