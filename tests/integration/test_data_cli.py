"""`flask data`, as a user types it."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from records.database import Db
from tests.commands import Command, read_json

ROWS = [
    {"time": f"2026-01-05T12:00:{n:02d}Z", "id": str(n), "price": 100.5 + n, "amount": 0.25}
    for n in range(20)
]
CSV = "time,id,price,amount\n" + "".join(
    f"{row['time']},{row['id']},{row['price']},{row['amount']}\n" for row in ROWS
)


def write_file(folder: Path, suffix: str) -> Path:
    path = folder / f"trades{suffix}"
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif suffix == ".csv.gz":
        path.write_bytes(gzip.compress(CSV.encode()))
    else:
        texts = {".csv": CSV, ".ndjson": lines, ".jsonl": lines, ".json": json.dumps(ROWS)}
        path.write_text(texts[suffix])
    return path


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".ndjson", ".jsonl", ".json", ".parquet"])
def test_a_file_of_any_kind_is_imported_once(flask: Command, tmp_path: Path, suffix: str) -> None:
    words = ("import", "trades", write_file(tmp_path, suffix), "--ticker", "btc-usd")
    words = (*words, "--venue", "coinbase", "--json")
    first, again = (read_json(flask("data", *words))["series"] for _ in range(2))
    assert [(one["ticker"], one["venue"], one["new"]) for one in first] == [
        ("BTC-USD", "COINBASE", 20)
    ]
    assert (again[0]["new"], again[0]["unchanged"]) == (0, 20)
    shown = read_json(flask("data", "show", "trades", "BTC-USD", "--limit", 2, "--json"))
    assert [row["id"] for row in shown["items"]] == ["19", "18"]
    (candle,) = read_json(flask("data", "show", "trades", "BTC-USD", "--bars", "1m", "--json"))[
        "items"
    ]
    assert (candle["open"], candle["close"], candle["volume"]) == (100.5, 119.5, 5.0)


def test_ticker_venue_and_taker_columns_may_have_other_names(
    flask: Command, tmp_path: Path, database: Db
) -> None:
    path = tmp_path / "dump.csv"
    path.write_text(
        "symbol,exchange,trade_id,qty,price,timestamp,is_buyer_maker,ignored\n"
        "BTC-USD,kraken,1,0.5,100,1767614400000,true,x\n"
        "ETH-USD,kraken,1,0.5,10,1767614400000,false,x\n"
    )
    done = flask("data", "import", "trades", path)
    assert done.exit_code == 0, done.output
    assert "ETH-USD" in done.stdout
    sides = {
        ticker: read_json(flask("data", "show", "trades", ticker, "--json"))["items"][0]["side"]
        for ticker in ("BTC-USD", "ETH-USD")
    }
    assert sides == {"BTC-USD": "sell", "ETH-USD": "buy"}


def test_impossible_rows_are_reported_and_kept(flask: Command, tmp_path: Path) -> None:
    path = tmp_path / "depth.csv"
    path.write_text(
        "time,bids,asks\n"
        '1767614400000,"[[100, 1]]","[[101, 2]]"\n'
        '1767614401000,"[[102, 1]]","[[101, 2]]"\n'
    )
    done = flask("data", "import", "depth", path, "--ticker", "BTC-USD", "--venue", "X")
    assert "1 kept aside as crossed_book: the best bid is not below the best ask" in done.stdout
    kept = read_json(flask("data", "rejected", "--reason", "crossed_book", "--json"))
    assert [(one["row"], one["source"]) for one in kept] == [(2, "depth.csv")]
    assert "102 x 1" not in flask("data", "show", "depth", "BTC-USD").stdout
    assert "100 x 1" in flask("data", "show", "depth", "BTC-USD").stdout


def test_a_row_without_ticker_or_venue_affects_no_other(
    flask: Command, tmp_path: Path, database: Db
) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(
        "ticker,venue,time,id,price,amount\n"
        "BTC-USD,KRAKEN,2026-01-05T12:00:00Z,1,1,1\n"
        "B T C,KRAKEN,2026-01-05T12:00:00Z,2,1,1\n"
        ",KRAKEN,2026-01-05T12:00:00Z,3,1,1\n"
        "BTC-USD,!,2026-01-05T12:00:00Z,4,1,1\n"
        "BTC-USD,KRAKEN,2026-01-05T12:00:00Z,5,1,1\n"
    )
    done = read_json(flask("data", "import", "trades", path, "--json"))
    assert done["reasons"] == {"bad_ticker": 3}
    assert database.trades.find_one()["ids"] == "1\n5"
    kept = read_json(flask("data", "rejected", "--reason", "bad_ticker", "--json"))
    assert sorted(json.loads(one["content"])["record"]["id"] for one in kept) == ["2", "3", "4"]
    assert "is not valid" in flask("data", "import", "trades", path).stdout


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.exe", ""),
        ("a.json", "{"),
        ("a.ndjson", "no json\n"),
        ("a.parquet", "PAR"),
        ("a.csv.gz", "not packed"),
        ("a.csv", "time,id\n1,2,3\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    flask: Command, tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    done = flask("data", "import", "trades", path, "--ticker", "A", "--venue", "X")
    assert done.exit_code == 2
    assert name in done.stderr


def test_a_missing_ticker_and_missing_data_are_reported_with_what_to_do(
    flask: Command, tmp_path: Path
) -> None:
    done = flask("data", "import", "trades", write_file(tmp_path, ".csv"))
    assert done.exit_code == 2
    assert "--ticker" in done.stderr
    missing = flask("data", "show", "funding", "BTC-USD")
    assert missing.exit_code == 2
    assert "flask data import funding FILE" in missing.stderr
