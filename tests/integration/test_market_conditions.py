"""The conditions of markets: at an anomaly's bar, and with a scan. They are shown where they were
computed, and nowhere else.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from alerts.messages import build_body
from cli.watching import print_outcome
from records.database import Db
from records.work.runs import get_run
from tasks.engine.planning import start
from tasks.process.worker import Worker
from tests.integration.conftest import Once
from tests.integration.detecting import make_bars, run, store, train

CALM = {"balanced_market": 9, "breakout_phase": 1}
TURBULENT = {"balanced_market": 6, "breakout_phase": 4}
DAY = timedelta(days=1)


@pytest.fixture
def anomaly(database: Db, once: Once) -> dict[str, Any]:
    """An anomaly that a backfill found."""

    def make() -> None:
        store(database, "AAPL", make_bars(420, shocks=(400,)))
        train(database)
        run(database, "backfill", "AAPL")

    once(make)
    found = database.anomalies.find_one({"Ticker": "AAPL"}, sort=[("Datetime", -1)])
    assert found is not None
    return found


def add_bar(database: Db, time: datetime, regimes: dict[str, int], z: float = 0.1) -> None:
    """Store the conditions of the US market at one bar."""
    database.analytics_markets.insert_one(
        {"_id": f"US::1d::{time:%Y-%m-%dT%H:%M:%SZ}", "set": "analytics/1", "market": "US"}
        | {"interval": "1d", "time": time, "tickers": 10, "regimes": regimes, "z": z}
        | {"breadth": {"advance_decline": 0.1, "above_sma_50": 0.5}, "return": 0.001}
        | {"computed_at": datetime(2026, 1, 5, tzinfo=UTC), "run_id": "computed"}
    )


def ask(client: FlaskClient, anomaly: dict[str, Any]) -> Any:
    return client.get(f"/py/anomalies/{anomaly['_id']}").json["market_conditions"]


def list_sessions(anomaly: dict[str, Any], count: int) -> list[datetime]:
    """Return weekdays up to the anomaly's, the latest first."""
    days = [anomaly["Datetime"] - n * DAY for n in range(3 * count)]
    return [day for day in days if day.weekday() < 5][:count]


def test_a_turbulent_week_is_reported_with_its_origin(
    client: FlaskClient, database: Db, anomaly: dict[str, Any]
) -> None:
    for day in list_sessions(anomaly, 6):
        add_bar(database, day, TURBULENT)
    told = ask(client, anomaly)
    assert told["words"] == ["in a turbulent week for the whole market"]
    assert (told["turbulent_share"], told["regimes"]) == (0.4, TURBULENT)
    assert (told["set"], told["run_id"]) == ("analytics/1", "computed")
    assert told["regime"] is None, "nothing was computed of the series itself"
    stored = database.anomalies.find_one({"_id": anomaly["_id"]})
    assert stored == anomaly, "an anomaly is never rewritten"


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ([], None),
        ([1, 2, 3, 4, 5], None),
        ([0], ["on a turbulent day for the whole market"]),
        ([0, 1, 2, 3, 40], ["on a turbulent day for the whole market"]),
    ],
    ids=["nothing", "not-at-this-bar", "this-bar-alone", "a-week-with-a-hole"],
)
def test_conditions_that_were_not_computed_are_not_reported(
    client: FlaskClient,
    database: Db,
    anomaly: dict[str, Any],
    days: list[int],
    words: list[str] | None,
) -> None:
    for day in days:
        add_bar(database, anomaly["Datetime"] - day * DAY, TURBULENT)
    told = ask(client, anomaly)
    assert (told and told["words"]) == words


def test_bars_after_the_anomaly_and_other_markets_do_not_count(
    client: FlaskClient, database: Db, anomaly: dict[str, Any]
) -> None:
    add_bar(database, anomaly["Datetime"], CALM)
    add_bar(database, anomaly["Datetime"] + DAY, TURBULENT, z=9.0)
    told = ask(client, anomaly)
    assert told["words"] == []
    assert told["time"] == f"{anomaly['Datetime']:%Y-%m-%dT%H:%M:%SZ}"


def test_the_regime_of_the_series_comes_from_its_snapshot_of_that_bar(
    client: FlaskClient, database: Db, anomaly: dict[str, Any]
) -> None:
    add_bar(database, anomaly["Datetime"], CALM)
    regime = {"class": "breakout_phase", "confidence": 0.9}
    for day, values in ((0, {"regime": regime}), (1, {"regime": {"class": "other"}})):
        time = anomaly["Datetime"] - day * DAY
        database.analytics.insert_one(
            {"_id": f"AAPL::1d::{day}", "ticker": "AAPL", "interval": "1d", "time": time}
            | {"values": values}
        )
    assert ask(client, anomaly)["regime"] == regime


def scan(client: FlaskClient, worker: Worker, **watchlist: Any) -> dict[str, Any]:
    """Create a watchlist and scan it; return its run."""
    body = {"name": "tech", "tickers": ["AAPL", "MSFT"]} | watchlist
    assert client.post("/py/watchlists", json=body).status_code == 201
    asked = client.post("/py/anomalies/incremental", json={"watchlist": "tech"})
    assert asked.status_code == 202, asked.json
    start(worker, asked.json["run_id"])
    run: dict[str, Any] = client.get(asked.headers["Location"]).json
    assert run["status"] == "complete", run
    return run


def test_a_scan_reports_the_conditions_of_its_markets_if_the_watchlist_asks_for_it(
    client: FlaskClient,
    database: Db,
    worker: Worker,
    anomaly: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for day in list_sessions(anomaly, 5):
        add_bar(database, day, TURBULENT)
    run = scan(client, worker, with_overview=True)
    (market,) = run["result"]["overview"]
    assert (market["market"], market["tickers"]) == ("US", 10)
    assert market["time"] == f"{anomaly['Datetime']:%Y-%m-%dT%H:%M:%SZ}"
    assert market["words"] == ["in a turbulent week for the whole market"]
    assert client.get("/py/watchlists/tech").json["with_overview"] is True
    ended = get_run(database, run["_id"])
    assert "market US: in a turbulent week for the whole market" in build_body(ended, [], 0)
    print_outcome(ended)
    assert "UTC: in a turbulent week for the whole market" in capsys.readouterr().out


def test_a_scan_reports_no_conditions_unasked_or_where_none_were_computed(
    client: FlaskClient, database: Db, worker: Worker, anomaly: dict[str, Any]
) -> None:
    assert scan(client, worker)["result"] is None
    assert client.delete("/py/watchlists/tech").status_code == 204
    assert scan(client, worker, with_overview=True)["result"] == {"overview": []}
