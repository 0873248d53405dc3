"""Anomalies of several markets: filtered, in any order, counted over time, on one day of a market;
and a ticker's closes compared with those of others.
"""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from flask.testing import FlaskClient

from records.alerts.groups import build_group, replace_groups
from records.database import Db, Document
from records.findings.anomaly_queries import ORDERS, build_query
from tests.integration.alerting import NOW, SESSIONS, build_anomaly
from tests.integration.detecting import store
from tests.integration.stored import add_list, add_series

TECH, OIL = ("AAPL", "IBM", "MSFT"), ("XOM", "CVX")
DAY = SESSIONS[2]


def ask(client: FlaskClient, path: str, status: int = 200) -> Any:
    answer = client.get(f"/py{path}")
    assert answer.status_code == status, answer.text
    return answer.json


@pytest.fixture
def stored(database: Db) -> Db:
    """Two sectors, one of which is strange on one day, and a ticker whose bars begin later."""
    add_series(database, *TECH, *OIL, "LATE")
    ends = {"first_bar": SESSIONS[0], "last_bar": SESSIONS[-1]}
    database.series.update_many({}, {"$set": ends})
    database.series.update_one({"ticker": "LATE"}, {"$set": {"first_bar": SESSIONS[5]}})
    sectors = [build_group(ticker, "ticker", "Technology", "sector", "test") for ticker in TECH]
    sectors += [build_group(ticker, "ticker", "Energy", "sector", "test") for ticker in OIL]
    replace_groups(database, sectors)
    found = [
        ("AAPL", DAY, 80.0, {}),
        ("IBM", DAY, 55.0, {"scope": "sector"}),
        ("XOM", DAY, 60.0, {"status": "superseded"}),
        ("CVX", SESSIONS[1], 51.0, {"kind": "fault", "fault": "stale"}),
        ("MSFT", SESSIONS[4], 100.0, {"scope": "own"}),
    ]
    database.anomalies.insert_many(
        build_anomaly("run", ticker, bar, grade=grade) | fields
        for ticker, bar, grade, fields in found
    )
    add_list(database, "mine", "AAPL", "CVX")
    database.detection_metadata.insert_many(
        {"_id": f"detection_meta::{ticker}::1d", "last_detected_timestamp": last}
        for ticker, last in (("IBM", SESSIONS[-1]), ("XOM", SESSIONS[-2]))
    )
    return database


