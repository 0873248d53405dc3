"""Frames in the formats that Binance and cryptofeed publish, written by hand."""

import json
from typing import Any

import pytest

from feed.adapters import read_binance, read_cryptofeed, read_json
from feed.bus import Entry
from feed.messages import read_parts
from market.ticks.fields import Unfit

TIME = 1_767_614_400_123
TRADE = {"e": "trade", "E": TIME + 5, "s": "BTCUSDT", "t": 12345, "p": "90000.10", "q": "0.005"}
TRADE |= {"T": TIME, "m": True, "M": True}
KLINE = {"t": 1_767_614_400_000, "T": 1_767_614_459_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 9}
KLINE |= {"o": "1.0", "c": "2.0", "h": "3.0", "l": "0.5", "v": "10", "n": 9, "x": True, "q": "20"}
MARK = {"e": "markPriceUpdate", "E": TIME, "s": "BTCUSDT", "p": "90001.5", "i": "90000.5"}
MARK |= {"P": "90002", "r": "0.00010000", "T": 1_767_628_800_000}
BOOK = {"lastUpdateId": 160, "bids": [["0.0024", "10"]], "asks": [["0.0026", "100"]]}


def parts(fields: dict[bytes, bytes]) -> Any:
    (part,) = read_parts(Entry("1-1", fields), "test", TIME)
    return part


def test_binances_trades_are_read_alone_and_combined() -> None:
    trade = {"time": TIME, "id": 12345, "price": "90000.10", "amount": "0.005", "side": "sell"}
    for frame in (TRADE, {"stream": "btcusdt@trade", "data": TRADE}):
        found = read_binance(frame, TIME)
        assert (found.kind, found.ticker, found.venue) == ("trades", "BTCUSDT.BINANCE", "BINANCE")
        assert found.records == [trade]
    aggregate = {**TRADE, "e": "aggTrade", "a": 77, "f": 1, "l": 3, "m": False}
    assert read_binance(aggregate, TIME).records == [trade | {"id": 77, "side": "buy"}]


def test_binances_klines_books_and_funding_are_read() -> None:
    kline = read_binance({"e": "kline", "E": TIME, "s": "BTCUSDT", "k": KLINE}, TIME)
    assert (kline.kind, kline.interval) == ("candles", "1m")
    assert kline.records[0]["closed"] is True
    assert (kline.records[0]["high"], kline.records[0]["time"]) == ("3.0", 1_767_614_400_000)
    book = read_binance({"stream": "btcusdt@depth20@100ms", "data": BOOK}, TIME)
    assert (book.kind, book.ticker) == ("depth", "BTCUSDT.BINANCE")
    assert book.records == [
        {"time": TIME, "sequence": 160, "bids": BOOK["bids"], "asks": BOOK["asks"]}
    ]
    (rate,) = read_binance(MARK, TIME).records
    assert (rate["time"], rate["rate"]) == (1_767_614_400_000, "0.00010000")
    assert rate["next_time"] == 1_767_628_800_000


@pytest.mark.parametrize(
    "frame",
    [
        {"result": None, "id": 1},
        {"e": "depthUpdate", "E": TIME, "s": "BTCUSDT", "U": 1, "u": 2, "b": [], "a": []},
        {"e": "24hrTicker", "s": "BTCUSDT"},
        {"e": "kline", "s": "BTCUSDT", "k": {**KLINE, "i": "3m"}},
        {"e": "trade", "s": 5},
        [],
        "text",
        None,
    ],
)
def test_an_unknown_frame_is_refused(frame: Any) -> None:
    with pytest.raises(Unfit):
        read_binance(frame, TIME)


def test_a_message_contains_frames_of_binance() -> None:
    fields = {b"v": b"1", b"kind": b"binance", b"data": json.dumps([TRADE]).encode()}
    part = parts(fields)
    assert (part.kind, part.ticker, part.venue) == ("trades", "BTCUSDT.BINANCE", "BINANCE")


CRYPTOFEED_TRADE = {
    b"exchange": b"COINBASE",
    b"symbol": b"BTC-USD",
    b"side": b"sell",
    b"amount": b"0.25",
    b"price": b"90000.5",
    b"id": b"42",
    b"type": b"None",
    b"timestamp": b"1767614400.123456",
    b"receipt_timestamp": b"1767614400.2",
}


