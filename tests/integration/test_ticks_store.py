"""Trades, order books and funding rates as MongoDB stores them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from threading import Thread
from typing import Any

import pytest

from market.ticks.arrivals import Retention, Ticks, store_records
from market.ticks.fields import to_microseconds
from records.database import Db, in_transaction
from records.indexes import INDEXES
from records.ticks.chunks import HOUR, MOST, Trade, place_of
from records.ticks.depth import find_depth, read_levels
from records.ticks.rejected import find_rejected_records
from records.ticks.trades import Stored, find_trades, write_trades

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
START = to_microseconds(NOW) - 3 * HOUR
KEPT = Retention(timedelta(days=7), timedelta(hours=24))
SERIES = ("BTC-USD", "COINBASE")


def make_trades(count: int, *, seed: int = 1, span: int = 2 * HOUR) -> list[Trade]:
    """Return trades in order, many of them at the same moment."""
    random = Random(seed)
    times = sorted(START + random.randrange(span // 1_000) * 1_000 for _ in range(count))
    return [
        Trade(time, str(number), 100 + number / 8, 1 + number % 5, "sell")
        for number, time in enumerate(times)
    ]


def write(database: Db, trades: Sequence[Trade]) -> Stored:
    return in_transaction(
        database,
        lambda session: write_trades(
            database, {SERIES: trades}, expires_at=NOW + timedelta(days=7), session=session
        ),
    )


def read(database: Db, **asked: Any) -> list[Trade]:
    return list(find_trades(database, *SERIES, **asked))


def test_trades_that_come_in_order_are_appended(database: Db) -> None:
    trades = make_trades(5_000)
    for start in range(0, len(trades), 130):
        part = trades[start : start + 130]
        assert write(database, part) == Stored(new=len(part))
    assert read(database) == sorted(trades, key=place_of)
    chunks = list(database.trades.find())
    assert max(chunk["count"] for chunk in chunks) <= MOST
    assert sum(chunk["count"] for chunk in chunks) == 5_000


@pytest.mark.parametrize("seed", range(4))
def test_each_trade_is_stored_once_in_whatever_order_and_however_often_it_comes(
    database: Db, seed: int
) -> None:
    trades = make_trades(3_000, seed=seed)
    random = Random(seed)
    sent = trades + trades
    random.shuffle(sent)
    new = 0
    while sent:
        size = random.randrange(1, 900)
        new += write(database, sent[:size]).new
        sent = sent[size:]
    assert new == len(trades)
    assert read(database) == sorted(trades, key=place_of)


def test_a_trade_that_comes_again_with_another_price_is_replaced(database: Db) -> None:
    trades = make_trades(10)
    write(database, trades)
    corrected = trades[3]._replace(price=1.0)
    assert write(database, [corrected]) == Stored(changed=1)
    assert write(database, [corrected]) == Stored(unchanged=1)
    assert read(database) == [*trades[:3], corrected, *trades[4:]]


def test_trades_are_read_from_anywhere_in_both_directions(database: Db) -> None:
    trades = sorted(make_trades(3_000), key=place_of)
    write(database, trades)
    start, end = trades[500].time, trades[2_400].time
    wanted = [trade for trade in trades if start <= trade.time <= end]
    for descending in (False, True):
        expected = wanted[::-1] if descending else wanted
        found: list[Trade] = []
        while True:
            after = place_of(found[-1]) if found else None
            asked = find_trades(
                database, *SERIES, start=start, end=end, after=after, descending=descending
            )
            page = list(islice(asked, 170))
            if not page:
                break
            found += page
        assert found == expected


def test_two_simultaneous_writers_of_the_same_trades_store_them_once(database: Db) -> None:
    trades = make_trades(2_000)
    parts = [trades[n : n + 100] for n in range(0, len(trades), 100)]

    def write_all(order: list[list[Trade]]) -> None:
        for part in order:
            write(database, part)

    writers = [Thread(target=write_all, args=(order,)) for order in (parts, parts[::-1])]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert read(database) == sorted(trades, key=place_of)


def snapshot(second: float, sequence: int, price: float) -> dict[str, Any]:
    time = START + round(second * 1_000_000)
    return {"time": time, "sequence": sequence, "bids": [[price, 1]], "asks": [[price + 1, 2]]}


def test_the_last_snapshot_of_each_second_is_kept_in_whatever_order_they_come(database: Db) -> None:
    sent = [snapshot(n / 4, n, 100.0 + n) for n in range(40)]
    for seed in range(3):
        Random(seed).shuffle(sent)
        for start in range(0, len(sent), 7):
            store_records(
                database,
                "depth",
                *SERIES,
                sent[start : start + 7],
                source="t",
                retention=KEPT,
                now=NOW,
            )
        found = find_depth(
            database, *SERIES, start=None, end=None, after=None, limit=100, descending=False
        )
        assert [one["sequence"] for one in found] == list(range(3, 40, 4))
        assert read_levels(found[0]["asks"], 50) == [(104.0, 2.0)]


def test_trades_and_depth_expire_and_funding_does_not(database: Db) -> None:
    ticks = Ticks()
    for kind, record in (
        ("trades", {"time": START, "id": 1, "price": 1, "amount": 1}),
        ("depth", snapshot(0, 0, 5.0)),
        ("funding", {"time": START, "rate": 0.001}),
    ):
        ticks.check(kind, *SERIES, [record], source="t", now=NOW)  # type: ignore[arg-type]
    in_transaction(database, lambda session: ticks.write(database, KEPT, NOW, session))
    assert database.trades.find_one()["expires_at"] == NOW + timedelta(days=7)
    assert database.depth.find_one()["expires_at"] == NOW + timedelta(hours=24)
    assert "expires_at" not in database.funding.find_one()
    for name in ("trades", "trade_series", "depth"):
        assert any(index.document.get("expireAfterSeconds") == 0 for index in INDEXES[name]), name


def test_impossible_records_are_rejected_and_do_not_affect_others(database: Db) -> None:
    sent = [snapshot(0, 1, 5.0), snapshot(1, 2, 5.0) | {"asks": [[4, 1]]}, 7]
    for _ in range(2):
        report = store_records(
            database, "depth", *SERIES, sent, source="t", retention=KEPT, now=NOW
        )
        assert (report.read, report.rejected_rows) == (3, 2)
    kept = find_rejected_records(database)
    assert [(one["row"], one["reason"], one["kind"]) for one in kept] == [
        (2, "crossed_book", "depth"),
        (3, "not_a_record", "depth"),
    ]
    assert '"asks": [[4, 1]]' in kept[0]["content"]
    assert database.depth.count_documents({}) == 1
