"""Trades, depth and funding, in and out."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, FailFast, Field, RootModel, WithJsonSchema, field_validator

from api.schemas.common import (
    Body,
    Interval,
    Page,
    PageQuery,
    Query,
    Record,
    Ticker,
    Time,
    checked,
)
from core.words import RecordKind, Side
from market.ticks.checks import MOST_LEVELS, MOST_LEVELS_SENT
from market.ticks.fields import normalize_venue

MOST_RECORDS = 10_000
FORMAT = "`ccxt`: a list in the shapes of ccxt's unified API, in order of time"

Venue = Annotated[
    str,
    Field(min_length=1, max_length=20, examples=["BINANCE"]),
    checked(normalize_venue),
    WithJsonSchema(
        {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$", "examples": ["BINANCE"]}
    ),
]
# Values are checked record by record, so that a wrong one is rejected alone.
Cell = Annotated[str, Field(max_length=100)] | int | float | None
Level = Annotated[list[Cell], Field(min_length=2, max_length=4, examples=[[430.1, 2.5]])]
Levels = Annotated[list[Level], Field(max_length=MOST_LEVELS_SENT), FailFast()]


class SentTrade(Body):
    """A trade."""

    time: Cell = Field(
        None, description="ISO 8601, or seconds to nanoseconds since 1970", examples=[1767600000000]
    )
    id: Cell = Field(None, description="the venue's own", examples=["4711"])
    price: Cell = Field(None, examples=[431.25])
    amount: Cell = Field(None, examples=[0.5])
    side: Cell = Field(None, description="the taker's: buy or sell; else unknown", examples=["buy"])


class SentDepth(Body):
    """A snapshot of an order book."""

    time: Cell = Field(
        None, description="ISO 8601, or seconds to nanoseconds since 1970", examples=[1767600000000]
    )
    sequence: Cell = Field(None, description="of two of one time the higher one is later")
    bids: Levels = Field(default_factory=list, description="[price, amount], falling")
    asks: Levels = Field(default_factory=list, description="[price, amount], rising")


class SentFunding(Body):
    """A funding rate."""

    time: Cell = Field(None, examples=["2026-01-05T08:00:00Z"])
    rate: Cell = Field(None, description="0.0001 is one hundredth of a percent", examples=[0.0001])
    mark_price: Cell = None
    index_price: Cell = None
    next_time: Cell = None
    interval_hours: Cell = Field(None, examples=[8])


class _Sent(Body):
    ticker: Ticker
    venue: Venue


class TradesBody(_Sent):
    """Trades of one ticker at one venue."""

    trades: Annotated[list[SentTrade], Field(min_length=1, max_length=MOST_RECORDS), FailFast()]


class DepthBody(_Sent):
    """Snapshots of one order book."""

    depth: Annotated[list[SentDepth], Field(min_length=1, max_length=1_000), FailFast()]


class FundingBody(_Sent):
    """Funding rates of one ticker at one venue."""

    funding: Annotated[list[SentFunding], Field(min_length=1, max_length=MOST_RECORDS), FailFast()]


class RejectedPlace(Record):
    """Which record was kept aside, and why."""

    row: int = Field(description="its place in what was sent, from 1")
    reason: str = Field(description="a stable word", examples=["crossed_book"])


class TicksReport(Record):
    """What became of what was sent: each record was new, changed, unchanged or kept aside."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)

    kind: str
    ticker: str
    venue: str
    read: int
    new: int
    changed: int = Field(description="those that took the place of one with other values")
    unchanged: int = Field(
        description="those that were there; of depth also what another of its second is later than"
    )
    rejected_rows: int
    rejected: list[RejectedPlace] = Field(description="the first 1,000")


