"""What a detection is asked for."""

from typing import Annotated

from pydantic import Field

from api.schemas.common import Body, Interval, Market, Period, Ticker, WatchlistName
from tasks.requests.selection import Selection

MAX_TICKERS = 10_000


class SelectionBody(Body):
    """Exactly one of ticker, tickers, watchlist and market."""

    ticker: Ticker | None = None
    tickers: Annotated[list[Ticker], Field(min_length=1, max_length=MAX_TICKERS)] | None = None
    watchlist: WatchlistName | None = None
    market: Market | None = Field(None, description="all its series of the interval")
    interval: Interval = "1d"

    def select(self) -> Selection:
        """Return the selection. Raises BadInput where nothing, or too much, is named."""
        named = () if self.ticker is None else (self.ticker,)
        return Selection((*named, *(self.tickers or ())), self.market, self.watchlist)


class BackfillBody(SelectionBody):
    """A backfill: the last five years or what `max_period` says,
    scored by the champion model of each market.
    """

    max_period: Period = Field(
        "5y", description="how far back from the last stored bar; `max` for everything"
    )
    force: bool = Field(
        default=False, description="cancel a backfill of these series that is in the way"
    )
    raise_alerts: bool = Field(
        default=False, description="have what is found new become alerts, as a scan's does"
    )
    walk_forward: bool = Field(
        default=False,
        description=(
            "score each stretch with the latest model that had not seen it, not the champion"
        ),
    )
