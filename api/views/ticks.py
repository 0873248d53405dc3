"""Trades, depth and funding: pushed and read back; which records were kept aside."""

from collections.abc import Callable, Sequence
from itertools import islice
from threading import BoundedSemaphore
from typing import Any

from apiflask import APIBlueprint
from flask import Response
from pydantic import BaseModel

from api.http.auth import get_client
from api.http.bodies import MIB, takes_body
from api.http.idempotency import Answers
from api.http.openapi import describe_json
from api.http.paging import Listed, ask_page, build_page, decode_cursor, encode_cursor
from api.http.state import get_database, get_now, get_settings
from api.schemas import ticks as schemas
from api.schemas.ticks import (
    DepthBody,
    DepthQuery,
    FundingBody,
    RejectedRecordPage,
    RejectedRecordQuery,
    TicksQuery,
    TicksReport,
    TradesBody,
    TradesQuery,
)
from core.errors import BadInput, Busy, NotFound
from core.words import TickKind
from market.intervals import INTERVALS
from market.ticks import ccxt
from market.ticks.arrivals import Retention, TickReport, store_records
from market.ticks.candles import TradeCandle, add_up
from market.ticks.fields import MICROSECONDS, to_bounds, to_datetime, to_microseconds
from records.database import Db, Document
from records.ticks import depth, funding, rejected, trades
from records.ticks.chunks import Trade, place_of
from records.ticks.documents import DepthDocument, FundingDocument, RejectedRecordDocument

ticks = APIBlueprint("ticks", __name__, tag="trades, depth and funding")

# For each process: a client that sends faster than MongoDB stores gets 429, and does not starve
# others.
_writes = BoundedSemaphore(4)
WRITE_SECONDS = 2.0
# The most trades that one answer of candles is computed from.
MOST_ADDED_UP = 500_000
EXAMPLE = {"ticker": "BTC-USD", "venue": "COINBASE"}


def _describe(*names: str) -> Answers:
    return {200: {"description": "what was asked for", "content": describe_json(*names)}}


@ticks.post("/data/trades")
@takes_body(most_bytes=8 * MIB)
@ticks.input(
    TradesBody,
    example=EXAMPLE
    | {
        "trades": [
            {"time": "2026-01-05T12:00:00.25Z", "id": "1", "price": 431.25}
            | {"amount": 0.5, "side": "buy"}
        ]
    },
)
@ticks.output(TicksReport)
def push_trades(json_data: TradesBody) -> TickReport:
    """Store trades, each once.

    What cannot be right is kept aside with its reason, and costs no other. Who pushes faster than
    it can be stored is told to wait (429).
    """
    return _store("trades", json_data, json_data.trades)


@ticks.post("/data/depth")
@takes_body(most_bytes=8 * MIB)
@ticks.input(
    DepthBody,
    example=EXAMPLE
    | {
        "depth": [{"time": "2026-01-05T12:00:00Z", "bids": [[431.2, 1.5]], "asks": [[431.3, 0.25]]}]
    },
)
@ticks.output(TicksReport)
def push_depth(json_data: DepthBody) -> TickReport:
    """Store snapshots of an order book: of each second the last one, with 50 levels a side."""
    return _store("depth", json_data, json_data.depth)


@ticks.post("/data/funding")
@takes_body(most_bytes=8 * MIB)
@ticks.input(
    FundingBody,
    example=EXAMPLE
    | {"funding": [{"time": "2026-01-05T08:00:00Z", "rate": 0.0001, "interval_hours": 8}]},
)
@ticks.output(TicksReport)
def push_funding(json_data: FundingBody) -> TickReport:
    """Store funding rates, each once."""
    return _store("funding", json_data, json_data.funding)


def _store(
    kind: TickKind, sent: TradesBody | DepthBody | FundingBody, records: Sequence[BaseModel]
) -> TickReport:
    if not _writes.acquire(timeout=WRITE_SECONDS):
        raise Busy("more is sent than can be stored; nothing of this was stored, send it again")
    try:
        return store_records(
            get_database(),
            kind,
            sent.ticker,
            sent.venue,
            [record.model_dump(exclude_none=True) for record in records],
            source=f"http:{get_client()}",
            retention=Retention.read(get_settings()),
            now=get_now(),
        )
    finally:
        _writes.release()


