"""Trades: a document (chunk) has at most a thousand trades of one ticker, venue and hour.

Venue, time and id identify a ticker's trade. Trades that come in order are appended to the last
chunk; others are merged into the chunks whose time they fall into.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession

from records.database import Db, Query, among, between, match
from records.ticks.chunks import HOUR, MOST, Trade, join, pack, place_of, unpack
from records.ticks.documents import TradeChunkDocument, trade_series_in, trades_in

Place = tuple[int, int, str]
Series = tuple[str, str]
"""Ticker and venue."""


class Stored(NamedTuple):
    """How many records were new, changed a stored record, or were stored already."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0

    def plus(self, other: "Stored") -> "Stored":
        """Return the sums with another."""
        return Stored(*(mine + its for mine, its in zip(self, other, strict=True)))


@dataclass(slots=True)
class _Hour:
    """The new trades of one hour of a series, and the stored chunks that they may change."""

    ticker: str
    venue: str
    hour: int
    trades: list[Trade] = field(default_factory=list)
    chunks: list[TradeChunkDocument] = field(default_factory=list)


def write_trades(
    database: Db,
    arrived: Mapping[Series, Sequence[Trade]],
    *,
    expires_at: datetime,
    session: ClientSession,
) -> Stored:
    """Store trades of any number of series inside a transaction, each once.

    A trade that comes again with other values replaces the stored one.
    """
    arrived = {series: trades for series, trades in arrived.items() if trades}
    if not arrived:
        return Stored()
    touched = [
        UpdateOne(
            {"_id": "::".join(series)},
            {
                "$set": {"ticker": series[0], "venue": series[1], "expires_at": expires_at},
                "$max": {"last": max(trade.time for trade in trades)},
                "$inc": {"version": 1},
            },
            upsert=True,
        )
        for series, trades in arrived.items()
    ]
    trade_series_in(database).bulk_write(touched, ordered=False, session=session)
    hours = _split_hours(arrived)
    wanted = [_build_wanted(hour) for hour in hours.values()]
    for chunk in trades_in(database).find({"$or": wanted}, session=session):
        hours[chunk["ticker"], chunk["venue"], chunk["hour"]].chunks.append(chunk)
    stored, writes = Stored(), []
    for hour in hours.values():
        counts, changed = _merge(hour, expires_at)
        stored = stored.plus(counts)
        writes += changed
    if writes:
        trades_in(database).bulk_write(writes, ordered=False, session=session)
    return stored


