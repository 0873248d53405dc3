"""The sessions of a market as they are: its exchange's calendar, with what was announced of single days."""

from datetime import date

from detection.bars.markets import Market
from detection.bars.sessions import Override, Sessions, apply_overrides, load_sessions
from detection.records import session_overrides
from detection.records.database import Db


def find_sessions(database: Db, market: Market) -> Sessions:
    """Return all sessions of a market, those that were overridden among them."""
    stored = session_overrides.find_overrides(database, market.code)
    overrides = [Override(date.fromisoformat(o["day"]), o["opens"], o["closes"]) for o in stored]
    return apply_overrides(load_sessions(market), overrides)