@ticks.get("/data/trades")
@ticks.input(TradesQuery, location="query")
@ticks.doc(responses=_describe("TradePage", "TradeCandlePage", "CcxtObjects", "CcxtCandles"))
def get_trades(query_data: TradesQuery) -> Response:
    """Return trades, or candles that they are added up to."""
    venue = _choose_venue(trades.find_venues, query_data, "trades")
    if query_data.bars is not None:
        return _answer_candles(query_data, venue, query_data.bars)
    start, end = to_bounds(query_data.start, query_data.end)
    place = decode_cursor(query_data.cursor, (int, int, str))
    asked = trades.find_trades(
        get_database(),
        query_data.ticker,
        venue,
        start=start,
        end=end,
        after=place and (place[0], place[1], place[2]),
        descending=query_data.descending,
    )
    found = list(islice(asked, query_data.limit + 1))
    if query_data.format == "ccxt":
        listed = _ascending(found[: query_data.limit], query_data)
        return _answer(
            schemas.CcxtObjects([ccxt.write_trade(query_data.ticker, trade) for trade in listed])
        )
    page = build_page(found, query_data.limit, place_of)
    return _answer(_fill(schemas.TradePage, page, _show_trade, query_data.ticker, venue))


def _answer_candles(query: TradesQuery, venue: str, interval: str) -> Response:
    seconds, descending = INTERVALS[interval], query.sort_order == "desc"
    length = seconds * MICROSECONDS
    first, last = to_bounds(query.start, query.end)
    if cursor := decode_cursor(query.cursor, (int,)):
        first, last = (first, cursor[0]) if descending else (cursor[0], last)
    asked = trades.find_trades(
        get_database(),
        query.ticker,
        venue,
        start=None if first is None else first // length * length,
        end=None if last is None else last // length * length + length - 1,
        descending=descending,
    )
    read = 0

    def count() -> Any:
        nonlocal read
        for read, trade in enumerate(islice(asked, MOST_ADDED_UP), 1):  # noqa: B007 - it is what is counted
            yield trade

    candles = add_up(count(), seconds, descending=descending)
    found: list[TradeCandle] = list(islice(candles, query.limit + 1))
    following = found.pop().time if found and len(found) > query.limit else None
    if following is None and read == MOST_ADDED_UP:  # the last candle may lack some of its trades
        if len(found) == 1:
            raise BadInput(
                f"a candle of {interval} would be of {MOST_ADDED_UP:,} trades or more, and no more"
                " are added up at once: ask for a shorter interval",
                reason="too_many_trades",
            )
        following = found.pop().time
    if query.format == "ccxt":
        in_order = found[::-1] if descending else found
        rows = [ccxt.write_candle(c.time, c[1:5], c.volume) for c in in_order]
        return _answer(schemas.CcxtCandles(rows))
    items = [{**c._asdict(), "time": to_datetime(c.time)} for c in found]
    page = {"items": items, "next_cursor": None if following is None else encode_cursor(following)}
    whose = {"ticker": query.ticker, "venue": venue, "interval": interval}
    return _answer(schemas.TradeCandlePage.model_validate({**page, **whose}))


@ticks.get("/data/depth")
@ticks.input(DepthQuery, location="query")
@ticks.doc(responses=_describe("DepthPage", "CcxtBook"))
def get_depth(query_data: DepthQuery) -> Response:
    """Return snapshots of an order book: those of a time, or the latest at or before a moment.

    In ccxt's shape it is the one book at `at`, by default the latest.
    """
    venue = _choose_venue(depth.find_venues, query_data, "depth")
    start, end = to_bounds(query_data.start, query_data.end)
    is_one = query_data.at is not None or query_data.format == "ccxt"
    if query_data.at is not None:
        end = to_microseconds(query_data.at)
    limit = 1 if is_one else query_data.limit
    order = depth.NEWEST_FIRST
    found = depth.find_depth(
        get_database(),
        query_data.ticker,
        venue,
        start=start,
        end=end,
        after=decode_cursor(query_data.cursor, order.types),
        limit=limit + (not is_one),
        descending=is_one or query_data.descending,
    )
    levels = query_data.levels
    if query_data.format == "ccxt":
        if not found:
            raise NotFound(f"no depth of {query_data.ticker} at {venue} is stored of then")
        sides = (depth.read_levels(found[0][side], levels) for side in ("bids", "asks"))
        time, sequence = found[0]["time"], found[0]["sequence"]
        return _answer(schemas.CcxtBook(ccxt.write_book(query_data.ticker, time, sequence, *sides)))

    def show(document: DepthDocument) -> Document:
        return {
            "time": to_datetime(document["time"]),
            "sequence": document["sequence"],
            "bids": depth.read_levels(document["bids"], levels),
            "asks": depth.read_levels(document["asks"], levels),
        }

    page = build_page(found, limit, order.locate)
    return _answer(_fill(schemas.DepthPage, page, show, query_data.ticker, venue))