def test_cryptofeeds_trades_are_read() -> None:
    part = parts(CRYPTOFEED_TRADE)
    assert (part.kind, part.ticker, part.venue) == ("trades", "BTC-USD", "COINBASE")
    assert part.records == [
        {"time": 1767614400.123456, "id": "42", "price": "90000.5", "amount": "0.25"}
        | {"side": "sell"}
    ]


def test_cryptofeeds_books_funding_and_candles_are_read() -> None:
    book = {
        "exchange": "COINBASE",
        "symbol": "BTC-USD",
        "book": {"bid": {"99": 1.0, "100.5": 2.0}, "ask": {"102": 1.0, "101": 4.0}},
        "timestamp": 1767614400.5,
        "receipt_timestamp": 1767614400.6,
    }
    in_fields = {name.encode(): str(value).encode() for name, value in book.items()}
    in_fields[b"book"] = json.dumps(book["book"]).encode()
    for fields in (in_fields, {b"data": json.dumps(book).encode()}):
        part = parts(fields)
        assert (part.kind, part.ticker, part.venue) == ("depth", "BTC-USD", "COINBASE")
        assert part.records == [
            {"time": 1767614400.5, "bids": [["100.5", 2.0], ["99", 1.0]]}
            | {"asks": [["101", 4.0], ["102", 1.0]]}
        ]
    funding = {b"exchange": b"BITMEX", b"symbol": b"BTC-USDT-PERP", b"mark_price": b"90000"}
    funding |= {
        b"rate": b"0.0001",
        b"next_funding_time": b"1767628800.0",
        b"predicted_rate": b"None",
    }
    funding |= {b"timestamp": b"1767614400.0", b"receipt_timestamp": b"1767614400.1"}
    assert parts(funding).records == [
        {"time": 1767614400.0, "rate": "0.0001", "mark_price": "90000", "next_time": 1767628800.0}
    ]
    candle = {b"exchange": b"BINANCE", b"symbol": b"BTC-USDT", b"start": b"1767614400.0"}
    candle |= {b"stop": b"1767614459.0", b"interval": b"1m", b"trades": b"9", b"closed": b"True"}
    candle |= {b"open": b"1", b"close": b"2", b"high": b"3", b"low": b"0.5", b"volume": b"10"}
    part = parts(candle)
    assert (part.kind, part.interval, part.records[0]["closed"]) == ("candles", "1m", True)


@pytest.mark.parametrize(
    "fields",
    [
        {b"exchange": b"X", b"symbol": b"BTC-USD", b"open_interest": b"5"},
        {b"data": b"{}"},
        {b"data": b"[]"},
        {b"data": b"no json"},
        {**CRYPTOFEED_TRADE, b"book": b"no json"},
        {**CRYPTOFEED_TRADE, b"book": b"[]"},
        {b"exchange": b"X", b"symbol": b"BTC-USD", b"delta": b'{"bid": [[1, 2]], "ask": []}'},
        {b"data": b'{"exchange": "X", "symbol": "BTC-USD", "book": {"bid": 5, "ask": {}}}'},
        {b"data": b'{"exchange": "X", "symbol": "BTC-USD", "book": {"bid": {"a": 1}, "ask": {}}}'},
        {**CRYPTOFEED_TRADE, b"symbol": b"A B"},
    ],
)
def test_an_unknown_message_is_refused(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(Unfit):
        parts(fields)


@pytest.mark.parametrize(
    ("text", "is_sound"),
    [
        (b'{"price": 1, "price": 2}', False),
        (b'[{"a": {"b": [{"c": 1, "c" : 1}]}}]', False),
        (b'{"price": 1, "pri\\u0063e": 2}', False),
        (b'[{"price": 1}, {"price": 2}]', True),
        (b'{"text": "a \\": b", "price": NaN}', True),
        (b"\xef\xbb\xbf{}", False),
        (b"[" * 100_000, False),
    ],
    ids=["twice", "deep", "escaped", "two objects", "in text", "mark", "nested"],
)
def test_an_object_with_a_name_twice_is_refused(text: bytes, is_sound: bool) -> None:  # noqa: FBT001
    if is_sound:
        assert read_json(text)
    else:
        with pytest.raises(Unfit, match="not_json"):
            read_json(text)


def test_a_message_of_neither_is_refused() -> None:
    with pytest.raises(Unfit):
        read_cryptofeed({b"symbol": b"BTC-USD"})
