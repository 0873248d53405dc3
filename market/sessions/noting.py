"""Stores a market's sessions for the web process, which does not load the calendars."""

from datetime import datetime, timedelta

import numpy as np

from market.intervals import DAY_SECONDS
from market.markets import Market
from market.sessions.calendar import Sessions
from records.database import Db
from records.market.session_days import find_made_at, set_session_days

# Sessions since a last bar are counted up to so many days back. Calendars go on for a year from
# now.
NOTED_DAYS = 11 * 366
RENEWED_AFTER = timedelta(days=30)


def note_sessions(
    database: Db, market: Market, known: Sessions, now: datetime, *, again: bool = False
) -> None:
    """Store the sessions of a market, unless that was done lately; with `again`, in any case."""
    made_at = find_made_at(database, market.code)
    if made_at is not None and now - made_at < RENEWED_AFTER and not again:
        return
    first = int(np.searchsorted(known.days, now.timestamp() // DAY_SECONDS - NOTED_DAYS))
    days, opens, closes = (
        values[first:].tolist() for values in (known.days, known.opens, known.closes)
    )
    set_session_days(database, market.code, days=days, opens=opens, closes=closes, now=now)
