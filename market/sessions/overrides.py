"""The sessions of a market as they are: its exchange's calendar,
with what was announced of single days.
"""

from datetime import date

from market.markets import Market
from market.sessions.calendar import Override, Sessions, apply_overrides, load_sessions
from records.database import Db
from records.market import session_overrides


def find_sessions(database: Db, market: Market) -> Sessions:
    """Return all sessions of a market, those that were overridden among them."""
    stored = session_overrides.find_overrides(database, market.code)
    overrides = [Override(date.fromisoformat(o["day"]), o["opens"], o["closes"]) for o in stored]
    return apply_overrides(load_sessions(market), overrides)
