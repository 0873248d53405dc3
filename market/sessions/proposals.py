"""Days on which an exchange's calendar must be wrong: most of its market traded, and the calendar
calls them closed.

Bars of such days are kept aside (`not_a_session`). Opening the day is for a person to do; then the
bars can be imported again.
"""

from datetime import UTC, datetime, timedelta
from typing import TypedDict

from market.markets import Market
from records.database import Db
from records.market.rejected import find_outside_sessions
from records.market.series import find_reaching, find_tickers
from records.market.session_days import find_session_days
from records.market.session_overrides import find_overrides

INTERVAL = "1d"
LEAST_TICKERS = 3
# A series whose last bar is that day's does not reach so far: the bar was kept aside.
ABOUT = timedelta(days=7)
LISTED = 50


class ProposedSession(TypedDict):
    """A day that a market may have been open on: how many of its tickers traded, of how many that
    have bars around it; and its usual hours, in its own time, None where no session is known.
    """

    day: str
    tickers: int
    of: int
    opens: str | None
    closes: str | None


def find_proposed_sessions(database: Db, market: Market) -> list[ProposedSession]:
    """Return the latest days on which most of a market traded though its calendar calls them
    closed, by day; those of which somebody said something are left out.
    """
    tickers = find_tickers(database, INTERVAL, market=market.code)
    traded = find_outside_sessions(database, tickers, INTERVAL, LEAST_TICKERS)
    said = {override["day"] for override in find_overrides(database, market.code)}
    opens, closes = _find_usual_hours(database, market)
    proposed: list[ProposedSession] = []
    for day in sorted(traded.keys() - said)[-LISTED:]:
        last = datetime.fromisoformat(day).replace(tzinfo=UTC)
        around = find_reaching(database, market.code, INTERVAL, last - ABOUT, last)
        count = len(set(traded[day]) & set(around))
        if count >= LEAST_TICKERS and 2 * count > len(around):
            proposed.append(
                {
                    "day": day,
                    "tickers": count,
                    "of": len(around),
                    "opens": opens,
                    "closes": closes,
                }
            )
    return proposed


def _find_usual_hours(database: Db, market: Market) -> tuple[str | None, str | None]:
    """Return the hours of the last session that was noted of a market."""
    noted = find_session_days(database, [market.code]).get(market.code)
    if noted is None or not noted["opens"]:
        return None, None
    opens, closes = (
        f"{datetime.fromtimestamp(noted[edge][-1], market.zone):%H:%M}"
        for edge in ("opens", "closes")
    )
    return opens, closes
