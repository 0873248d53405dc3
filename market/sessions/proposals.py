"""Proposes sessions: days on which most of a market traded although its calendar says that it was
closed.

Bars of such days are rejected (`not_a_session`). A person decides whether to open the day; then the
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
# A series counts if it has bars within so many days of the day. The bar of the day itself was
# rejected, so it may not be the series' last bar.
ABOUT = timedelta(days=7)
LISTED = 50


class ProposedSession(TypedDict):
    """A day on which a market may have been open: how many tickers traded, of how many with bars
    around the day; and the market's usual hours in local time, None where no session is known.
    """

    day: str
    tickers: int
    of: int
    opens: str | None
    closes: str | None


def find_proposed_sessions(database: Db, market: Market) -> list[ProposedSession]:
    """Return, by day, the latest days on which most of a market traded although its calendar says
    that it was closed, without days for which an exception was set.
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
    """Return the hours of the last stored session of a market."""
    noted = find_session_days(database, [market.code]).get(market.code)
    if noted is None or not noted["opens"]:
        return None, None
    opens, closes = (
        f"{datetime.fromtimestamp(noted[edge][-1], market.zone):%H:%M}"
        for edge in ("opens", "closes")
    )
    return opens, closes
