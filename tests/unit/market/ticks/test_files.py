"""Files of trades and funding, as exchanges write them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import BadInput
from core.words import DataKind
from market.ticks.checks import check_record
from market.ticks.files import read_file
from records.ticks.chunks import Trade

# 2023-11-14T22:13:20Z
SECONDS = 1_700_000_000
LATER = (SECONDS + 86_400) * 1_000_000
TRADE = Trade(SECONDS * 1_000_000 + 123_400, "a-1", 35_000.5, 0.25, "buy")


def read(folder: Path, name: str, content: str, kind: DataKind = "trades") -> tuple[object, ...]:
    """Return ticker, venue and record of the only row of a file."""
    path = folder / name
    path.write_text(content)
    (row,) = read_file(path, kind)
    assert kind != "candles"
    return row.ticker, row.venue, check_record(kind, row.record, LATER)


@pytest.mark.parametrize(
    ("names", "row", "ticker", "venue"),
    [
        (
            "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue",
            f"{SECONDS}.1234,BTCUSDT,Buy,0.25,35000.5,PlusTick,a-1,1",
            "BTCUSDT",
            None,
        ),
        (
            "instrument_name,trade_id,side,price,size,created_time",
            f"BTC-USDT,a-1,buy,35000.5,0.25,{SECONDS}.1234",
            "BTC-USDT",
            None,
        ),
        (
            "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
            f"okex,BTC-USDT,{SECONDS}123400,{SECONDS}999999,a-1,buy,35000.5,0.25",
            "BTC-USDT",
            "okex",
        ),
        (
            "agg_trade_id,price,quantity,transact_time,is_buyer_maker",
            f"a-1,35000.5,0.25,{SECONDS}123400,False",
            None,
            None,
        ),
    ],
    ids=["Bybit", "OKX", "Tardis", "Binance"],
)
def test_trades_of_exchanges_are_read(
    tmp_path: Path, names: str, row: str, ticker: str | None, venue: str | None
) -> None:
    assert read(tmp_path, "x.csv", f"{names}\n{row}\n") == (ticker, venue, TRADE)


@pytest.mark.parametrize(
    "document",
    [
        {"retCode": 0, "result": {"category": "linear", "list": ["ROW"]}},
        {"code": "0", "msg": "", "data": ["ROW"]},
        ["ROW"],
        "ROW",
    ],
)
def test_records_are_found_inside_their_wrappers(tmp_path: Path, document: object) -> None:
    row = {"instId": "BTC-USDT-SWAP", "fundingRate": "0.0001", "fundingTime": f"{SECONDS}000"}
    content = json.dumps(document).replace('"ROW"', json.dumps(row))
    ticker, _, record = read(tmp_path, "x.json", content, "funding")
    assert isinstance(record, dict)
    assert (ticker, record["time"], record["rate"]) == (
        "BTC-USDT-SWAP",
        SECONDS * 1_000_000,
        0.0001,
    )


def test_a_file_with_only_unknown_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    row = {"a": 26129, "p": "35000.5", "q": "0.25", "T": SECONDS * 1_000, "m": True}
    path.write_text(json.dumps([row]))
    with pytest.raises(BadInput, match="no column for time, id, price, amount, only a, p, q, T, m"):
        list(read_file(path, "trades"))


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_records_that_are_nested_too_deeply_are_refused_as_a_file(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text("[" * 50_000)
    with pytest.raises(BadInput, match=f"{name} cannot be read as"):
        list(read_file(path, "trades"))


@pytest.mark.parametrize(
    ("names", "row", "both"),
    [
        ("time,date,id,price,amount", "09:30:00,2026-01-05,a-1,35000.5,0.25", "'time' and 'date'"),
        (
            "time,id,price,amount,quantity",
            f"{SECONDS},a-1,35000.5,8750.1,0.25",
            "'amount' and 'quantity'",
        ),
        ("time,id,trade_id,price,amount", f"{SECONDS},1,a-1,35000.5,1", "'id' and 'trade_id'"),
    ],
)
def test_two_different_columns_for_one_field_are_refused(
    tmp_path: Path, names: str, row: str, both: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"{names}\n{row}\n")
    with pytest.raises(BadInput, match=f"{both} are both read as .*leave one out"):
        list(read_file(path, "trades"))


def test_two_equal_columns_for_one_field_are_read(tmp_path: Path) -> None:
    """ccxt's trades have such columns."""
    moment = datetime.fromtimestamp(SECONDS, UTC).isoformat()
    content = f"timestamp,datetime,symbol,id,side,price,amount\n{SECONDS}000,{moment},X,a,buy,1,2\n"
    ticker, _, trade = read(tmp_path, "x.csv", content)
    assert isinstance(trade, Trade)
    assert (ticker, trade.time, trade.price) == ("X", SECONDS * 1_000_000, 1.0)


def test_a_record_that_contains_a_list_is_read_as_a_record(tmp_path: Path) -> None:
    row = {"symbol": "BTCUSDT", "lastFundingRate": "0.0001", "time": SECONDS, "legs": [{"a": 1}]}
    ticker, _, record = read(tmp_path, "x.json", json.dumps(row), "funding")
    assert isinstance(record, dict)
    assert (ticker, record["rate"]) == ("BTCUSDT", 0.0001)


@pytest.mark.parametrize(
    ("content", "lacking"),
    [
        (f"1,35000.5,0.01,350,{SECONDS}000,True\n" * 2, "time, id, price, amount"),
        (f"time,price,amount\n{SECONDS},35000.5,0.01\n", "id"),
        (f"time;id;price;amount\n{SECONDS};1;35000.5;0.01\n", "time, id, price, amount"),
    ],
    ids=["no names", "no id", "semicolons"],
)
def test_a_file_whose_first_row_lacks_required_fields_is_refused(
    tmp_path: Path, content: str, lacking: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(BadInput, match=f"no column for {lacking}, only .* such as time,id,price"):
        list(read_file(path, "trades"))
