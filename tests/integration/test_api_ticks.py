"""Trades, depth and funding over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.views import ticks as views
from records.database import Db
from tests.integration.detecting import make_bars, store

# 2026-01-05T12:00:00Z
START = 1_767_614_400_000
WHOSE = {"ticker": "BTC-USD", "venue": "COINBASE"}
TRADES = [
    {"time": START + 20_000 * n, "id": n, "price": 100 + n, "amount": 0.5, "side": "buy"}
    for n in range(10)
]
BOOKS = [
    {
        "time": START + 1_000 * n,
        "sequence": n,
        "bids": [[100 + n - level, 1] for level in range(5)],
        "asks": [[101 + n + level, 2] for level in range(5)],
    }
    for n in range(10)
]
RATES = [
    {"time": START + 8 * 3_600_000 * n, "rate": n / 10_000, "mark_price": 100, "interval_hours": 8}
    for n in range(-5, 1)
]
SENT: dict[str, list[dict[str, Any]]] = {"trades": TRADES, "depth": BOOKS, "funding": RATES}


def iso(milliseconds: int) -> str:
    text = datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat()
    return text.replace("+00:00", "Z")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    moment = datetime.fromtimestamp(START / 1_000 + 3_600, UTC)
    monkeypatch.setattr(views, "get_now", lambda: moment)
    return


def push(client: FlaskClient, kind: str, records: list[dict[str, Any]], **whose: str) -> Any:
    answer = client.post(f"/py/data/{kind}", json=WHOSE | whose | {kind: records})
    assert answer.status_code == 200, answer.text
    return answer.json


def get(client: FlaskClient, kind: str, **query: Any) -> Any:
    answer = client.get(f"/py/data/{kind}", query_string={"ticker": "BTC-USD", **query})
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.mark.parametrize("kind", SENT)
def test_pushed_records_are_read_back_and_pushing_them_again_changes_nothing(
    client: FlaskClient, database: Db, kind: str
) -> None:
    first, again = (push(client, kind, SENT[kind]) for _ in range(2))
    assert (first["new"], again["new"], again["unchanged"]) == (len(SENT[kind]), 0, len(SENT[kind]))
    page = get(client, kind)
    assert (page["ticker"], page["venue"], page["next_cursor"]) == ("BTC-USD", "COINBASE", None)
    assert [one["time"] for one in page["items"]] == [
        iso(one["time"]) for one in reversed(SENT[kind])
    ]


@pytest.mark.parametrize("kind", SENT)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_hold_everything_once_in_order(
    client: FlaskClient, database: Db, kind: str, order: str
) -> None:
    push(client, kind, SENT[kind])
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = get(client, kind, limit=3, sort_order=order, **cursor)
        found += [one["time"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    wanted = [iso(one["time"]) for one in SENT[kind]]
    assert found == (wanted if order == "asc" else wanted[::-1])


@pytest.mark.parametrize("kind", SENT)
def test_times_bound_what_is_read_both_inclusive(
    client: FlaskClient, database: Db, kind: str
) -> None:
    push(client, kind, SENT[kind])
    times = [iso(one["time"]) for one in SENT[kind]]
    page = get(client, kind, start=times[1], end=times[3])
    assert [one["time"] for one in page["items"]] == times[1:4]


def test_an_impossible_record_is_reported_and_listed_and_affects_no_other(
    client: FlaskClient, database: Db
) -> None:
    crossed = BOOKS[1] | {"bids": [[500, 1]]}
    ahead = BOOKS[2] | {"time": START + 3_600_000 + 6_000}
    report = push(client, "depth", [BOOKS[0], crossed, ahead])
    assert report["new"] == 1
    assert report["rejected"] == [
        {"row": 2, "reason": "crossed_book"},
        {"row": 3, "reason": "in_future"},
    ]
    listed = client.get("/py/data/rejected/records?kind=depth&reason=crossed_book").json["items"]
    assert [(one["row"], one["ticker"], one["venue"]) for one in listed] == [
        (2, "BTC-USD", "COINBASE")
    ]
    negative = push(client, "trades", [TRADES[0] | {"amount": -1}])
    assert negative["rejected"] == [{"row": 1, "reason": "non_positive_amount"}]
    assert database.trades.count_documents({}) == 0


@pytest.mark.parametrize(
    "body",
    [
        {"trades": TRADES},
        WHOSE | {"trades": []},
        WHOSE | {"trades": TRADES[0]},
        WHOSE | {"trades": [TRADES[0] | {"fee": 1}]},
        WHOSE | {"trades": [TRADES[0] | {"price": [1]}]},
        WHOSE | {"venue": "A B", "trades": TRADES},
        {"ticker": "A B", "venue": "X", "trades": TRADES},
        WHOSE | {"trades": [TRADES[0]] * 10_001},
    ],
)
def test_a_body_of_another_shape_is_422_and_stores_nothing(
    client: FlaskClient, database: Db, body: dict[str, Any]
) -> None:
    assert client.post("/py/data/trades", json=body).status_code == 422
    assert database.trades.count_documents({}) == 0


def test_an_endless_body_and_one_that_is_not_json_are_refused(
    client: FlaskClient, database: Db
) -> None:
    large = client.post("/py/data/trades", data=b"x" * (9 * 2**20), content_type="application/json")
    broken = client.post("/py/data/trades", data=b"{", content_type="application/json")
    assert (large.status_code, broken.status_code) == (413, 400)


def test_if_there_are_several_venues_one_must_be_named(client: FlaskClient, database: Db) -> None:
    push(client, "trades", TRADES)
    push(client, "trades", TRADES[:2], venue="kraken")
    refused = client.get("/py/data/trades?ticker=BTC-USD")
    assert (refused.status_code, refused.json["reason"]) == (422, "venue_missing")
    assert "COINBASE, KRAKEN" in refused.json["detail"]
    assert len(get(client, "trades", venue="kraken")["items"]) == 2
    nowhere = client.get("/py/data/trades?ticker=BTC-USD&venue=NYSE")
    assert (nowhere.status_code, nowhere.json["reason"]) == (404, "no_trades")
    assert nowhere.json["detail"].endswith("; they are of COINBASE, KRAKEN")
    # There are trades of it, so the answer says nothing of the ticker as a whole.
    bookless = client.get("/py/data/depth?ticker=BTC-USD")
    assert (bookless.status_code, bookless.json["detail"]) == (
        404,
        "no depth of BTC-USD are stored",
    )


def test_the_order_book_at_a_moment_is_the_latest_before_it(
    client: FlaskClient, database: Db
) -> None:
    push(client, "depth", BOOKS)
    (book,) = get(client, "depth", at=iso(START + 3_999), levels=2)["items"]
    assert book == {
        "time": iso(START + 3_000),
        "sequence": 3,
        "bids": [[103, 1], [102, 1]],
        "asks": [[104, 2], [105, 2]],
    }
    assert get(client, "depth", at=iso(START - 1))["items"] == []


def test_trades_are_aggregated_to_candles_page_by_page(client: FlaskClient, database: Db) -> None:
    push(client, "trades", TRADES)
    first = get(client, "trades", bars="1m", limit=2)
    assert [list(candle.values()) for candle in first["items"]] == [
        [iso(START), 100, 102, 100, 102, 1.5, 0.5 * (100 + 101 + 102), 3],
        [iso(START + 60_000), 103, 105, 103, 105, 1.5, 0.5 * (103 + 104 + 105), 3],
    ]
    rest = get(client, "trades", bars="1m", cursor=first["next_cursor"])
    assert [candle["trades"] for candle in rest["items"]] == [3, 1]
    # A start within a candle still gives the whole candle.
    part = get(client, "trades", bars="1m", start=iso(START + 30_000), end=iso(START + 70_000))
    assert part["items"] == first["items"]
    assert client.get("/py/data/trades?ticker=BTC-USD&bars=1w").status_code == 422


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_long_stretch_of_trades_is_aggregated_in_parts_with_whole_candles(
    client: FlaskClient, database: Db, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    push(client, "trades", TRADES)
    whole = get(client, "trades", bars="1m")["items"]
    if order == "desc":
        whole.reverse()
        candles = get(client, "trades", bars="1m", sort_order=order, limit=1, format="ccxt")
        assert [candle[5] for candle in candles] == [whole[0]["volume"]]
    monkeypatch.setattr(views, "MOST_ADDED_UP", 5)
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = get(client, "trades", bars="1m", sort_order=order, **cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == whole
    # A candle that would lack some of its trades is left out.
    refused = client.get(f"/py/data/trades?ticker=BTC-USD&bars=1h&sort_order={order}")
    assert (refused.status_code, refused.json["reason"]) == (422, "too_many_trades")


def test_a_producer_that_sends_more_than_can_be_stored_is_told_to_wait(
    client: FlaskClient, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(views, "WRITE_SECONDS", 0.01)
        for _ in range(4):
            assert views._writes.acquire(timeout=1)
        try:
            answer = client.post("/py/data/trades", json=WHOSE | {"trades": TRADES})
        finally:
            for _ in range(4):
                views._writes.release()
    assert (answer.status_code, answer.json["reason"]) == (429, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert database.trades.count_documents({}) == 0
    push(client, "trades", TRADES)


def make_reader() -> Any:
    """Return a client that was written for ccxt: it reads its exchange's answers in ccxt's unified
    shapes.
    """
    import ccxt  # noqa: PLC0415 - it takes seconds to load

    class Reader(ccxt.Exchange):
        def parse_trade(self, trade: Any, market: Any = None) -> Any:
            return self.safe_trade(trade, market)

    return Reader()


def test_ccxts_own_functions_read_our_answers_unchanged(client: FlaskClient, database: Db) -> None:
    for kind, records in SENT.items():
        push(client, kind, records)
    store(database, "AAPL", make_bars(30))
    reader = make_reader()
    sent = get(client, "trades", format="ccxt")
    trades = reader.parse_trades(sent)
    assert [(t["id"], t["timestamp"], t["price"], t["amount"], t["side"]) for t in trades] == [
        (str(t["id"]), t["time"], t["price"], t["amount"], t["side"]) for t in TRADES
    ]
    assert [t["cost"] for t in trades] == [t["price"] * t["amount"] for t in TRADES]
    assert [t["datetime"] for t in trades] == [reader.iso8601(t["timestamp"]) for t in trades]

    told = get(client, "depth", format="ccxt")
    book = reader.parse_order_book(told, told["symbol"], told["timestamp"])
    assert (book["bids"], book["asks"]) == (BOOKS[-1]["bids"], BOOKS[-1]["asks"])
    assert (book["datetime"], told["nonce"]) == (told["datetime"], 9)

    candles = reader.parse_ohlcvs(get(client, "trades", bars="1m", format="ccxt"))
    assert candles == [candle[:6] for candle in reader.build_ohlcvc(trades, "1m")]
    # ccxt has None here for a float.
    assert [reader.iso8601(candle[0]) for candle in candles] == [
        f"{datetime.fromtimestamp(candle[0] / 1_000, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        for candle in candles
    ]

    rates = get(client, "funding", format="ccxt")
    assert [(r["fundingRate"], r["timestamp"]) for r in rates] == [
        (r["rate"], r["time"]) for r in RATES
    ]
    assert [r["datetime"] for r in rates] == [reader.iso8601(r["timestamp"]) for r in rates]
    assert set(rates[0]) >= {"symbol", "fundingRate", "timestamp", "datetime", "info"}

    answer = client.get("/py/data/candles?ticker=AAPL&format=ccxt&limit=5").json
    bars = client.get("/py/data/candles?ticker=AAPL&limit=5").json["items"]
    assert [reader.iso8601(candle[0]) for candle in answer] == [
        bar["time"].replace("Z", ".000Z") for bar in bars
    ]
    assert reader.parse_ohlcvs(answer) == [
        [reader.parse8601(b["time"]), *(b[n] for n in ("open", "high", "low", "close", "volume"))]
        for b in bars
    ]
    assert all(one[0] < other[0] for one, other in pairwise(answer))
