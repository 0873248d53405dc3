"""Markets."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from api.schemas.anomalies import BarConditions
from api.schemas.common import (
    KINDS,
    SCOPES,
    SEVERITIES,
    Body,
    IntervalQuery,
    Market,
    Page,
    PageQuery,
    Record,
    Ticker,
    WatchlistName,
)
from core.words import AnomalyKind, MoveScope, Severity


class MarketFields(Body):
    """What a market is."""

    name: str = Field("", max_length=80, description="for people", examples=["Sao Paulo"])
    calendar: str = Field(
        max_length=12, description="of exchange_calendars 4.13, or FX", examples=["BVMF", "24/7"]
    )
    timezone: str = Field(
        max_length=40, description="IANA name of its local time", examples=["America/Sao_Paulo"]
    )
    suffixes: list[str] = Field(
        min_length=1,
        max_length=50,
        description="how its tickers end; one without gets the first, which may be empty",
        examples=[[".SA"]],
    )
    aliases: list[str] = Field(
        default_factory=list,
        max_length=50,
        description="how vendors end them; read as the first suffix",
    )
    indices: list[Ticker] = Field(
        default_factory=list, max_length=100, description="tickers of its indices"
    )
    currency: str = Field(
        "", pattern=r"^([A-Za-z]{3})?$", description="of its prices", examples=["BRL"]
    )
    index_ticker: Ticker | None = Field(
        None, description="the index that stands for it", examples=["^BVSP"]
    )
    tick_delay_seconds: int = Field(
        900, ge=0, le=86_400, description="how long a bar may take to come in"
    )


class NewMarket(MarketFields):
    """A market to add."""

    code: Market


class ShownMarket(Record):
    """A market, and what is stored of it."""

    code: str = Field(examples=["US"])
    name: str
    calendar: str
    timezone: str
    suffixes: list[str]
    aliases: list[str]
    indices: list[str]
    currency: str
    index_ticker: str | None = None
    tick_delay_seconds: int
    series: int = Field(description="of how many tickers and intervals bars are stored")
    looked_at: int = Field(0, description="series that a detection has come to")
    up_to_date: int = Field(0, description="of these, those whose last bar was looked at")
    too_short: int = Field(
        0, description="series with fewer bars than their model needs for a first score"
    )
    missed: list[str] = Field(
        default_factory=list, description="intervals with series that no detection has come to"
    )
    behind: list[str] = Field(
        default_factory=list, description="intervals with series whose last bar was not looked at"
    )
    tickers: int = 0
    intervals: list[str] = Field(
        default_factory=list, description="of which bars are stored", examples=[["1d"]]
    )
    bars: int = 0
    first_bar: datetime | None = None
    last_bar: datetime | None = None
    synthetic: bool = Field(default=False, description="whether any of its bars were made up")


class MarketPage(Page[ShownMarket]):
    """Markets, by code."""


class MarketQuery(PageQuery):
    """Which markets are wanted."""


class TickerMarket(BaseModel):
    """Of which market a ticker was said to be."""

    ticker: str
    market: str


class FlaggedDayQuery(IntervalQuery):
    """Of which bars, of which tickers, and which anomalies count."""

    watchlist: WatchlistName | None = Field(None, description="only its tickers")
    severity: Severity | None = Field(None, description=SEVERITIES)
    kind: AnomalyKind | None = Field(None, description=KINDS)
    scope: MoveScope | None = Field(None, description=SCOPES)


class SectorDay(Record):
    """How many tickers of a sector were flagged, and which."""

    sector: str | None = Field(description="null: nobody said of which sector they are")
    flagged: int = Field(examples=[3])
    of: int = Field(examples=[5])
    tickers: list[str] = Field(description="those that were flagged, at most 500")


class FlaggedDay(Record):
    """A day seen across its market: how many of its tickers were flagged, and of which sectors."""

    market: str = Field(examples=["US"])
    interval: str = Field(examples=["1d"])
    day: date = Field(examples=["2001-09-17"])
    flagged: int = Field(description="tickers with an anomaly on this day", examples=[6])
    of: int = Field(description="tickers whose bars reach over it", examples=[39])
    by_sector: list[SectorDay] = Field(description="the largest share first")
    previous: date | None = Field(description="the last day before on which any was flagged")
    next: date | None = Field(description="the first day after")
    conditions: BarConditions | None = Field(
        description="what the market was like; null where it was not computed at this very bar"
    )
