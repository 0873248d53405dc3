"""Bars that are sent in, and what the API answers about stored bars. No worker runs here."""

from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from market.imports.names import SUFFIXES
from records.database import Db
from tests.integration.stored import add_series

CSV = b"Date,Ticker,Open,High,Low,Close,Volume\n2013-03-01,AAPL,438,438.18,429.98,430.47,19730300\n"
CANDLE: dict[str, Any] = {
    "time": "2013-03-01",
    "open": 438,
    "high": 438.18,
    "low": 429.98,
    "close": 430.47,
}


def upload(
    client: FlaskClient, content: bytes, name: str, key: str | None = None, **fields: str
) -> TestResponse:
    headers = {"Idempotency-Key": key} if key else {}
    data = {"file": (BytesIO(content), name), **fields}
    return client.post(
        "/py/data/import", data=data, headers=headers, content_type="multipart/form-data"
    )


def count_uploads(database: Db) -> int:
    return database["uploads.files"].count_documents({})


def test_a_file_is_kept_until_its_run_has_read_it(client: FlaskClient, database: Db) -> None:
    accepted = upload(client, CSV, "folder/../bars.csv", interval="1d", ticker="aapl")
    assert accepted.status_code == 202
    run = client.get(accepted.headers["Location"]).json
    assert (run["task"], run["options"]["filename"], run["options"]["ticker"]) == (
        "import",
        "bars.csv",
        "AAPL",
    )
    assert count_uploads(database) == 1


def test_the_same_key_and_file_are_the_same_run_and_one_upload(
    client: FlaskClient, database: Db
) -> None:
    first, again = (upload(client, CSV, "bars.csv", "k1") for _ in range(2))
    assert first.json == again.json
    assert count_uploads(database) == 1
    assert upload(client, CSV + b"x", "bars.csv", "k1").json["reason"] == "idempotency_key_reused"
    assert upload(client, CSV, "bars.csv", "k1", interval="1h").status_code == 422


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_readable_kind_of_file_is_accepted(
    client: FlaskClient, database: Db, suffix: str
) -> None:
    assert upload(client, CSV, f"bars{suffix.upper()}").status_code == 202


@pytest.mark.parametrize(
    ("name", "fields"), [("bars.exe", {}), ("", {}), ("a.csv", {"interval": "2d"})]
)
def test_an_unusable_file_is_422_and_not_kept(
    client: FlaskClient, database: Db, name: str, fields: dict[str, str]
) -> None:
    assert upload(client, CSV, name, **fields).status_code == 422
    assert count_uploads(database) == 0


def test_a_form_without_a_file_is_422(client: FlaskClient) -> None:
    response = client.post(
        "/py/data/import", data={"interval": "1d"}, content_type="multipart/form-data"
    )
    assert response.status_code == 422


def test_json_is_for_candles_and_forms_are_for_import(client: FlaskClient) -> None:
    assert client.post("/py/data/import", json={}).status_code == 415
    assert client.post("/py/data/candles", data={"x": "y"}).status_code == 415


def test_an_unknown_route_or_method_is_reported_whatever_body_is_sent(client: FlaskClient) -> None:
    form = {"data": {"x": "y"}, "content_type": "multipart/form-data"}
    assert client.post("/py/data/imports", **form).status_code == 404
    assert client.put("/py/alerts", **form).status_code == 405


def test_candles_may_be_of_several_tickers(client: FlaskClient, database: Db) -> None:
    candles = [CANDLE | {"ticker": "aapl"}, CANDLE | {"ticker": "MSFT"}]
    assert client.post("/py/data/candles", json={"candles": candles}).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {"candles": [CANDLE]},
        {"ticker": "AAPL", "candles": []},
        {"ticker": "AAPL", "candles": [CANDLE | {"open": [438]}]},
        {"ticker": "AAPL", "candles": [CANDLE | {"open": True}]},
        {"ticker": "A B", "candles": [CANDLE]},
        {"candles": [CANDLE | {"symbol": "A B"}]},
        {"ticker": "AAPL", "candles": [CANDLE], "timezone": "Mars"},
        {"ticker": "AAPL", "candles": [CANDLE], "decimal": "x"},
        {"ticker": "AAPL", "candles": [CANDLE], "columns": {"close": "nope"}},
        {"ticker": "AAPL", "candles": [{f"n{number}": 1 for number in range(101)}]},
        {"ticker": "AAPL", "candles": [{"time": "2013-03-01"}]},
        {"ticker": "AAPL", "candles": CANDLE},
    ],
)
def test_candles_of_the_wrong_shape_are_422_and_not_kept(
    client: FlaskClient, database: Db, body: dict[str, Any]
) -> None:
    assert client.post("/py/data/candles", json=body).status_code == 422
    assert count_uploads(database) == 0


