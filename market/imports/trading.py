"""Tells whether a market traded in sessions of which a source has no bars."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from market.intervals import day_of
from records.database import Db
from records.market.documents import GapDocument
from records.market.gaps import find_empty_days
from records.market.series import find_market_ends

TRADED_SHARE = 0.9


def find_source_empty(database: Db, interval: str, gaps: Sequence[GapDocument]) -> set[str]:
    """Return the gaps whose empty sessions were all traded by other tickers of the market.

    A session was traded where nine in ten of the market's other series that span it have bars.
    """
    found: set[str] = set()
    for market in {gap["market"] for gap in gaps}:
        found |= _find_empty(
            database, market, interval, [gap for gap in gaps if gap["market"] == market]
        )
    return found


def _find_empty(database: Db, market: str, interval: str, gaps: Sequence[GapDocument]) -> set[str]:
    ends = find_market_ends(database, market, interval)
    firsts = sorted(day_of(end["first_bar"]) for end in ends)
    lasts = sorted(day_of(end["last_bar"]) for end in ends)
    lacking: dict[int, int] = {}
    beside = find_empty_days(
        database,
        market,
        interval,
        min(gap["first"] for gap in gaps),
        max(gap["last"] for gap in gaps),
    )
    for gap in beside:
        for day in gap["empty"]:
            lacking[day] = lacking.get(day, 0) + 1

    def has_traded(day: int) -> bool:
        others = bisect_right(firsts, day) - bisect_left(lasts, day) - 1
        # One of the series that lack the session is the gap's own.
        return others > 0 and (others - lacking.get(day, 1) + 1) / others >= TRADED_SHARE

    return {gap["_id"] for gap in gaps if gap["empty"] and all(map(has_traded, gap["empty"]))}