def _split_hours(
    arrived: Mapping[Series, Sequence[Trade]],
) -> dict[tuple[str, str, int], _Hour]:
    hours: dict[tuple[str, str, int], _Hour] = {}
    for (ticker, venue), trades in arrived.items():
        by_hour: defaultdict[int, list[Trade]] = defaultdict(list)
        for trade in trades:
            by_hour[trade.time // HOUR].append(trade)
        for number, of_hour in by_hour.items():
            # Of a trade that was sent twice, the later record counts.
            once = {(trade.time, trade.id): trade for trade in of_hour}
            ordered = sorted(once.values(), key=place_of)
            hours[ticker, venue, number] = _Hour(ticker, venue, number, ordered)
    return hours


def _build_wanted(hour: _Hour) -> Query:
    """Return the query of the chunks that the trades fall into, and of those with room for more."""
    reached = {"last": {"$gte": hour.trades[0].time}, "first": {"$lte": hour.trades[-1].time}}
    series = {"ticker": hour.ticker, "venue": hour.venue, "hour": hour.hour}
    return {**series, "$or": [reached, {"open": True}]}


def _merge(hour: _Hour, expires_at: datetime) -> tuple[Stored, list[Any]]:
    first, last = hour.trades[0].time, hour.trades[-1].time
    reached = [c for c in hour.chunks if c["last"] >= first and c["first"] <= last]
    before = max(
        (c for c in hour.chunks if c["last"] < first and c["open"]),
        key=lambda chunk: chunk["last"],
        default=None,
    )
    if not reached and before is not None and before["count"] + len(hour.trades) <= MOST:
        columns = join(before, pack(hour.trades))
        count = before["count"] + len(hour.trades)
        grown = before | columns | _describe(before["first"], last, count, expires_at)
        return Stored(new=len(hour.trades)), [ReplaceOne({"_id": before["_id"]}, grown)]
    touched = [*reached, *([before] if before is not None else [])]
    known = {(t.time, t.id): t for chunk in touched for t in unpack(chunk)}
    counts = [(known.get((t.time, t.id)), t) for t in hour.trades]
    stored = Stored(
        new=sum(old is None for old, _ in counts),
        changed=sum(old is not None and old != trade for old, trade in counts),
        unchanged=sum(old == trade for old, trade in counts),
    )
    if not stored.new and not stored.changed:
        return stored, []
    known |= {(t.time, t.id): t for t in hour.trades}
    ordered = sorted(known.values(), key=place_of)
    writes: list[Any] = [DeleteOne({"_id": chunk["_id"]}) for chunk in touched]
    for start in range(0, len(ordered), MOST):
        part = ordered[start : start + MOST]
        chunk: Any = {
            "_id": str(ObjectId()),
            "ticker": hour.ticker,
            "venue": hour.venue,
            "hour": hour.hour,
            **pack(part),
            **_describe(part[0].time, part[-1].time, len(part), expires_at),
        }
        writes.append(InsertOne(chunk))
    return stored, writes


def _describe(first: int, last: int, count: int, expires_at: datetime) -> dict[str, Any]:
    return {
        "first": first,
        "last": last,
        "count": count,
        "open": count < MOST,
        "expires_at": expires_at,
    }


def find_trades(
    database: Db,
    ticker: str,
    venue: str,
    *,
    start: int | None = None,
    end: int | None = None,
    after: Place | None = None,
    descending: bool = False,
) -> Iterator[Trade]:
    """Yield the trades of a series from `start` to `end` (microseconds, both inclusive), in order,
    from the one after `after` on.
    """
    if after is not None and descending:
        end = after[0] if end is None else min(end, after[0])
    elif after is not None:
        start = after[0] if start is None else max(start, after[0])
    query = match(ticker=ticker, venue=venue, first=between(None, end), last=between(start, None))
    direction = -1 if descending else 1
    order = [("first", direction), ("last", direction)]
    for chunk in trades_in(database).find(query).sort(order).batch_size(50):
        trades = list(unpack(chunk))
        for trade in reversed(trades) if descending else trades:
            if (start is not None and trade.time < start) or (end is not None and trade.time > end):
                continue
            if after is not None and (
                place_of(trade) >= after if descending else place_of(trade) <= after
            ):
                continue
            yield trade


def find_venues(database: Db, ticker: str) -> list[str]:
    """Return the venues with trades of a ticker, in order."""
    return sorted(s["venue"] for s in trade_series_in(database).find({"ticker": ticker}))


def find_trade_series(database: Db, tickers: Sequence[str] | None = None) -> list[Series]:
    """Return the (ticker, venue) pairs with trades, in order."""
    query = match(ticker=among(tickers))
    return sorted((s["ticker"], s["venue"]) for s in trade_series_in(database).find(query))


def read_chunks(
    database: Db, ticker: str, venue: str, *, start: int, end: int
) -> Iterator[TradeChunkDocument]:
    """Yield, in order, the chunks of a series that have trades from `start` to `end`
    (microseconds); they may have other trades, too.
    """
    query = {"ticker": ticker, "venue": venue, "last": {"$gte": start}, "first": {"$lte": end}}
    yield from trades_in(database).find(query).sort([("first", 1), ("last", 1)]).batch_size(200)


def count_trades(
    database: Db, series: Sequence[Series], *, start: int | None, end: int | None
) -> int:
    """Return an upper bound of the number of trades of some series from `start` to `end`: the
    trades of all chunks that overlap this stretch.
    """
    if not series:
        return 0
    whose = [{"ticker": ticker, "venue": venue} for ticker, venue in series]
    query = {"$or": whose, **match(first=between(None, end), last=between(start, None))}
    total = {"$group": {"_id": None, "count": {"$sum": "$count"}}}
    return sum(one["count"] for one in trades_in(database).aggregate([{"$match": query}, total]))
