"""Exports."""

from typing import Literal

from pydantic import Field

from api.schemas.common import Interval, Market, Query, Time, WatchlistName
from market.exports.tables import PRICES

MOST_ROWS = 1_000_000
PriceField = Literal["open", "high", "low", "close", "volume"]


class ExportQuery(Query):
    """Of what, and in which form."""

    format: Literal["csv", "ndjson"] = "csv"
    tickers: str | None = Field(
        None, max_length=4_000, description="with commas between them", examples=["AAPL,MSFT"]
    )
    market: Market | None = None
    watchlist: WatchlistName | None = None
    interval: Interval = "1d"
    start: Time | None = Field(None, description="first time, inclusive")
    end: Time | None = Field(None, description="last time, inclusive")
    columns: str | None = Field(
        None, max_length=4_000, description="only these, with commas between them"
    )
    layout: Literal["long", "wide"] = Field(
        "long", description="`wide`: of bars a column a ticker, of analytics a column a metric"
    )
    field: PriceField = Field("close", description=f"of wide bars, one of {', '.join(PRICES)}")
    adjusted: bool = Field(
        default=False, description="bars adjusted for splits, not as they were quoted"
    )
