"""Messages of others: Binance's own frames, and the Redis streams of cryptofeed. Pure functions.

Their published formats are converted to our records. A kind that is not stored is refused, like any
message of an unknown kind.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json

from core.words import DataKind
from market.intervals import INTERVALS
from market.ticks.fields import Unfit

BINANCE = "binance"
# A stream of partial books; a stream without a number sends changes of a book.
_PARTIAL_BOOK = re.compile(r"(?P<symbol>[a-z0-9_]+)@depth(?:5|10|20)(?:@\w+)?")
MINUTE = 60_000
_NAME = re.compile(rb'"\s*:')
# How an absent value is written.
_NOTHING = {"", "None", "null"}


class Foreign(NamedTuple):
    """A message of others: a kind of ours, its ticker and venue, and its records."""

    kind: DataKind
    ticker: str
    venue: str
    interval: str
    records: list[dict[str, Any]]


def read_binance(frame: Any, received: int) -> Foreign:
    """Return the records of a frame of Binance's web socket, alone or wrapped as in combined
    streams: trades, aggregate trades, klines, partial books, and the mark price with its funding
    rate.

    `received` is the time of arrival in milliseconds, for spot books, which have no time. Raises
    Unfit.
    """
    if not isinstance(frame, Mapping):
        raise Unfit("not_json")
    stream, body = frame.get("stream"), frame.get("data", frame)
    if not isinstance(body, Mapping):
        raise Unfit("not_json")
    partial = _PARTIAL_BOOK.fullmatch(stream) if isinstance(stream, str) else None
    if partial is not None:
        return _read_book(body, partial["symbol"], received)
    event, symbol = body.get("e"), body.get("s")
    if not isinstance(symbol, str):
        raise Unfit("unknown_kind")
    ticker = f"{symbol}.BINANCE"
    if event in {"trade", "aggTrade"}:
        trade = {
            "time": body.get("T"),
            "id": body.get("t" if event == "trade" else "a"),
            "price": body.get("p"),
            "amount": body.get("q"),
            # If the buyer was the maker, the taker sold.
            "side": "sell" if body.get("m") else "buy",
        }
        return Foreign("trades", ticker, "BINANCE", "", [trade])
    if event == "kline" and isinstance(body.get("k"), Mapping):
        return _read_kline(body["k"], ticker)
    if event == "markPriceUpdate":
        # It comes every few seconds: one a minute is stored.
        rate = {
            "time": _floor(body.get("E")),
            "rate": body.get("r"),
            "mark_price": body.get("p"),
            "index_price": body.get("i"),
            "next_time": body.get("T"),
        }
        return Foreign("funding", ticker, "BINANCE", "", [rate])
    raise Unfit("unknown_kind")


def _floor(time: Any) -> Any:
    return time // MINUTE * MINUTE if isinstance(time, int) else time


def _read_book(body: Mapping[str, Any], symbol: str, received: int) -> Foreign:
    book = {
        "time": body.get("T") or body.get("E") or received,
        "sequence": body.get("lastUpdateId") or body.get("u"),
        "bids": body.get("bids", body.get("b")),
        "asks": body.get("asks", body.get("a")),
    }
    return Foreign("depth", f"{symbol.upper()}.BINANCE", "BINANCE", "", [book])


def _read_kline(kline: Mapping[str, Any], ticker: str) -> Foreign:
    candle = {
        "time": kline.get("t"),
        "open": kline.get("o"),
        "high": kline.get("h"),
        "low": kline.get("l"),
        "close": kline.get("c"),
        "volume": kline.get("v"),
        "quote_volume": kline.get("q"),
        "trades": kline.get("n"),
        "closed": kline.get("x") is True,
    }
    interval = kline.get("i")
    if interval not in INTERVALS:
        raise Unfit("bad_ticker")
    return Foreign("candles", ticker, "BINANCE", str(interval), [candle])


def is_cryptofeed(fields: Mapping[bytes, bytes]) -> bool:
    """Whether a message is one of cryptofeed's: these have no `kind`."""
    return b"kind" not in fields and (b"exchange" in fields or b"data" in fields)