def test_series_are_listed_page_by_page_and_by_market(client: FlaskClient, database: Db) -> None:
    add_series(database, "MSFT", "AAPL", "7203.T")
    first = client.get("/py/tickers?limit=2").json
    second = client.get(f"/py/tickers?limit=2&cursor={first['next_cursor']}").json
    assert [series["ticker"] for series in first["items"] + second["items"]] == [
        "7203.T",
        "AAPL",
        "MSFT",
    ]
    assert [series["ticker"] for series in client.get("/py/tickers?market=jp").json["items"]] == [
        "7203.T"
    ]


def test_each_series_has_its_anomalies_counted_by_severity_however_many_series(
    client: FlaskClient, database: Db
) -> None:
    tickers = [f"T{number:04d}" for number in range(1_200)]
    add_series(database, *tickers)
    add_series(database, "T0000", interval="1h")
    severities = ["high", "low", "low"]
    database.anomalies.insert_many(
        {
            "_id": f"{ticker}:{n}",
            "Ticker": ticker,
            "interval": "1d",
            "severity": severity,
            "status": "new",
        }
        for ticker in tickers
        for n, severity in enumerate(severities)
    )
    database.anomalies.update_one({"_id": "T0001:0"}, {"$set": {"status": "superseded"}})
    listed: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/py/tickers?limit=500" + (f"&cursor={cursor}" if cursor else "")).json
        listed += page["items"]
        cursor = page["next_cursor"]
    counts = {(one["ticker"], one["interval"]): one["anomalies"] for one in listed}
    assert counts.pop(("T0000", "1h")) == {}
    assert counts.pop(("T0001", "1d")) == {"low": 2}
    assert list(counts.values()) == [{"high": 1, "low": 2}] * 1_199


@pytest.mark.parametrize(
    ("ticker", "bars", "reason"),
    [("NOBODY", 0, "no_bars"), ("AAPL", 900, "no_model"), ("7203.T", 900, "no_model")],
)
def test_the_reason_for_no_result_is_given_as_a_word_and_as_text(
    client: FlaskClient, database: Db, ticker: str, bars: int, reason: str
) -> None:
    add_series(database, "AAPL", "7203.T", bars=900)
    told = client.get(f"/py/tickers/{ticker}/status").json
    assert (told["bars"], told["reason"]) == (bars, reason)
    assert "flask" in told["message"]


def test_a_mistyped_ticker_is_answered_with_similar_ones(client: FlaskClient, database: Db) -> None:
    add_series(database, "AAPL", "MSFT")
    assert "did you mean AAPL?" in client.get("/py/tickers/APPL/status").json["message"]


def test_series_are_summed_up_by_name_and_market(client: FlaskClient, database: Db) -> None:
    path = "/py/tickers/summary"
    nothing = dict.fromkeys(("series", "bars", "missing", "with_gaps", "no_trade"), 0)
    assert client.get(path).json == nothing
    add_series(database, "MSFT", "AAPL", "7203.T", bars=900)
    coverage = {"coverage.missing": 3, "coverage.gap_count": 2, "coverage.no_trade": 5}
    database.series.update_one({"ticker": "AAPL"}, {"$set": coverage})
    lacking = {"missing": 3, "with_gaps": 1, "no_trade": 5}
    assert client.get(path).json == {"series": 3, "bars": 2700, **lacking}
    assert client.get(f"{path}?contains=AP").json == {"series": 1, "bars": 900, **lacking}
    tokyo = client.get(f"{path}?market=JP").json
    assert tokyo == nothing | {"series": 1, "bars": 900}


def test_a_list_that_is_too_long_is_refused_with_its_length_the_limit_and_what_to_do(
    client: FlaskClient,
) -> None:
    body = {"name": "all", "tickers": [f"T{n}" for n in range(10_001)]}
    refused = client.post("/py/watchlists", json=body)
    assert refused.status_code == 422
    assert refused.json["detail"] == (
        "tickers: 10,001 were given, and at most 10,000 are taken: leave out 1, or send them in"
        " parts"
    )


def test_candles_of_an_unknown_ticker_are_404_with_similar_ones(
    client: FlaskClient, database: Db
) -> None:
    add_series(database, "AAPL")
    response = client.get("/py/data/candles?ticker=APPL")
    assert response.status_code == 404
    assert "AAPL" in response.json["detail"]
