"""The actual sessions of a market: its exchange's calendar with the exceptions to it."""

from datetime import date

from market.markets import Market
from market.sessions.calendar import Override, Sessions, apply_overrides, load_sessions
from records.database import Db
from records.market import session_overrides


def find_sessions(database: Db, market: Market) -> Sessions:
    """Return all sessions of a market, with exceptions applied."""
    stored = session_overrides.find_overrides(database, market.code)
    overrides = [Override(date.fromisoformat(o["day"]), o["opens"], o["closes"]) for o in stored]
    return apply_overrides(load_sessions(market), overrides, market.calendar)
