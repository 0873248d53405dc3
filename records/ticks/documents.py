"""The documents and collections of trades, depth and funding.

Times are whole microseconds since 1970 (UTC), as MongoDB's own dates have only milliseconds.
"""

from datetime import datetime
from typing import NotRequired, TypedDict

from pymongo.collection import Collection

from core.words import RecordKind
from records.database import Db


class TradeColumns(TypedDict):
    """Trades as columns: `times` are little-endian 64-bit integers, `prices` and `amounts`
    little-endian 64-bit floats, `sides` one letter (b, s, u) each, `ids` one line each.
    """

    times: bytes
    prices: bytes
    amounts: bytes
    sides: bytes
    ids: str


class TradeChunkDocument(TradeColumns):
    """Neighbouring trades of one ticker, venue and hour, in the order of time and id.

    Attributes:
        hour: in hours since 1970.
        first, last: times of its first and last trade.
        open: whether it has room for more trades.
        expires_at: when MongoDB deletes it.
    """

    _id: str
    ticker: str
    venue: str
    hour: int
    first: int
    last: int
    count: int
    open: bool
    expires_at: datetime


class TradeSeriesDocument(TypedDict):
    """Says that there are trades of a ticker and venue. Each write raises `version`, so that two
    writers at once conflict, and one waits for the other.
    """

    _id: str
    ticker: str
    venue: str
    last: int
    version: int
    expires_at: datetime


class DepthDocument(TypedDict):
    """The last snapshot of a second; `bids` and `asks` are little-endian 64-bit floats, price and
    amount in turn, the best first.
    """

    _id: str
    ticker: str
    venue: str
    time: int
    sequence: int
    bids: bytes
    asks: bytes
    expires_at: datetime


class FundingFields(TypedDict):
    """One funding rate, paid every `interval_hours` and next at `next_time`."""

    time: int
    rate: float
    mark_price: float | None
    index_price: float | None
    next_time: int | None
    interval_hours: float | None


class FundingDocument(FundingFields):
    """A funding rate of a ticker at a venue."""

    _id: str
    ticker: str
    venue: str


class RejectedRecordDocument(TypedDict):
    """A record, or a whole message, that was rejected.

    Attributes:
        row: its place among the records that were sent together, from 1.
        error: why it could not be stored, where the reason alone does not tell.
        content: the record as it was sent, as JSON; only the beginning of a long one.
    """

    _id: str
    kind: RecordKind
    ticker: str
    venue: str
    row: int
    reason: str
    error: NotRequired[str]
    content: str
    source: str
    rejected_at: datetime


def trades_in(database: Db) -> Collection[TradeChunkDocument]:
    """Return the collection of trades."""
    return database.trades


def trade_series_in(database: Db) -> Collection[TradeSeriesDocument]:
    """Return the collection that says which tickers and venues have trades."""
    return database.trade_series


def depth_in(database: Db) -> Collection[DepthDocument]:
    """Return the collection of depth snapshots."""
    return database.depth


def funding_in(database: Db) -> Collection[FundingDocument]:
    """Return the collection of funding rates."""
    return database.funding


def rejected_records_in(database: Db) -> Collection[RejectedRecordDocument]:
    """Return the collection of rejected records."""
    return database.rejected_records
