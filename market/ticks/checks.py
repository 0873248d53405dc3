"""Checks records: each becomes a typed value, or is refused for the first reason that holds.

Pure functions. The fields have the names of ccxt's unified API.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from core.words import Side, TickKind
from market.ticks.fields import (
    MICROSECONDS,
    Unfit,
    read_number,
    read_positive,
    read_time,
)
from records.ticks.chunks import Trade
from records.ticks.depth import Levels, Snapshot
from records.ticks.documents import FundingFields

MOST_LEVELS = 50
MOST_LEVELS_SENT = 5_000
LONGEST_ID = 64
# The clocks of exchanges differ from ours, but by less than this.
AHEAD = 5 * MICROSECONDS
_SIDES: dict[Any, Side] = {"buy": "buy", "sell": "sell", "unknown": "unknown", None: "unknown"}

REASONS: dict[str, str] = {
    "not_a_record": "it is no object, or has a field that records of this kind do not have",
    "bad_time": "a time is missing, unreadable, before 2 January 1970, or a number before 1980",
    "in_future": "the time is more than 5 s ahead of ours",
    "not_a_number": "a number is missing, infinite or no number",
    "non_positive_price": "a price is zero or below",
    "non_positive_amount": "an amount is zero or below",
    "bad_id": "the id is missing, longer than 64 characters, or has blanks",
    "bad_side": "the side is none of buy, sell and unknown",
    "bad_levels": "a side of the book is no list of [price, amount], or has more than 5,000 levels",
    "bids_not_falling": "a bid is not below the one before it",
    "asks_not_rising": "an ask is not above the one before it",
    "crossed_book": "the best bid is not below the best ask",
    "empty_book": "neither side of the book has a level",
    "bad_sequence": "the sequence is no whole number from 0 on",
    "rate_out_of_range": "the rate is not within -1 and 1",
    "bad_closed": "whether the candle is closed is neither true nor false",
}
# The reasons for which a whole message is rejected.
MESSAGE_REASONS: dict[str, str] = {
    "too_large": "the message is larger than 4 MiB",
    "not_json": "the message is no JSON, has a name twice, or is not of the shape of messages",
    "unknown_kind": "the kind is none of candles, trades, depth and funding",
    "unknown_version": "the message has a version that is not known",
    "bad_ticker": "the ticker, venue or interval is not valid",
    "bad_producer": "the producer, its `seq` or `sent` is not valid, or `seq` is missing",
    "too_many_records": "the message has more than 1,000 records",
    "seq_jumped_back": "its producer counts again from a number below one that was stored before",
    "sent_in_future": "`sent`, in milliseconds since 1970, is more than five minutes ahead of ours",
    "seq_jumped_ahead": "its producer skipped more than 1,000,000 numbers at once",
    "not_storable": "storing it failed again and again",
    "poison": "the process that stored it died each time, and was started again",
}

FIELDS: dict[TickKind, tuple[str, ...]] = {
    "trades": ("time", "id", "price", "amount", "side"),
    "depth": ("time", "sequence", "bids", "asks"),
    "funding": ("time", "rate", "mark_price", "index_price", "next_time", "interval_hours"),
}
Checked = Trade | Snapshot | FundingFields


def check_record(kind: TickKind, record: Any, now: int) -> Checked:
    """Return a record as it is stored; `now` is in microseconds. Raises Unfit with the reason."""
    if not isinstance(record, Mapping) or not record.keys() <= _KNOWN[kind]:
        raise Unfit("not_a_record")
    time = read_time(record.get("time"))
    if time > now + AHEAD:
        raise Unfit("in_future")
    return _CHECKS[kind](record, time)


def _check_trade(record: Mapping[str, Any], time: int) -> Trade:
    price = read_positive(record.get("price"), "non_positive_price")
    amount = read_positive(record.get("amount"), "non_positive_amount")
    side = record.get("side")
    known = _SIDES.get(side.lower() if isinstance(side, str) else side) if _is_word(side) else None
    if known is None:
        raise Unfit("bad_side")
    return Trade(time, _read_id(record.get("id")), price, amount, known)


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _read_id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Unfit("bad_id")
    text = str(value)
    if not 0 < len(text) <= LONGEST_ID or not text.isascii() or not text.isprintable():
        raise Unfit("bad_id")
    if " " in text:
        raise Unfit("bad_id")
    return text


def _check_snapshot(record: Mapping[str, Any], time: int) -> Snapshot:
    sequence = record.get("sequence")
    sequence = 0 if sequence is None else sequence
    if isinstance(sequence, str) and sequence.isdecimal() and len(sequence) < 20:
        sequence = int(sequence)
    if isinstance(sequence, bool) or not isinstance(sequence, int) or not 0 <= sequence < 2**63:
        raise Unfit("bad_sequence")
    bids, asks = (_read_levels(record.get(side)) for side in ("bids", "asks"))
    if any(price <= following for (price, _), (following, _) in pairwise(bids)):
        raise Unfit("bids_not_falling")
    if any(price >= following for (price, _), (following, _) in pairwise(asks)):
        raise Unfit("asks_not_rising")
    if not bids and not asks:
        raise Unfit("empty_book")
    if bids and asks and bids[0][0] >= asks[0][0]:
        raise Unfit("crossed_book")
    return Snapshot(time, sequence, bids[:MOST_LEVELS], asks[:MOST_LEVELS])


def _read_levels(levels: Any) -> Levels:
    if levels is None:
        return ()
    if not isinstance(levels, Sequence) or isinstance(levels, str):
        raise Unfit("bad_levels")
    if len(levels) > MOST_LEVELS_SENT or not all(
        isinstance(level, Sequence) and not isinstance(level, str) and len(level) >= 2
        for level in levels
    ):
        raise Unfit("bad_levels")
    return tuple(
        (
            read_positive(level[0], "non_positive_price"),
            read_positive(level[1], "non_positive_amount"),
        )
        for level in levels
    )


def _check_funding(record: Mapping[str, Any], time: int) -> FundingFields:
    rate = read_number(record.get("rate"))
    if abs(rate) > 1:
        raise Unfit("rate_out_of_range")
    prices = {
        name: None
        if record.get(name) is None
        else read_positive(record[name], "non_positive_price")
        for name in ("mark_price", "index_price")
    }
    hours = record.get("interval_hours")
    return {
        "time": time,
        "rate": rate,
        "mark_price": prices["mark_price"],
        "index_price": prices["index_price"],
        "next_time": None if record.get("next_time") is None else read_time(record["next_time"]),
        "interval_hours": None if hours is None else read_positive(hours, "not_a_number"),
    }


_KNOWN = {kind: frozenset(fields) for kind, fields in FIELDS.items()}
_CHECKS: dict[TickKind, Callable[[Mapping[str, Any], int], Checked]] = {
    "trades": _check_trade,
    "depth": _check_snapshot,
    "funding": _check_funding,
}
