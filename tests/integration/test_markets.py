"""Markets as a user sees them: on the command line, over HTTP, and in what is stored."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.schemas.markets import MarketFields
from records.database import Db
from records.migrations import tell_markets
from tests.commands import Command, read_json
from tests.conftest import ROOT
from tests.integration.conftest import Live

CASES = ROOT / "tests" / "field_cases"
# For each file: its ticker, its market, and how many of its rows are bars in that market.
OF_OTHER_MARKETS = [
    ("0700.HK.csv", "0700.HK", "HK", 5, 5),
    ("VOD.L.csv", "VOD.L", "UK", 5, 5),
    # A Saturday, a Sunday and New Year's Day in New York; coins trade on all of them.
    ("BTC-USD.csv", "BTC-USD", "CRYPTO", 7, 7),
    ("EURUSD=X.csv", "EURUSD=X", "FX", 5, 5),
    ("ES=F.csv", "ES=F", "FUT", 2, 2),
    ("BTCUSDT.BINANCE.csv", "BTCUSDT.BINANCE", "CRYPTO", 2, 2),
    ("7203.JP.csv", "7203.T", "JP", 2, 2),
]


def upload(live: Live, path: Path, **fields: str) -> Any:
    data = {"file": (BytesIO(path.read_bytes()), path.name), **fields}
    return live.post("/py/data/import", data=data, content_type="multipart/form-data")


@pytest.mark.parametrize(("name", "ticker", "market", "rows", "bars"), OF_OTHER_MARKETS)
def test_a_file_is_imported_to_the_market_of_its_ticker(  # noqa: PLR0917 - rows of a table
    flask: Command, database: Db, name: str, ticker: str, market: str, rows: int, bars: int
) -> None:
    report = read_json(flask("bars", "import", CASES / name, "--json"))
    assert (report["read"], report["new"]) == (rows, bars)
    (series,) = database.series.find()
    assert (series["ticker"], series["market"]) == (ticker, market)


@pytest.mark.parametrize(("name", "ticker", "market", "rows", "bars"), OF_OTHER_MARKETS)
def test_a_file_is_imported_to_the_market_of_its_ticker_over_http(
    live: Live, name: str, ticker: str, market: str, rows: int, bars: int
) -> None:
    report = upload(live, CASES / name).json
    assert (report["read"], report["new"] + report["unchanged"]) == (rows, bars)
    status = live.client.get(f"/py/tickers/{ticker}/status").json
    assert (status["market"], status["bars"]) == (market, bars)


def test_coins_trade_on_weekends_and_stocks_do_not(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    coin = (CASES / "BTC-USD.csv").read_text()
    (tmp_path / "ABCD.csv").write_text(coin)
    report = read_json(flask("bars", "import", tmp_path / "ABCD.csv", "--json"))
    reasons = [row["reason"] for row in report["series"][0]["rejected"]]
    assert reasons == ["not_a_session"] * 3  # New Year's Day, a Saturday and a Sunday.


@pytest.mark.parametrize("name", ["jp4digit.csv", "jquants_daily.csv"])
def test_numeric_tickers_need_a_named_market(flask: Command, database: Db, name: str) -> None:
    answer = flask("bars", "import", CASES / name)
    assert answer.exit_code == 1
    assert "of which market is it?" in answer.stdout.replace("\n", " ")
    assert database.series.count_documents({}) == 0


@pytest.mark.parametrize("name", ["jp4digit.csv", "jquants_daily.csv"])
def test_numeric_tickers_belong_to_tokyo_if_that_is_named(
    flask: Command, database: Db, name: str
) -> None:
    # One code's only bar is on a holiday: it fails by name, and does not affect the others.
    report = json.loads(flask("bars", "import", CASES / name, "--market", "jp", "--json").stdout)
    assert {series["ticker"] for series in report["series"] if series["new"]} == {
        "7203.T",
        "6758.T",
    }
    assert set(database.series.distinct("market")) == {"JP"}


def test_a_market_can_be_named_over_http(live: Live) -> None:
    untold = upload(live, CASES / "jp4digit.csv").json
    assert untold["new"] == 0
    assert "JP (7203.T)" in untold["series"][0]["error"]
    told = upload(live, CASES / "jp4digit.csv", market="JP").json
    assert {series["ticker"] for series in told["series"]} == {"7203.T", "6758.T"}
    candle = {"time": "2024-01-06", "open": 1, "high": 2, "low": 1, "close": 2, "volume": 1}
    refused = live.client.post("/py/data/candles", json={"ticker": "ETHUSDT", "candles": [candle]})
    assert refused.status_code == 422
    assert refused.json["reason"] == "unknown_market"
    pushed = live.post(
        "/py/data/candles", json={"ticker": "ETHUSDT", "market": "CRYPTO", "candles": [candle]}
    )
    assert pushed.json["new"] == 1
    # A market that was named once is known from then on.
    again = live.post(
        "/py/data/candles", json={"ticker": "ETHUSDT", "candles": [candle | {"time": "2024-01-07"}]}
    )
    assert again.json["new"] == 1


def test_odd_names_can_be_tickers(flask: Command, database: Db) -> None:
    report = read_json(flask("bars", "import", CASES / "odd_tickers.csv", "--json"))
    assert [series["ticker"] for series in report["series"]] == [
        "NA",
        "TRUE",
        "NAN",
        "NULL",
        "INF",
        "1E5",
        "0700.HK",
    ]
    assert database.series.count_documents({"market": "US"}) == 6


def test_a_user_can_add_a_market(
    flask: Command, client: FlaskClient, database: Db, tmp_path: Path
) -> None:
    words = (
        "add",
        "br",
        "--calendar",
        "BVMF",
        "--timezone",
        "America/Sao_Paulo",
        "--suffix",
        ".SA",
    )
    assert flask("markets", *words).exit_code == 0
    assert "there is a market BR" in flask("markets", *words).output
    # Carnival, 12 and 13 February 2024, is a holiday only in Sao Paulo.
    rows = "\n".join(f"2024-02-{day},10,11,9,10,1000" for day in (9, 12, 13, 14, 15))
    (tmp_path / "PETR4.SA.csv").write_text(f"date,open,high,low,close,volume\n{rows}\n")
    report = read_json(flask("bars", "import", tmp_path / "PETR4.SA.csv", "--json"))
    assert [row["time"] for row in report["series"][0]["rejected"]] == ["2024-02-12", "2024-02-13"]
    shown = client.get("/py/markets/BR").json
    assert (shown["calendar"], shown["suffixes"], shown["series"]) == ("BVMF", [".SA"], 1)
    for index, currency in (("^BVSP", "BRL"), ("", "")):
        told = flask("markets", "change", "BR", "--index", index, "--currency", currency, "--json")
        changed = read_json(told)
        assert (changed["index_ticker"], changed["currency"]) == (index or None, currency)
    assert "is that of market BR" in flask("markets", *[*words[:1], "bb", *words[2:]]).output


def test_a_market_with_bars_cannot_be_removed_and_its_calendar_changes_only_on_request(
    flask: Command, client: FlaskClient, database: Db
) -> None:
    read_json(flask("bars", "import", CASES / "BTC-USD.csv", "--json"))
    assert client.delete("/py/markets/CRYPTO").status_code == 409
    row = client.get("/py/markets/CRYPTO").json
    body = {name: value for name, value in row.items() if name in MarketFields.model_fields}
    assert client.put("/py/markets/CRYPTO", json=body | {"currency": "EUR"}).status_code == 200
    assert (
        client.put("/py/markets/CRYPTO", json=body | {"calendar": "24/5"}).json["reason"]
        == "market_in_use"
    )
    refused = flask("markets", "change", "CRYPTO", "--calendar", "24/5")
    assert refused.exit_code == 1
    assert "2 of these lie outside" in refused.stdout
    database.watchlists.insert_one({"_id": "coins", "markets": ["CRYPTO"], "next_scan": 1})
    assert flask("markets", "change", "CRYPTO", "--calendar", "24/5", "--keep-rows").exit_code == 0
    assert database.watchlists.distinct("next_scan") == [None]
    assert client.get("/py/markets/CRYPTO").json["calendar"] == "24/5"
    assert database.series.find_one()["bars"] == 7  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"code": "B"}, "pattern"),
        ({"calendar": "XXXX"}, "is no calendar"),
        ({"timezone": "Mars/Base"}, "is no time zone"),
        ({"suffixes": ["SA"]}, "is no suffix"),
        ({"suffixes": []}, "at least 1"),
        ({"aliases": [".T"]}, "is that of market JP"),
    ],
)
def test_an_impossible_market_is_refused(
    client: FlaskClient, changes: dict[str, Any], said: str
) -> None:
    body = {"code": "BR", "calendar": "BVMF", "timezone": "America/Sao_Paulo", "suffixes": [".SA"]}
    answer = client.post("/py/markets", json=body | changes)
    assert answer.status_code == 422
    assert said in answer.text
    assert client.get("/py/markets/BR").status_code == 422


def test_a_ticker_can_be_assigned_to_a_market_by_hand(
    flask: Command, client: FlaskClient, database: Db
) -> None:
    assert client.put("/py/markets/US/tickers/7203").json == {"ticker": "7203", "market": "US"}
    report = read_json(
        flask("bars", "import", CASES / "jp4digit.csv", "--ticker", "7203", "--json")
    )
    assert [series["ticker"] for series in report["series"]] == ["7203"]
    assert database.series.find_one()["market"] == "US"  # type: ignore[index]
    assert client.put("/py/markets/JP/tickers/7203").json["reason"] == "ticker_in_use"


def test_a_series_cannot_belong_to_two_markets(flask: Command, database: Db) -> None:
    read_json(
        flask(
            "bars",
            "import",
            CASES / "jp4digit.csv",
            "--market",
            "CRYPTO",
            "--ticker",
            "7203",
            "--json",
        )
    )
    flask("markets", "unassign", "7203")
    answer = flask(
        "bars", "import", CASES / "jp4digit.csv", "--market", "US", "--ticker", "7203", "--json"
    )
    assert answer.exit_code == 1
    assert "has 1d bars of market CRYPTO, and these are of US" in answer.stdout


def test_series_that_were_stored_as_us_are_moved_to_their_markets(database: Db) -> None:
    for ticker in ("AAPL", "BTC-USD", "0700.HK", "^N225", "7203"):
        database.series.insert_one(
            {
                "_id": f"{ticker}::1d",
                "ticker": ticker,
                "interval": "1d",
                "market": "US",
                "coverage": {},
            }
        )
    database.watchlists.insert_one({"_id": "w", "market": "US"})
    for _ in range(2):
        tell_markets(database)
    found = {series["ticker"]: series for series in database.series.find()}
    assert {ticker: series["market"] for ticker, series in found.items()} == {
        "AAPL": "US",
        "BTC-USD": "CRYPTO",
        "0700.HK": "HK",
        "^N225": "JP",
        "7203": "US",
    }
    assert found["0700.HK"]["timezone"] == "Asia/Hong_Kong"
    assert found["AAPL"]["timezone"] == "America/New_York"
    assert ["coverage" in found[ticker] for ticker in ("AAPL", "BTC-USD")] == [True, False]
    assert database.watchlists.find_one({}, {"markets": 1, "market": 1}) == {
        "_id": "w",
        "markets": ["US"],
    }
    assert database.ticker_markets.find_one({}, {"_id": 1, "market": 1}) == {
        "_id": "7203",
        "market": "US",
    }


@pytest.mark.parametrize(("given", "found"), [("5m", "1m"), ("1h", "1m"), ("1d", None)])
def test_bars_of_another_interval_are_refused_with_its_name(
    flask: Command, database: Db, given: str, found: str | None
) -> None:
    answer = flask("bars", "import", CASES / "ONEMIN.csv", "--interval", given)
    assert answer.exit_code == 1
    said = " ".join(answer.stdout.split())
    assert (f"say interval {found}" if found else "or auto, which goes by how") in said
    assert database.series.count_documents({}) == 0


def test_weekly_bars_are_not_imported_as_daily(
    flask: Command, database: Db, tmp_path: Path
) -> None:
    rows = [
        f"2024-{month:02d}-{day:02d},10,11,9,10,1000"
        for month in (4, 7)
        for day in (1, 8, 15, 22, 29)
    ]
    (tmp_path / "ABCD.csv").write_text("\n".join(["date,open,high,low,close,volume", *rows]))
    refused = flask("bars", "import", tmp_path / "ABCD.csv")
    assert refused.exit_code == 1
    assert "say interval 1w" in " ".join(refused.stdout.split())
    assert (
        read_json(flask("bars", "import", tmp_path / "ABCD.csv", "--interval", "auto", "--json"))[
            "interval"
        ]
        == "1w"
    )


def test_the_interval_auto_is_found_from_the_bars(flask: Command, live: Live, database: Db) -> None:
    report = read_json(
        flask("bars", "import", CASES / "ONEMIN.csv", "--interval", "auto", "--json")
    )
    assert (report["interval"], report["new"]) == ("1m", report["read"])
    assert database.series.find_one()["interval"] == "1m"  # type: ignore[index]
    assert upload(live, CASES / "ONEMIN.csv", interval="auto").json["series"][0]["interval"] == "1m"
    refused = upload(live, CASES / "ONEMIN.csv", interval="5m").json
    assert "overlap as bars of 5m" in refused["series"][0]["error"]


def test_a_series_without_a_bar_for_long_is_reported(
    flask: Command, client: FlaskClient, database: Db
) -> None:
    read_json(flask("bars", "import", CASES / "METX.csv", "--json"))
    status = client.get("/py/tickers/METX/status").json
    assert status["sessions_behind"] > 500
    assert f"the last bar came {status['sessions_behind']:,} sessions ago" in status["message"]
    (series,) = client.get("/py/tickers").json["items"]
    assert series["sessions_behind"] == status["sessions_behind"]