@pytest.mark.parametrize(
    ("asked", "tickers"),
    [
        ("watchlist=mine", ["AAPL", "CVX"]),
        ("watchlist=mine&ticker=IBM", []),
        ("watchlist=mine&ticker=AAPL", ["AAPL"]),
        ("scope=sector", ["IBM"]),
        ("kind=fault", ["CVX"]),
        ("severity=high&market=US", ["AAPL"]),
        ("start=2026-01-07&end=2026-01-07", ["AAPL", "IBM"]),
        ("sort=Ticker", ["AAPL", "CVX", "IBM", "MSFT"]),
        ("sort=-Ticker", ["MSFT", "IBM", "CVX", "AAPL"]),
        ("sort=Datetime", ["CVX", "IBM", "AAPL", "MSFT"]),
        ("sort=-grade", ["MSFT", "AAPL", "IBM", "CVX"]),
        ("sort=grade", ["CVX", "IBM", "AAPL", "MSFT"]),
    ],
)
def test_anomalies_are_filtered_and_sorted_and_pages_leave_none_out(
    stored: Db, client: FlaskClient, asked: str, tickers: list[str]
) -> None:
    found: list[str] = []
    cursor = ""
    for _ in range(len(tickers) + 1):
        page = ask(client, f"/anomalies?limit=1&fields=Ticker&{asked}{cursor}")
        found += [one["Ticker"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert (found if "sort" in asked else sorted(found)) == tickers


@pytest.mark.parametrize("sort", sorted(ORDERS))
def test_each_order_is_walked_along_an_index(stored: Db, sort: str) -> None:
    cursor = stored.anomalies.find(build_query(market="US")).sort(ORDERS[sort].sort).limit(50)
    assert "'SORT'" not in str(cursor.explain()["queryPlanner"]["winningPlan"])


@pytest.mark.parametrize("path", ["/anomalies", "/anomalies/summary", "/tickers"])
def test_a_watchlist_that_is_nowhere_is_told(stored: Db, client: FlaskClient, path: str) -> None:
    assert "mine" in ask(client, f"{path}?watchlist=nowhere", 404)["detail"]


def test_counts_over_time_are_those_of_their_time_spans(stored: Db, client: FlaskClient) -> None:
    path = "/anomalies/histogram?start=2026-01-05&end=2026-01-10&bins=3"
    found = ask(client, path)
    assert found["span_seconds"] == 2 * 86_400  # Six days, the last one included, in three spans.
    assert [(one["start"][:10], one["by_severity"]) for one in found["spans"]] == [
        ("2026-01-05", {"medium": 1}),
        ("2026-01-07", {"high": 1, "medium": 1}),
        ("2026-01-09", {"critical": 1}),
    ]
    lists = ("anomalies/histogram", "anomalies", "alerts", "alerts/history", "detection-runs")
    for route in (*lists, "export/bars", "data/candles?ticker=AAPL", "data/trades?ticker=AAPL"):
        asked = f"/{route}{'&' if '?' in route else '?'}start=2026-02-01&end=2026-01-01"
        assert "swap" in ask(client, asked, 422)["detail"], route
    by_market = ask(client, "/anomalies/summary?watchlist=mine")["by_market"]
    assert by_market == {"US": {"high": 1, "medium": 1}}


def test_a_day_of_a_market_says_how_many_tickers_of_which_sectors_are_strange(
    stored: Db, client: FlaskClient
) -> None:
    day = ask(client, "/markets/US/days/2026-01-07")
    # LATE has no bar on this day, and superseded anomalies do not count.
    assert (day["flagged"], day["of"]) == (2, 5)
    assert day["by_sector"] == [
        {"sector": "Technology", "flagged": 2, "of": 3, "tickers": ["AAPL", "IBM"]},
        {"sector": "Energy", "flagged": 0, "of": 2, "tickers": []},
    ]
    assert (day["previous"], day["next"]) == ("2026-01-06", "2026-01-09")
    mine = ask(client, "/markets/US/days/2026-01-07?watchlist=mine&severity=high")
    assert (mine["flagged"], mine["of"]) == (1, 2)
    later = ask(client, "/markets/US/days/2026-01-20")
    assert (later["flagged"], later["of"], later["next"]) == (0, 6, None)
    assert "year-month-day" in ask(client, "/markets/US/days/tomorrow", 422)["detail"]
    assert ask(client, "/markets/US/days/2026-01-07?scope=nobody", 422)


def test_markets_list_what_is_stored_of_them_and_tickers_are_found_by_name(
    stored: Db, client: FlaskClient
) -> None:
    markets = {one["code"]: one for one in ask(client, "/markets")["items"]}
    us = markets["US"]
    assert (us["looked_at"], us["up_to_date"]) == (2, 1)
    assert (us["series"], us["tickers"], us["bars"], us["intervals"]) == (6, 6, 5_400, ["1d"])
    assert us["last_bar"].startswith("2026-01-20")
    assert (us["missed"], us["behind"]) == (["1d"], ["1d"])
    assert (markets["JP"]["missed"], markets["JP"]["behind"]) == ([], [])
    assert (markets["JP"]["series"], markets["JP"]["last_bar"]) == (0, None)

    def names(query: str) -> list[str]:
        return [one["ticker"] for one in ask(client, f"/tickers?{query}")["items"]]

    assert names("contains=A") == ["AAPL", "LATE"]
    assert names("contains=.") == []
    assert names("prefix=a") == ["AAPL"]
    assert names("tickers=IBM,xom,NONE") == ["IBM", "XOM"]
    assert names("watchlist=mine&tickers=IBM,CVX") == ["CVX"]


def test_an_anomaly_says_what_became_of_its_alert(stored: Db, client: FlaskClient) -> None:
    strange: Document = stored.anomalies.find_one({"Ticker": "AAPL"}) or {}
    stored.alerts.insert_one(
        {"_id": "first", "anomaly_ids": [strange["_id"]], "state": "acknowledged", "owner": "mia"}
        | {"feedback": None, "updated_at": NOW}
    )
    path = "/anomalies?fields=Ticker,review&ticker=AAPL"
    (one,) = ask(client, path)["items"]
    assert (one["review"]["state"], one["review"]["owner"]) == ("acknowledged", "mia")
    stored.alert_history.insert_one(
        {"_id": "told", "anomaly_ids": [strange["_id"]], "state": "resolved", "owner": "jo"}
        | {"feedback": "false_alarm", "updated_at": datetime(2025, 1, 1, tzinfo=UTC)}
    )
    (one,) = ask(client, path)["items"]
    assert (one["review"]["alert_id"], one["review"]["feedback"]) == ("told", "false_alarm")
    alone = ask(client, f"/anomalies/{strange['_id']}")
    assert (alone["Ticker"], alone["review"]) == ("AAPL", one["review"])
    (other,) = ask(client, "/anomalies?fields=Ticker,review&ticker=IBM")["items"]
    assert other["review"] is None
    assert ask(client, f"/anomalies/{other['_id']}")["review"] is None


def bars_of(closes: list[float]) -> pd.DataFrame:
    column = pd.Series(closes, dtype="float64")
    dates = pd.to_datetime(["2024-03-04", "2024-03-05", "2024-03-06"])
    prices = {"open": column, "high": column, "low": column, "close": column}
    return pd.DataFrame({"date": dates, **prices, "volume": 1000.0})


def test_a_ticker_is_compared_with_another_its_index_or_its_sector(
    database: Db, client: FlaskClient
) -> None:
    for ticker, closes in {
        "AAPL": [10.0, 11.0, 12.0],
        "MSFT": [50.0, 100.0, 100.0],
        "IBM": [20.0, 40.0, 10.0],
        "^IXIC": [1000.0, 990.0, 1010.0],
    }.items():
        store(database, ticker, bars_of(closes))
    replace_groups(database, [build_group(t, "ticker", "Technology", "sector", "t") for t in TECH])
    path = "/chart/comparison?ticker=AAPL"
    alone = ask(client, path)
    assert (alone["index"], alone["sector"], alone["kind"]) == ("^IXIC", "Technology", None)
    assert (alone["closes"], alone["others"]) == ([10.0, 11.0, 12.0], [])
    index = ask(client, f"{path}&against=index&start=2024-03-05")
    assert (index["name"], index["others"]) == ("^IXIC", [990.0, 1010.0])
    sector = ask(client, f"{path}&against=sector")
    # Both doubled; then one stayed and one fell to a quarter: in equal parts, a fall by half.
    assert sector["others"] == pytest.approx([100.0, 200.0, 100.0])
    assert (sector["tickers"], sector["left_out"]) == (["IBM", "MSFT"], 0)
    before = ask(client, f"{path}&against=sector&end=2024-03-01")
    assert (before["tickers"], before["times"]) == ([], [])
    assert (
        "import them" in ask(client, "/chart/comparison?ticker=^IXIC&against=index", 404)["detail"]
    )
    assert "not both" in ask(client, f"{path}&against=index&other=IBM", 422)["detail"]
