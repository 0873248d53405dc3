"""What the documents of trades, depth and funding look like, and their collections.

Times are whole microseconds since 1970 (UTC): MongoDB's own dates end at milliseconds.
"""

from datetime import datetime
from typing import NotRequired, TypedDict

from pymongo.collection import Collection

from core.words import RecordKind
from records.database import Db


class TradeColumns(TypedDict):
    """Trades as columns: `times` of little-endian 64-bit integers, `prices` and `amounts` of
    64-bit floats, `sides` of one letter each (b, s, u), `ids` of lines.
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
        open: whether there is room in it.
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
    """The trades of one ticker and venue; `version` rises with each write, so that of two writers
    at once one waits for the other.
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
    """One funding rate; it is paid once in `interval_hours`, next at `next_time`."""

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
    """A record, or a whole message, that was kept aside.

    Attributes:
        row: its place in what was sent, from 1.
        error: why it could not be stored, where the reason alone does not tell.
        content: as it was sent, in JSON; the beginning where that is long.
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
    """Return the collection that says of which tickers and venues there are trades."""
    return database.trade_series


def depth_in(database: Db) -> Collection[DepthDocument]:
    """Return the collection of depth snapshots."""
    return database.depth


def funding_in(database: Db) -> Collection[FundingDocument]:
    """Return the collection of funding rates."""
    return database.funding


def rejected_records_in(database: Db) -> Collection[RejectedRecordDocument]:
    """Return the collection of records that were kept aside."""
    return database.rejected_records
