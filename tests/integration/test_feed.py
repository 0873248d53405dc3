"""The feed with a real Redis and a real MongoDB: every message takes effect once."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import pytest
import redis
from celery import Celery
from pymongo.errors import OperationFailure

from core.settings import Settings
from feed import consumer as feed_consumer
from feed import storing
from feed.bus import STREAMS, choose_stream
from feed.consumer import Consumer
from feed.messages import Head, build_message
from feed.producing import Producer
from feed.redis_bus import RedisBus
from feed.storing import GATHER_SECONDS
from market.bars.buckets import read_columns
from market.ticks.fields import to_microseconds
from records.database import Db
from records.ticks.chunks import Trade
from records.ticks.positions import claim_stream, find_positions, find_seqs
from records.ticks.rejected import find_rejected_records
from records.ticks.trades import find_trades
from tests.integration.stored import add_list

TICKER, VENUE = "BTC-USD", "COINBASE"
STREAM = choose_stream(TICKER)


@pytest.fixture
def bus(settings: Settings, database: Db) -> Iterator[RedisBus]:
    bus = RedisBus(settings.redis_url, 4)
    yield bus
    bus.close()


@pytest.fixture
def make_consumer(settings: Settings, database: Db, bus: RedisBus, celery: Celery) -> Any:
    numbers = itertools.count()
    return lambda: Consumer(settings, database, bus, celery, f"test:{next(numbers)}")


@pytest.fixture
def consumer(make_consumer: Any) -> Consumer:
    consumer: Consumer = make_consumer()
    return consumer


@pytest.fixture
def producer(bus: RedisBus) -> Producer:
    return Producer(bus, "tests", {})


@cache
def start_of_today() -> int:
    """Return a minute not long ago, in seconds, the same for all tests; coins are traded at any
    time.
    """
    return int(time.time()) // 60 * 60 - 3_600


def make_trades(count: int, first: int = 0) -> list[dict[str, Any]]:
    start = start_of_today() * 1_000
    return [
        {"time": start + n, "id": str(n), "price": 100 + n / 8, "amount": 1, "side": "buy"}
        for n in range(first, first + count)
    ]


def make_candles(count: int, *, price: float = 100.0) -> list[dict[str, Any]]:
    start = start_of_today()
    return [
        {"time": (start + 60 * n) * 1_000, "open": price, "high": price + 2, "low": price - 2}
        | {"close": price + 1, "volume": 5 + n}
        for n in range(count)
    ]


def ids(database: Db, ticker: str = TICKER) -> list[str]:
    return [trade.id for trade in find_trades(database, ticker, VENUE)]


def total(database: Db, name: str) -> int:
    return sum(position[name] for position in find_positions(database))  # type: ignore[literal-required]


def drain(consumer: Consumer) -> None:
    while consumer.step():
        pass


def test_sent_records_are_stored_and_then_removed_from_the_bus(
    consumer: Consumer, producer: Producer, bus: RedisBus, database: Db
) -> None:
    second = start_of_today() * 1_000
    book = {"time": second, "bids": [[99, 1]], "asks": [[100, 1]]}
    producer.send("trades", TICKER, make_trades(2_500), venue=VENUE)
    producer.send("depth", TICKER, [book], venue=VENUE)
    producer.send("funding", TICKER, [{"time": second, "rate": 0.0001}], venue=VENUE)
    producer.send("candles", TICKER, make_candles(10), interval="1m")
    assert bus.count(STREAM) == 6
    drain(consumer)
    assert ids(database) == [str(n) for n in range(2_500)]
    assert database.depth.count_documents({}) == database.funding.count_documents({}) == 1
    assert database.series.find_one({"_id": f"{TICKER}::1m"})["bars"] == 10
    assert bus.count(STREAM) == 0
    assert (total(database, "records"), total(database, "rejected")) == (2_512, 0)
    assert find_seqs(database, "tests") == {STREAM: 6}


def test_a_repeated_message_is_ignored_as_a_duplicate(
    consumer: Consumer, bus: RedisBus, database: Db
) -> None:
    messages = [
        build_message(
            "candles",
            [{"ticker": TICKER, "interval": "1m", "records": make_candles(5, price=100.0 + n)}],
            Head("tests", n, 1_000 + n),
        )
        for n in range(1, 4)
    ]
    for message in [*messages, *messages]:
        bus.append(STREAM, message)
    drain(consumer)
    assert total(database, "doubles") == 3
    # The later message corrected the bars; the repetition of the first did not bring the old values
    # back.
    series = database.series.find_one({"_id": f"{TICKER}::1m"})
    bucket = database.bars.find_one({"ticker": TICKER})
    assert series["bars"] == 5
    assert read_columns(bucket)["open"].tolist() == [103.0] * 5


def test_a_message_whose_number_jumps_back_is_rejected_and_the_stream_goes_on(
    consumer: Consumer, bus: RedisBus, database: Db
) -> None:
    for seq, sent, first in ((5, 1_000, 0), (1, 2_000, 10), (6, 3_000, 20)):
        group = {"ticker": TICKER, "venue": VENUE, "records": make_trades(1, first)}
        bus.append(STREAM, build_message("trades", [group], Head("tests", seq, sent)))
    drain(consumer)
    assert ids(database) == ["0", "20"]
    (kept,) = find_rejected_records(database, kind="message")
    assert kept["reason"] == "seq_jumped_back"
    assert '\\"id\\":\\"10\\"' in kept["content"].replace(" ", "")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "quotes", "data": b"{}"}, "unknown_kind"),
        ({"kind": "trades", "data": b"no json"}, "not_json"),
        ({"kind": "trades", "data": b'"text"'}, "not_json"),
        ({"kind": "trades", "data": b'{"ticker": "A", "venue": "B", "records": 5}'}, "not_json"),
        ({"kind": "trades", "data": b"[" * 100_000}, "not_json"),
        ({"kind": "trades", "data": b"\xff\xfe"}, "not_json"),
        ({"kind": "trades", "v": "2", "data": b"{}"}, "unknown_version"),
        (
            {"kind": "trades", "data": b'{"ticker": "A B", "venue": "C", "records": []}'},
            "bad_ticker",
        ),
        ({"kind": "trades", "data": b'{"ticker": "A", "records": []}'}, "bad_ticker"),
        ({"kind": "trades", "data": b'{"ticker": 5, "venue": "C", "records": []}'}, "bad_ticker"),
        (
            {"kind": "candles", "data": b'{"ticker": "A", "interval": "2m", "records": []}'},
            "bad_ticker",
        ),
        ({"kind": "trades", "producer": "a b", "seq": "1", "data": b"{}"}, "bad_producer"),
        ({"kind": "trades", "producer": "a", "seq": "x", "data": b"{}"}, "bad_producer"),
        (
            {"kind": "trades", "producer": "a", "seq": "1", "sent": "-1", "data": b"{}"},
            "bad_producer",
        ),
        # Without numbers, all messages after the first would count as duplicates.
        ({"kind": "trades", "producer": "a", "data": b"{}"}, "bad_producer"),
        (
            {
                "kind": "trades",
                "data": b'{"ticker":"A","venue":"B","records":[' + b"1," * 1_000 + b"1]}",
            },
            "too_many_records",
        ),
        ({"unexpected": b"fields"}, "unknown_kind"),
    ],
)
def test_an_invalid_message_is_rejected_and_the_stream_goes_on(
    consumer: Consumer,
    producer: Producer,
    bus: RedisBus,
    database: Db,
    fields: dict[str, Any],
    reason: str,
) -> None:
    bus.append(STREAM, fields)
    producer.send("trades", TICKER, make_trades(1), venue=VENUE)
    drain(consumer)
    (kept,) = find_rejected_records(database, kind="message")
    assert (kept["reason"], kept["source"].split()[0]) == (reason, STREAM)
    assert ids(database) == ["0"]
    assert bus.count(STREAM) == 0


def test_a_message_of_50_mb_is_rejected_and_kept_in_part(
    consumer: Consumer, producer: Producer, bus: RedisBus, database: Db
) -> None:
    bus.append(STREAM, {"v": "1", "kind": "trades", "data": b"[" + b" " * 50 * 2**20 + b"]"})
    producer.send("trades", TICKER, make_trades(1), venue=VENUE)
    drain(consumer)
    (kept,) = find_rejected_records(database, kind="message")
    assert kept["reason"] == "too_large"
    assert len(kept["content"]) < 5_000
    assert ids(database) == ["0"]


def test_an_impossible_record_does_not_affect_the_others(
    consumer: Consumer, producer: Producer, database: Db
) -> None:
    now = to_microseconds(datetime.now(UTC))
    second = start_of_today() * 1_000
    trades = make_trades(3)
    trades[1] = trades[1] | {"amount": -1}
    producer.send("trades", TICKER, [*trades, trades[0] | {"time": now + 60_000_000}], venue=VENUE)
    crossed = {"time": second, "bids": [[101, 1]], "asks": [[100, 1]]}
    producer.send("depth", TICKER, [crossed, crossed | {"bids": [[99, 1]]}], venue=VENUE)
    candles = make_candles(3)
    candles[1]["high"] = 1.0
    odd = {"time": "never", "open": 1, "high": 1, "low": 1, "close": 1}
    # Otherwise a series would begin in 1970, with a gap since then.
    unset = odd | {"time": 0}
    producer.send("candles", TICKER, [*candles, odd, unset], interval="1m")
    producer.send("candles", "WHAT.IS.IT.XX", make_candles(2), interval="1m")
    drain(consumer)
    assert ids(database) == ["0", "2"]
    assert database.depth.count_documents({}) == 1
    assert database.series.find_one({"_id": f"{TICKER}::1m"})["bars"] == 2
    assert Counter((one["kind"], one["reason"]) for one in find_rejected_records(database)) == {
        ("trades", "non_positive_amount"): 1,
        ("trades", "in_future"): 1,
        ("depth", "crossed_book"): 1,
        ("candles", "bad_time"): 2,
        ("candles", "not_storable"): 2,
    }
    assert [row["reason"] for row in database.rejected_bars.find()] == ["high_below_low"]
    assert total(database, "rejected") == 8
    told = {one["_id"]: (one["records"], one["rejected"]) for one in find_positions(database)}
    assert told[choose_stream(TICKER)] == (11, 6)
    assert told[choose_stream("WHAT.IS.IT.XX")] == (2, 2)


def test_candles_that_overlap_with_stored_ones_are_rejected_alone(
    consumer: Consumer, producer: Producer, database: Db
) -> None:
    """One of another clock took those with it that came together with it."""
    hour = 3_600_000
    candle = make_candles(1)[0]
    start = candle["time"] // (24 * hour) * 24 * hour - 10 * 24 * hour
    stored = [candle | {"time": start + 4 * hour * n} for n in range(20)]
    producer.send("candles", TICKER, stored, interval="4h")
    drain(consumer)
    strays = [candle | {"time": start + 4 * hour * n + 2 * hour} for n in (13, 15)]
    later = [candle | {"time": start + 4 * hour * n} for n in (20, 21)]
    producer.send("candles", TICKER, [*strays, *later], interval="4h")
    drain(consumer)
    assert database.series.find_one({"_id": f"{TICKER}::4h"})["bars"] == 22
    aside = [(row["reason"], row["values"]["close"]) for row in database.rejected_bars.find()]
    assert aside == [("overlaps", "101.0")] * 2
    assert (total(database, "records"), total(database, "rejected")) == (24, 2)
    assert find_rejected_records(database) == []


@pytest.mark.parametrize(("hours", "bars"), [([14], 3), ([10, 14, 18, 22], 5)])
def test_candles_that_overlap_once_others_are_left_out_are_rejected_alone_too(
    consumer: Consumer, producer: Producer, database: Db, hours: list[int], bars: int
) -> None:
    """The one at 10 makes that of 12 the stray, which hides that the one at 14 is another."""
    candle = make_candles(1)[0]
    start = candle["time"] // 86_400_000 * 86_400_000 - 10 * 86_400_000
    for each in ([0, 4, 12], hours):
        came = [candle | {"time": start + 3_600_000 * hour} for hour in each]
        producer.send("candles", TICKER, came, interval="4h")
        drain(consumer)
    assert find_rejected_records(database) == []
    assert database.series.find_one({"_id": f"{TICKER}::4h"})["bars"] == bars
    assert database.rejected_bars.count_documents({}) == 3 + len(hours) - bars


def test_records_with_odd_values_are_rejected_alone(
    consumer: Consumer, bus: RedisBus, database: Db
) -> None:
    """Values as various programs write them in JSON. Numbers may be text."""
    (sound,) = make_trades(1)
    odd = {
        "price": [
            *("1_000", "NaN", float("nan"), float("inf"), 10**400, "1e400", [1], [[[]]], True, ""),
            *("0x10", "1,5", -1, "-1", 0, {"a": {"b\0": 1}}),
        ],
        "id": [None, "a b", "x" * 65, "\0", 1.5, [], ""],
        "time": [None, 10**30, -1, "soon", float("nan"), "2024-13-01T00:00:00Z", [], "9" * 30],
        "side": ["left", 1, []],
    }
    records = [{**sound, name: value} for name, values in odd.items() for value in values]
    records += [{**sound, "extra": 1}, {**sound, "price": "100.5", "time": str(sound["time"])}]
    group = {"ticker": TICKER, "venue": VENUE, "records": records}
    bus.append(STREAM, {"kind": "trades", "data": json.dumps([group])})
    drain(consumer)
    assert [(one.id, one.price) for one in find_trades(database, TICKER, VENUE)] == [("0", 100.5)]
    kept = find_rejected_records(database)
    assert len(kept) == len(records) - 1 == total(database, "rejected")
    assert Counter(one["reason"] for one in kept) == {
        "not_a_number": 13,
        "non_positive_price": 3,
        "bad_id": 7,
        "bad_time": 8,
        "bad_side": 3,
        "not_a_record": 1,
    }


def test_messages_that_others_trimmed_are_counted_as_missing(
    consumer: Consumer, producer: Producer, settings: Settings, database: Db
) -> None:
    for n in range(3):
        producer.send("trades", TICKER, make_trades(1, n), venue=VENUE)
    drain(consumer)
    with redis.Redis.from_url(settings.redis_url) as client:
        client.xtrim(STREAM, maxlen=0, approximate=False)  # Entries that are stored may be trimmed.
        for n in range(3, 7):
            producer.send("trades", TICKER, make_trades(1, n), venue=VENUE)
        client.xtrim(STREAM, maxlen=2, approximate=False)
    drain(consumer)
    assert ids(database) == ["0", "1", "2", "5", "6"]
    assert (total(database, "missing"), total(database, "entries")) == (2, 5)


def test_a_message_with_a_sending_time_in_the_future_is_rejected(
    consumer: Consumer, bus: RedisBus, database: Db
) -> None:
    """The time may be in microseconds, for example. If it were accepted, a producer that starts to
    count again would be ignored as duplicates, and nobody would notice.
    """
    now = time.time_ns() // 1_000_000
    sents = (now - 1_000, now * 1_000, now + 330_000, now + 240_000)
    for trade, sent in enumerate(sents):
        group = {"ticker": TICKER, "venue": VENUE, "records": make_trades(1, trade)}
        bus.append(STREAM, build_message("trades", [group], Head("tests", 10 + trade, sent)))
    unnamed = {"ticker": TICKER, "venue": VENUE, "records": make_trades(1, 4)}
    bus.append(STREAM, build_message("trades", [unnamed], Head(None, 0, now * 1_000)))
    drain(consumer)
    assert ids(database) == ["0", "3"], "a clock may be minutes ahead"
    kept = find_rejected_records(database, kind="message")
    assert [one["reason"] for one in kept] == ["sent_in_future"] * 3
    assert find_seqs(database, "tests") == {STREAM: 13}
    assert total(database, "missing") == 0, "what is kept aside is not missing"
    # A producer that starts to count again is noticed.
    for head in (Head("tests", 14, now * 1_000), Head("tests", 1, now + 250_000)):
        bus.append(STREAM, build_message("trades", [group], head))
    drain(consumer)
    kept = find_rejected_records(database, kind="message")
    # Both are rejected within a millisecond, so neither of them is the newer one.
    assert Counter(one["reason"] for one in kept) == {"sent_in_future": 4, "seq_jumped_back": 1}


def test_a_message_whose_number_jumps_far_ahead_is_rejected_and_counts_none_as_missing(
    consumer: Consumer, bus: RedisBus, database: Db
) -> None:
    """A million messages may be missing. A larger jump is taken for an error, and the messages
    after it are stored.
    """
    for trade, seq in enumerate((1, 10**17, 2, 1_000_003, 2_000_005)):
        group = {"ticker": TICKER, "venue": VENUE, "records": make_trades(1, trade)}
        bus.append(STREAM, build_message("trades", [group], Head("tests", seq, 1_000 + trade)))
        drain(consumer)
    assert ids(database) == ["0", "2", "3"]
    kept = find_rejected_records(database, kind="message")
    assert [one["reason"] for one in kept] == ["seq_jumped_ahead"] * 2
    assert total(database, "missing") == 1_000_000
    assert find_seqs(database, "tests") == {STREAM: 1_000_003}


def test_open_candles_are_ignored_until_they_are_closed(
    consumer: Consumer, producer: Producer, database: Db
) -> None:
    candles = make_candles(4)
    for said in (False, "False", "false", 0):
        producer.send("candles", TICKER, [candles[0] | {"closed": said}], interval="1m")
    drain(consumer)
    assert database.series.count_documents({}) == 0
    said_closed = zip(candles, (True, "True", 1, None), strict=True)
    closed = [candle | {"closed": said} for candle, said in said_closed]
    producer.send("candles", TICKER, [*closed, candles[0] | {"closed": "soon"}], interval="1m")
    drain(consumer)
    assert database.series.find_one()["bars"] == 4
    assert [one["reason"] for one in find_rejected_records(database)] == ["bad_closed"]


def test_the_lag_is_not_computed_from_an_unknown_or_impossible_sending_time(
    consumer: Consumer, bus: RedisBus, database: Db
) -> None:
    """The message does not say when it was sent, or its producer's clock is ahead."""
    for seq, sent in ((1, 0), (2, time.time_ns() // 1_000_000 + 240_000)):
        group = {"ticker": TICKER, "venue": VENUE, "records": make_trades(1, seq)}
        bus.append(STREAM, build_message("trades", [group], Head("tests", seq, sent)))
        drain(consumer)
        assert max(one["lag_seconds"] for one in find_positions(database)) < 60
    assert ids(database) == ["1", "2"]


def test_a_key_that_is_not_a_stream_does_not_affect_the_others(
    settings: Settings, database: Db, bus: RedisBus, producer: Producer, celery: Celery
) -> None:
    named = settings.model_copy(update={"feed_streams": "a-text"})
    with redis.Redis.from_url(settings.redis_url) as client:
        client.set("a-text", "text")
    consumer = Consumer(named, database, bus, celery, "test:1")
    producer.send("trades", TICKER, make_trades(3), venue=VENUE)
    drain(consumer)
    assert ids(database) == ["0", "1", "2"]


def test_a_record_that_cannot_be_stored_is_found_by_halving_and_rejected(
    consumer: Consumer, producer: Producer, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MongoDB refuses any document with this id, as it would refuse one that is too large."""
    rule = {"$jsonSchema": {"properties": {"ids": {"not": {"pattern": "(^|\n)poison(\n|$)"}}}}}
    database.command("collMod", "trades", validator=rule)
    try:
        trades = make_trades(40)
        trades[17]["id"] = "poison"
        producer.send("trades", TICKER, trades[:10], venue=VENUE)
        producer.send("trades", TICKER, trades[10:], venue=VENUE)
        producer.send("trades", "ETH-USD", make_trades(5), venue=VENUE)
        drain(consumer)
    finally:
        database.command("collMod", "trades", validator={})
    assert ids(database) == [str(n) for n in range(40) if n != 17]
    assert ids(database, "ETH-USD") == [str(n) for n in range(5)]
    (kept,) = find_rejected_records(database)
    assert (kept["reason"], kept["kind"]) == ("not_storable", "trades")
    assert '"id": "poison"' in kept["content"]
    assert "validation" in kept["error"]


def test_an_entry_that_always_ends_its_process_is_put_aside_unread(
    make_consumer: Any,
    producer: Producer,
    bus: RedisBus,
    database: Db,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer.send("trades", TICKER, make_trades(1), venue=VENUE)
    producer.send("trades", TICKER, make_trades(1, 50), venue=VENUE)
    whole = storing.Ticks.check

    def die(self: Any, kind: Any, ticker: str, venue: str, records: Any, **rest: Any) -> None:
        if records[0]["id"] == "0":
            raise KeyboardInterrupt  # As in a killed process, no code of ours runs afterwards.
        whole(self, kind, ticker, venue, records, **rest)

    monkeypatch.setattr(storing.Ticks, "check", die)
    deaths = 0
    for _ in range(30):
        database.feed_positions.update_many({}, {"$set": {"owner": None}})
        try:
            drain(make_consumer())
            break
        except KeyboardInterrupt:
            deaths += 1
    assert deaths == 10
    assert ids(database) == ["50"]
    (kept,) = find_rejected_records(database)
    assert kept["reason"] == "poison"
    assert bus.count(STREAM) == 0


def test_a_consumer_that_was_frozen_past_its_lease_writes_nothing(
    make_consumer: Any, producer: Producer, database: Db
) -> None:
    first, second = make_consumer(), make_consumer()
    producer.send("trades", TICKER, make_trades(5), venue=VENUE)
    assert first.step() == 1
    producer.send("trades", TICKER, make_trades(5, 5), venue=VENUE)
    # The consumer has read the next messages, and is frozen.
    frozen = first._gather(is_careful=False)
    second.step()
    assert second._held == {}  # Another consumer holds all streams.
    gone = datetime.now(UTC) - timedelta(seconds=60)
    database.feed_positions.update_many({}, {"$set": {"lease_until": gone}})
    second._looked = 0.0
    assert second.step() == 1
    from core.errors import LeaseLost  # noqa: PLC0415 - beside its one use

    with pytest.raises(LeaseLost):
        first._take({STREAM: frozen[STREAM]})
    assert ids(database) == [str(n) for n in range(10)]
    assert total(database, "records") == 10


def test_a_stream_that_was_replaced_is_read_from_its_beginning(
    consumer: Consumer, bus: RedisBus, producer: Producer, database: Db, settings: Settings
) -> None:
    producer.send("trades", TICKER, make_trades(3), venue=VENUE)
    drain(consumer)
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()
        # The new server's clock is behind: its ids are lower than the stored position.
        group = {"ticker": TICKER, "venue": VENUE, "records": make_trades(3, 3)}
        message = build_message("trades", [group], Head("tests", 2, time.time_ns() // 1_000_000))
        client.xadd(STREAM, dict(message), id="5-1")  # type: ignore[arg-type]
    consumer._looked = 0.0
    drain(consumer)
    assert ids(database) == [str(n) for n in range(6)]


def test_messages_that_redis_lost_are_sent_again_from_the_stored_position(
    consumer: Consumer, bus: RedisBus, database: Db, settings: Settings
) -> None:
    trades = make_trades(30)
    producer = Producer(bus, "tests", {})
    for n in range(10):
        producer.send("trades", TICKER, trades[n : n + 1], venue=VENUE)
    drain(consumer)
    for n in range(10, 20):
        producer.send("trades", TICKER, trades[n : n + 1], venue=VENUE)
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()
    stored = find_seqs(database, "tests")
    assert stored == {STREAM: 10}
    again = Producer(bus, "tests", stored)
    for n in range(stored[STREAM], 30):
        again.send("trades", TICKER, trades[n : n + 1], venue=VENUE)
    drain(consumer)
    assert ids(database) == [str(n) for n in range(30)]


def test_a_producer_waits_while_too_many_messages_wait(
    bus: RedisBus, consumer: Consumer, database: Db
) -> None:
    waits: list[int] = []

    def on_wait() -> None:
        waits.append(bus.count(STREAM))
        drain(consumer)

    producer = Producer(bus, "tests", {}, most_waiting=20, on_wait=on_wait)
    for n in range(100):
        producer.send("trades", TICKER, make_trades(1, n), venue=VENUE)
    drain(consumer)
    assert waits
    assert all(20 <= waiting < 20 + 16 for waiting in waits)
    assert ids(database) == [str(n) for n in range(100)]


def test_a_closed_candle_of_a_watched_ticker_starts_its_detection_once(
    make_consumer: Any, producer: Producer, bus: RedisBus, database: Db
) -> None:
    add_list(database, "coins", "BTC-USD", "ETH-USD")
    database.watchlists.update_one({}, {"$set": {"interval": "1m"}})
    candles = make_candles(3)
    consumer = make_consumer()
    for ticker in ("BTC-USD", "ETH-USD", "SOL-USD"):
        producer.send("candles", ticker, candles, interval="1m")
        producer.send("candles", ticker, candles, interval="1m")
    drain(consumer)
    assert database.series.count_documents({}) == 3
    time.sleep(GATHER_SECONDS)
    # The next consumer accepts the run, though it stored none of the bars.
    database.feed_positions.update_many({}, {"$set": {"owner": None}})
    following = make_consumer()
    drain(following)
    following.step()
    assert choose_stream("BTC-USD") != choose_stream("ETH-USD")  # It is still one run.
    (run,) = database.detection_runs.find()
    assert run["tickers"] == ["BTC-USD", "ETH-USD"]
    told = (run["task"], run["trigger"], run["interval"], run["market"])
    assert told == ("incremental", "feed", "1m", "CRYPTO")
    assert run["published_at"]
    assert total(database, "runs") == 1
    following.step()
    assert database.detection_runs.count_documents({}) == 1


def test_a_transaction_too_large_for_mongodbs_cache_is_stored_by_halves(
    consumer: Consumer, producer: Producer, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickers = ("BTC-USD", "ETH-USD")
    for n in range(8):
        for ticker in tickers:
            producer.send("trades", ticker, make_trades(10, 10 * n), venue=VENUE)
    commit, sizes = storing.Store.commit, []

    def refuse(self: Any, loads: Any, now: Any) -> Any:
        sizes.append(sum(load.records for load in loads))
        if sizes[-1] > 25:
            raise OperationFailure("transaction is too large for the cache", 388)
        return commit(self, loads, now)

    monkeypatch.setattr(storing.Store, "commit", refuse)
    drain(consumer)
    assert sizes[:4] == [160, 80, 40, 20]
    for ticker in tickers:
        assert ids(database, ticker) == [str(n) for n in range(80)]
    assert (total(database, "records"), total(database, "rejected")) == (160, 0)


def test_a_message_of_many_weeks_is_stored_in_steps_and_detected_once(
    consumer: Consumer, producer: Producer, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buckets hold a week each and are written whole, so one late candle a week would rewrite them
    all.
    """

    def gather_for(seconds: float) -> None:
        for module in (storing, feed_consumer):
            monkeypatch.setattr(module, "GATHER_SECONDS", seconds)

    gather_for(3_600.0)
    add_list(database, "coins", TICKER)
    database.watchlists.update_one({}, {"$set": {"interval": "1m"}})
    week, start = 7 * 86_400, start_of_today() - 60 * 7 * 86_400
    (candle,) = make_candles(1)

    def make_week(number: int, count: int, first: int) -> list[dict[str, Any]]:
        since = start + number * week + 60 * first
        return [candle | {"time": since + 60 * n} for n in range(count)]

    for number in range(50):
        producer.send("candles", TICKER, make_week(number, 10, 0), interval="1m")
    drain(consumer)
    monkeypatch.setattr(storing, "MOST_BARS", 60)
    commit, sizes = storing.Store.commit, []

    def note(self: Any, loads: Any, now: Any) -> Any:
        done = commit(self, loads, now)
        sizes.append(sum(load.records for load in loads))
        return done

    monkeypatch.setattr(storing.Store, "commit", note)
    late = [one for number in range(50) for one in make_week(number, 1, 10)]
    Random(1).shuffle(late)
    producer.send("candles", TICKER, late, interval="1m")
    drain(consumer)
    assert database.series.find_one()["bars"] == 550
    assert sum(sizes) == 50
    assert max(sizes) <= 5
    assert (total(database, "records"), total(database, "rejected")) == (550, 0)
    gather_for(0.0)
    drain(consumer)
    consumer.step()
    assert database.detection_runs.count_documents({}) == 1
    assert not any(one["waiting"] for one in find_positions(database))


@pytest.mark.parametrize("seed", range(2))
def test_repeated_and_reordered_messages_are_stored_once_by_two_interrupted_consumers(
    make_consumer: Any, bus: RedisBus, database: Db, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer is ended at any line between reading and trimming, again and again."""
    random = Random(seed)
    tickers = [f"C{n}-USD" for n in range(12)]
    messages = []
    seqs: Counter[tuple[str, str]] = Counter()
    for n in range(120):
        ticker, name = random.choice(tickers), f"p{n % 2}"
        stream = choose_stream(ticker)
        seqs[name, stream] += 1
        group = {"ticker": ticker, "venue": VENUE, "records": make_trades(10, 10 * n)}
        head = Head(name, seqs[name, stream], 1_000 + n)
        messages.append((stream, build_message("trades", [group], head)))
    for stream, message in itertools.chain.from_iterable(
        random.sample([pair, pair], 2) for pair in messages
    ):
        bus.append(stream, message)
    commit = storing.Store.commit

    class Killed(BaseException):
        pass

    def kill(self: Any, *arguments: Any) -> Any:
        roll = random.random()
        if roll < 0.3:
            raise Killed
        done = commit(self, *arguments)
        if roll > 0.7:
            raise Killed
        return done

    monkeypatch.setattr(storing.Store, "commit", kill)
    for _ in range(200):
        database.feed_positions.update_many({}, {"$set": {"owner": None}})
        try:
            drain(make_consumer())
            break
        except Killed:
            pass
    found = sorted(int(trade) for ticker in tickers for trade in ids(database, ticker))
    assert found == list(range(1_200))
    assert total(database, "records") == 1_200
    assert total(database, "doubles") == 120
    assert sum(map(bus.count, STREAMS)) == 0


def test_a_stream_is_held_by_one_consumer_at_a_time(database: Db, consumer: Consumer) -> None:
    consumer.step()
    assert claim_stream(database, STREAM, "other", 10) is None
    assert isinstance(next(iter(find_trades(database, TICKER, VENUE)), None), Trade | None)


def test_a_stream_of_cryptofeed_is_stored_too(
    settings: Settings, database: Db, bus: RedisBus, celery: Celery
) -> None:
    name = "trades-COINBASE-BTC-USD"
    named = settings.model_copy(update={"feed_streams": f"{name}, {name}"})
    consumer = Consumer(named, database, bus, celery, "test:1")
    for n in range(3):
        trade = {"exchange": "COINBASE", "symbol": "BTC-USD", "side": "buy", "amount": "0.5"}
        trade |= {"price": "100", "id": str(n), "type": "None", "timestamp": f"{1767614400.5 + n}"}
        bus.append(name, trade)
    drain(consumer)
    assert ids(database) == ["0", "1", "2"]
    assert bus.count(name) == 0
    assert len(find_positions(database)) == len(STREAMS) + 1