@ticks.get("/data/funding")
@ticks.input(TicksQuery, location="query")
@ticks.doc(responses=_describe("FundingPage", "CcxtObjects"))
def get_funding(query_data: TicksQuery) -> Response:
    """Return funding rates."""
    venue = _choose_venue(funding.find_venues, query_data, "funding")
    start, end = to_bounds(query_data.start, query_data.end)
    found = funding.find_funding(
        get_database(),
        query_data.ticker,
        venue,
        start=start,
        end=end,
        after=decode_cursor(query_data.cursor, funding.NEWEST_FIRST.types),
        limit=query_data.limit + 1,
        descending=query_data.descending,
    )
    if query_data.format == "ccxt":
        listed = _ascending(found[: query_data.limit], query_data)
        return _answer(
            schemas.CcxtObjects([ccxt.write_funding(query_data.ticker, rate) for rate in listed])
        )
    page = build_page(found, query_data.limit, funding.NEWEST_FIRST.locate)
    return _answer(_fill(schemas.FundingPage, page, _show_funding, query_data.ticker, venue))


@ticks.get("/data/rejected/records")
@ticks.input(RejectedRecordQuery, location="query")
@ticks.output(RejectedRecordPage)
def list_rejected_records(
    query_data: RejectedRecordQuery,
) -> Listed[RejectedRecordDocument]:
    """List records, and messages of the feed, that were kept aside; for 30 days."""
    page = ask_page(query_data, rejected.NEWEST_FIRST)
    found = rejected.find_rejected_records(
        get_database(),
        kind=query_data.kind,
        ticker=query_data.ticker,
        reason=query_data.reason,
        after=page.after,
        limit=page.limit,
    )
    return page.build(found)


def _choose_venue(find_venues: Callable[[Db, str], list[str]], query: TicksQuery, what: str) -> str:
    """Return the venue that is meant. Raises NotFound, and BadInput where there are several."""
    stored = find_venues(get_database(), query.ticker)
    if query.venue is None and len(stored) > 1:
        raise BadInput(
            f"{what} of {query.ticker} are stored of {', '.join(stored[:10])}: name a venue",
            reason="venue_missing",
        )
    venue = query.venue or next(iter(stored), None)
    if venue not in stored:
        of_whom = f"{query.ticker} at {venue}" if venue else query.ticker
        there_is = f"; they are of {', '.join(stored[:10])}" if stored else ""
        raise NotFound(f"no {what} of {of_whom} are stored{there_is}", reason=f"no_{what}")
    return venue


def _ascending(found: Sequence[Any], query: TicksQuery) -> Sequence[Any]:
    return found[::-1] if query.descending else found


def _show_trade(trade: Trade) -> Document:
    return {**trade._asdict(), "time": to_datetime(trade.time)}


def _show_funding(rate: FundingDocument) -> Document:
    following = rate["next_time"]
    return {
        **rate,
        "time": to_datetime(rate["time"]),
        "next_time": None if following is None else to_datetime(following),
    }


def _fill(
    model: type[BaseModel],
    page: Listed[Any],
    show: Callable[[Any], Document],
    ticker: str,
    venue: str,
) -> BaseModel:
    items = [show(item) for item in page["items"]]
    return model.model_validate({**page, "items": items, "ticker": ticker, "venue": venue})


def _answer(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), content_type="application/json")
