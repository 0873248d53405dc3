"""What a new calendar of a market would mean for the market's stored bars."""

from dataclasses import dataclass

from market.bars.ledger import read_times
from market.markets import Market
from market.sessions.calendar import find_closes
from market.sessions.overrides import find_sessions
from records.database import Db
from records.market.rejected import count_rejected
from records.market.series import find_series


@dataclass(frozen=True, slots=True)
class Touched:
    """How many series and bars a market has, and how many a new calendar would affect.

    Attributes:
        series, bars: how many are stored.
        outside: stored bars for which the new calendar has no session.
        rejected: rows that were rejected as `not_a_session`; imported again, those with a session
            in the new calendar are accepted.
    """

    series: int
    bars: int
    outside: int
    rejected: int

    def describe(self, code: str) -> str:
        """Return in words what a new calendar would say of a market's bars."""
        return (
            f"{code} has {self.series:,} series of {self.bars:,} bars; {self.outside:,} of these"
            f" lie outside the sessions of the new calendar. {self.rejected:,} rows were kept aside"
            " as outside those of the old one: what the new one has of them comes in when they are"
            " imported again"
        )


def count_touched(database: Db, code: str, market: Market) -> Touched:
    """Count the stored bars of market `code` that `market`, with its new calendar, would affect."""
    known = find_sessions(database, market)
    series = find_series(database, market=code)
    outside = 0
    for document in series:
        times = read_times(database, document)
        held, _ = find_closes(times, market, document["interval"], known)
        outside += int((~held).sum())
    tickers = [document["ticker"] for document in series]
    rejected = count_rejected(database, tickers, "not_a_session")
    return Touched(len(series), sum(document["bars"] for document in series), outside, rejected)