class TicksQuery(Query):
    """Of which ticker, at which venue, from when to when."""

    ticker: Ticker
    venue: Venue | None = Field(None, description="may be left out where there is one only")
    start: Time | None = Field(None, description="first time, inclusive")
    end: Time | None = Field(None, description="last time, inclusive")
    limit: int = Field(1_000, ge=1, le=MOST_RECORDS, description="how many at the most")
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before")
    sort_order: Literal["asc", "desc"] | None = Field(
        None, description="by time; none: `asc` from `start` on, else the newest first"
    )
    format: Literal["native", "ccxt"] = Field("native", description=FORMAT)

    @property
    def descending(self) -> bool:
        """Whether the newest come first."""
        return self.sort_order == "desc" or (self.sort_order is None and self.start is None)


class TradesQuery(TicksQuery):
    """Which trades, and whether they are wanted themselves."""

    bars: Interval | None = Field(
        None,
        description="added up to candles of this interval, in order of time unless `sort_order`"
        " is `desc`",
    )

    @field_validator("bars")
    @classmethod
    def _check_bars(cls, bars: str | None) -> str | None:
        if bars == "1w":
            raise ValueError("trades are added up to candles of a day at the most")
        return bars


class DepthQuery(TicksQuery):
    """Which snapshots, and how much of them."""

    at: Time | None = Field(None, description="only the latest at or before this time")
    levels: int = Field(MOST_LEVELS, ge=1, le=MOST_LEVELS, description="of each side, the best")


class ShownTrade(Record):
    """A trade."""

    time: datetime
    id: str
    price: float
    amount: float
    side: Side = Field(description="the taker's")


class TradePage(Page[ShownTrade]):
    """Trades of one ticker at one venue."""

    ticker: str
    venue: str


class ShownTradeCandle(Record):
    """A candle that trades were added up to."""

    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float = Field(description="the sum of price x amount")
    trades: int = Field(description="how many there were")


class TradeCandlePage(Page[ShownTradeCandle]):
    """Candles of trades; a stretch without trades has none."""

    ticker: str
    venue: str
    interval: str


class ShownDepth(Record):
    """A snapshot of an order book: the last of its second."""

    time: datetime
    sequence: int
    bids: list[tuple[float, float]] = Field(description="[price, amount], the best first")
    asks: list[tuple[float, float]]


class DepthPage(Page[ShownDepth]):
    """Snapshots of one order book."""

    ticker: str
    venue: str


class ShownFunding(Record):
    """A funding rate."""

    time: datetime
    rate: float
    mark_price: float | None
    index_price: float | None
    next_time: datetime | None
    interval_hours: float | None


class FundingPage(Page[ShownFunding]):
    """Funding rates of one ticker at one venue."""

    ticker: str
    venue: str


class CcxtObjects(RootModel[list[dict[str, Any]]]):
    """Trades or funding rates in ccxt's shapes."""


class CcxtCandles(RootModel[list[tuple[int, float, float, float, float, float]]]):
    """Candles in ccxt's shape: [milliseconds, open, high, low, close, volume].

    Its `iso8601()` reads whole numbers alone.
    """


class CcxtBook(RootModel[dict[str, Any]]):
    """An order book in ccxt's shape."""


class RejectedRecord(Record):
    """A record, or a message of the feed, that was kept aside."""

    id: str = Field(alias="_id")
    kind: str
    ticker: str
    venue: str
    row: int = Field(description="its place in what was sent, from 1")
    reason: str = Field(description="a stable word", examples=["crossed_book"])
    error: str | None = Field(None, description="why it could not be stored")
    content: str = Field(description="as it was sent; the beginning where that is long")
    source: str
    rejected_at: datetime


class RejectedRecordPage(Page[RejectedRecord]):
    """Records that were kept aside, the newest first."""


class RejectedRecordQuery(PageQuery):
    """Which of them."""

    kind: RecordKind | None = Field(None, description="records of what; a message is none at all")
    ticker: Ticker | None = None
    reason: str | None = Field(
        None, max_length=40, description="why they were kept aside, as records say it"
    )