def read_cryptofeed(fields: Mapping[bytes, bytes]) -> Foreign:
    """Return the record of a message of cryptofeed's TradeStream, BookStream, FundingStream or
    CandlesStream. Raises Unfit.

    It writes field by field, the two sides of a book as JSON; older versions write a book as one
    field, `data`. Its symbols (`BTC-USD`, `BTC-USDT-PERP`) are tickers, its exchanges venues.
    """
    if b"data" in fields:
        told = _read_object(fields[b"data"])
    else:
        told = {
            name.decode("utf-8", "replace"): value.decode("utf-8", "replace")
            for name, value in fields.items()
        }
        if b"book" in fields:
            told["book"] = _read_object(fields[b"book"])
    ticker, venue = told.get("symbol"), told.get("exchange")
    if not isinstance(ticker, str) or not isinstance(venue, str):
        raise Unfit("unknown_kind")
    given = {name: None if value in _NOTHING else value for name, value in _cells(told).items()}
    time = given.get("timestamp") or given.get("receipt_timestamp")
    if isinstance(told.get("book"), Mapping):
        return Foreign("depth", ticker, venue, "", [_read_sides(told, time)])
    if {"amount", "price", "side"} <= given.keys():
        trade = {name: given.get(name) for name in ("id", "price", "amount", "side")}
        return Foreign("trades", ticker, venue, "", [{"time": _number(time), **trade}])
    if "rate" in given:
        rate = {name: given.get(name) for name in ("rate", "mark_price")}
        following = _number(given.get("next_funding_time"))
        record = {"time": _number(time), **rate, "next_time": following}
        return Foreign("funding", ticker, venue, "", [record])
    if {"start", "interval", "open", "high", "low", "close"} <= given.keys():
        values = {name: given.get(name) for name in ("open", "high", "low", "close", "volume")}
        closed = str(given.get("closed")) in {"True", "true", "1"}
        candle = {"time": _number(given["start"]), **values, "closed": closed}
        return Foreign("candles", ticker, venue, str(given["interval"]), [candle])
    raise Unfit("unknown_kind")


def read_json(text: bytes) -> Any:
    """Return the parsed JSON; NaN and infinity are left for the caller to check.

    Raises Unfit, also if an object has a name twice, because it would be unclear which value
    counts.
    """
    try:
        told = from_json(text, allow_inf_nan=True)
        # A text value may look like a name: if there are more matches than names in the parsed
        # objects, the text is checked for duplicate names.
        if len(_NAME.findall(text)) > _count_names(told):
            json.loads(text, object_pairs_hook=_refuse_twins)
    except (ValueError, RecursionError) as error:
        raise Unfit("not_json") from error
    return told


def _count_names(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_names, value.values()))
    return sum(map(_count_names, value)) if isinstance(value, list) else 0


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("a name is there twice")
    return told


def _read_object(text: bytes) -> dict[str, Any]:
    told = read_json(text)
    if not isinstance(told, dict):
        raise Unfit("not_json")
    return told


def _cells(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if not isinstance(value, list | dict)}


def _number(value: Any) -> Any:
    """Return seconds as a number if they are written as one."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _read_sides(told: Mapping[str, Any], time: Any) -> dict[str, Any]:
    sides: dict[str, Any] = {"time": _number(time)}
    for name, side, falls in (("bids", "bid", True), ("asks", "ask", False)):
        levels = told["book"].get(side)
        if not isinstance(levels, Mapping):
            raise Unfit("bad_levels")
        try:
            ordered = sorted(levels.items(), key=lambda level: float(level[0]), reverse=falls)
        except (ValueError, TypeError) as error:
            raise Unfit("bad_levels") from error
        sides[name] = [list(level) for level in ordered]
    if isinstance(told.get("sequence_number"), int):
        sides["sequence"] = told["sequence_number"]
    return sides
