"""Runs the main flow once and collects the answer of each route: the examples of the OpenAPI
document.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from analytics.catalogue import CATEGORIES
from tests.processes import wait_until

ANOMALY_ID = "AAPL::1d::2005-02-28T00:00:00Z"
SHOWN_ITEMS = 2
CHANNEL = "json://127.0.0.1:8080/alerts"
CANDLE = {
    "time": "2013-03-04",
    "open": 427.8,
    "high": 428.2,
    "low": 419.0,
    "close": 420.05,
    "volume": 20812700,
}

Examples = dict[str, dict[str, Any]]


def collect_examples(client: FlaskClient) -> Examples:
    """Send every request and return the answers by operation and status. The database must hold
    AAPL's real bars and a model.
    """
    found: Examples = {}

    def ask(operation: str, method: str, path: str, body: object = None) -> Any:
        # A POST repeated with the same key waits for the same run.
        headers = {"Idempotency-Key": uuid4().hex} if "wait=" in path else {}

        def answer() -> TestResponse | None:
            response = client.open(f"/py{path}", method=method, json=body, headers=headers)
            return None if headers and response.status_code == 202 else response

        response = wait_until(answer, f"{operation} to its end")
        assert response.status_code < 300, response.text
        found.setdefault(operation, {}).setdefault(
            str(response.status_code), shorten(response.json)
        )
        return response.json

    push = {"ticker": "AAPL", "candles": [CANDLE]}
    ask("push_candles", "POST", "/data/candles?wait=30", push)
    accepted = ask(
        "start_backfill", "POST", "/anomalies/backfill", {"ticker": "AAPL", "max_period": "max"}
    )
    run = f"/detection-runs/{accepted['run_id']}"
    client.get(f"/py{run}/events").get_data()  # The stream ends with the run.
    ask("get_detection_run", "GET", run)
    ask("list_run_tickers", "GET", f"{run}/tickers")
    ask("get_detection_runs", "GET", "/detection-runs?limit=1")
    ask("get_backfill", "GET", "/anomalies/backfill/AAPL")
    ask("start_incremental", "POST", "/anomalies/incremental?wait=30", {"ticker": "AAPL"})
    ask("list_anomalies", "GET", "/anomalies?ticker=AAPL&sort=anomaly_score&limit=1")
    ask("get_one_anomaly", "GET", f"/anomalies/{ANOMALY_ID}")
    ask("count_anomalies", "GET", "/anomalies/summary?ticker=AAPL")
    span = "start=2005-01-01&end=2005-12-31&bins=12"
    ask("count_anomalies_by_time", "GET", f"/anomalies/histogram?ticker=AAPL&{span}")
    ask("get_flagged_day", "GET", "/markets/US/days/2005-02-28")
    ask("verify_anomaly", "POST", f"/anomalies/verify/{ANOMALY_ID}?wait=30")
    ask("list_models", "GET", "/models")
    ask("get_model", "GET", "/models/US_model-0.1.0")
    ask("get_chart", "GET", "/chart?ticker=AAPL&period=6mo&indicators=sma,rsi")
    ask("compare", "GET", "/chart/comparison?ticker=AAPL&other=IBM&start=2013-02-25")
    ask("list_tickers", "GET", "/tickers")
    ask("sum_up_tickers", "GET", "/tickers/summary")
    ask("get_ticker_status", "GET", "/tickers/AAPL/status")
    ask("get_coverage", "GET", "/tickers/AAPL/coverage")
    ask("get_candles", "GET", "/data/candles?ticker=AAPL&limit=2")
    verified = ask("verify_many", "POST", "/anomalies/verify?wait=30", {"ticker": "AAPL"})
    ask("list_verifications", "GET", f"/detection-runs/{verified['_id']}/verifications?limit=1")
    ask("add_watchlist", "POST", "/watchlists", {"name": "tech", "tickers": ["AAPL"]})
    ask("replace_watchlist", "PUT", "/watchlists/tech", {"tickers": ["AAPL"], "delay_minutes": 10})
    ask("get_watchlist", "GET", "/watchlists/tech")
    ask("list_watchlists", "GET", "/watchlists")
    ask("get_scheduler", "GET", "/scheduler")
    ask("toggle_scheduler", "POST", "/scheduler/toggle", {"enabled": True})
    ask("set_rule", "PUT", "/notifications/rules/ops", {"channel": CHANNEL, "watchlist": "tech"})
    ask("list_rules", "GET", "/notifications/rules")
    _ask_about_bars(ask)
    _ask_about_series(ask)
    _ask_about_metrics(ask, client)
    ask("get_alert_statistics", "GET", "/alerts/statistics")
    ask("get_ticker_profile", "GET", "/tickers/AAPL/profile")
    return found


def _ask_about_bars(ask: Callable[..., Any]) -> None:
    corrected = [CANDLE | {"volume": 20812701}, CANDLE | {"high": 1.0}]
    for candle in corrected:
        ask(
            "push_candles", "POST", "/data/candles?wait=30", {"ticker": "AAPL", "candles": [candle]}
        )
    later = CANDLE | {"time": "2013-03-06"}
    ask("push_candles", "POST", "/data/candles?wait=30", {"ticker": "AAPL", "candles": [later]})
    ask("list_gaps", "GET", "/data/gaps?ticker=AAPL&limit=2")
    halted = {"gaps": ["AAPL::1d::2013-03-05"], "reason": "halt"}
    ask("accept_gaps", "POST", "/data/gaps/accept", halted)
    ask("list_quality", "GET", "/data/quality?market=US&limit=2")
    ask("list_revisions", "GET", "/data/revisions")
    ask("list_rejected", "GET", "/data/rejected")


def _ask_about_series(ask: Callable[..., Any]) -> None:
    history = {"timestamps": [1705000000 + i for i in range(4)], "values": [10.0, 11.0, 9.0, 10.0]}
    ask("fit_series_model", "POST", "/fit/sensor_01", history)
    ask(
        "predict_series",
        "POST",
        "/predict/sensor_01?store=true",
        {"timestamp": "1705000010", "value": 13.0},
    )
    ask("get_series_health", "GET", "/healthcheck")
    ask("list_single_series", "GET", "/series")
    ask("get_single_series", "GET", "/series/sensor_01")
    ask("list_predictions", "GET", "/series/sensor_01/predictions")
    label = "/series/sensor_01/predictions/1/1705000010/label"
    ask("label_prediction", "PUT", label, {"feedback": "confirmed"})
    ask("plot_series", "GET", "/plot?series_id=sensor_01&format=json")


def _ask_about_metrics(ask: Callable[..., Any], client: FlaskClient) -> None:
    for category in CATEGORIES:
        if category != "correlation":
            ask(f"get_{category}", "GET", f"/analysis/{category}?ticker=IBM")
    matrix = "/analysis/correlation?tickers=IBM,MSFT"
    wait_until(lambda: client.get(f"/py{matrix}").json["matrix"], "a run computes the matrix")
    ask("get_correlation", "GET", matrix)
    ask("get_market_overview", "GET", "/analysis/market-overview?market=US&sort_by=ticker")


def shorten(value: Any) -> Any:
    """Return a document with only the first items of each list."""
    if isinstance(value, dict):
        return {name: shorten(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shorten(inner) for inner in value[:SHOWN_ITEMS]]
    return value


def list_keys(value: Any, path: str = "") -> set[str]:
    """Return the path of every key in a document; the items of a list share one path."""
    if isinstance(value, dict):
        return {f"{path}/{name}" for name in value} | {
            k for n, v in value.items() for k in list_keys(v, f"{path}/{n}")
        }
    if isinstance(value, list):
        return {key for inner in value for key in list_keys(inner, f"{path}[]")}
    return set()
