"""Names of the greatest length, without a space at which a line could break."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from records.models.single_series import delete_series
from tests.browser.conftest import Demo, push_candles
from tests.processes import wait_until
from tests.slow import slow_but_first

LONG = "W" * 64
TICKER = "W" * 20
MEASURE = """text => {
  const line = [...document.querySelectorAll(".anomaly")].find(a => a.textContent.includes(text));
  const box = name => line.querySelector(name).getBoundingClientRect();
  return line && {
    whenEnds: box(".when").right,
    howBegins: box(".severity").left,
    nameHeight: line.querySelector(".ticker-name")?.getBoundingClientRect().height,
  };
}"""


@pytest.fixture(scope="module")
def run_id(demo: Demo) -> Iterator[str]:
    """A watchlist, its scan, a rule, a series and an alert with such names; the id of the scan."""
    database = demo.database
    demo.api.post("/watchlists", {"name": LONG, "tickers": ["FB", "MSFT", TICKER]})
    run = demo.api.post("/anomalies/incremental?wait=30", {"watchlist": LONG})
    # Remove the alerts, so that its next run finds them first.
    database.anomalies.delete_many({"Ticker": "FB"})
    again = {"ticker": "FB", "max_period": "max", "raise_alerts": True}
    demo.api.post("/anomalies/backfill?wait=30", again)
    wait_until(lambda: database.alerts.find_one({"watchlist": LONG}), "alerts are raised")
    demo.api.post("/fit/" + LONG, {"timestamps": [1, 2, 3, 4], "values": [1.0, 1.2, 0.9, 1.1]})
    anomaly = database.anomalies.find_one({"Ticker": "AAPL"}, sort=[("Datetime", -1)])
    assert anomaly is not None
    rule = {
        "_id": LONG,
        "name": LONG,
        "channel": "slack://a/b/c",
        "shown_channel": "slack",
        "enabled": True,
        "watchlist": LONG,
        "min_grade": 75.0,
        "quiet_from": None,
        "quiet_until": None,
        "timezone": "UTC",
        "backfills": False,
        "failures": True,
        "updated_at": anomaly["detection_timestamp"],
    }
    database.notification_rules.insert_one(rule)
    yield str(run["_id"])
    for name in ("alerts", "alert_trail"):
        database[name].delete_many({})
    database.watchlists.delete_one({"_id": LONG})
    database.notification_rules.delete_one({"_id": LONG})
    database.detection_runs.delete_one({"_id": run["_id"]})
    with database.client.start_session() as session:  # Other tests need the page without a series.
        assert delete_series(database, LONG, session)


@pytest.mark.parametrize("width", slow_but_first([320, 390, 1280]))
def test_no_page_scrolls_sideways_because_of_a_long_name(
    demo: Demo, open_page: Callable[..., Page], run_id: str, width: int
) -> None:
    page = open_page(demo.url, width=width, quiet=False)  # The ticker has no bars to draw.
    wide = []
    for place in (
        *("", "anomalies", f"ticker/{TICKER}", "alerts", f"runs/{run_id}", "runs", "data"),
        *("series", f"series/{LONG}", "watchlists", f"watchlists/{LONG}", "notifications"),
        *("models/US_model-0.1.0", "compare?tickers=AAPL,MSFT", "market/US", "day/2008-10-10"),
    ):
        page.goto(f"{demo.url}#/{place}")
        expect(page.locator("main h1")).not_to_have_count(0)
        expect(page.locator("[aria-busy]")).to_have_count(0)
        if place in {"watchlists", "notifications", f"series/{LONG}"}:
            expect(page.get_by_text(LONG).first).to_be_visible()
        if place == "alerts" and width > 1000:  # The other cells of the row keep their places.
            row = page.locator(".alerts > li", has_text=LONG).first.bounding_box()
            assert row is not None
            assert row["height"] < 120
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(place)
    assert wide == []


@pytest.fixture
def hourly(demo: Demo) -> Iterator[str]:
    """A ticker of which an anomaly of an hour is listed, and another of the longest name."""
    push_candles(demo, "LISTCO", "1h", ["2024-01-02T14:30:00Z", "2024-01-02T15:30:00Z"])
    anomaly = demo.database.anomalies.find_one({"Ticker": "AAPL"})
    assert anomaly is not None
    hour = {"interval": "1h", "Datetime": datetime(2024, 1, 2, 15, 30, tzinfo=UTC)}
    named = [anomaly | hour | {"_id": f"{name}::1h", "Ticker": name} for name in ("LISTCO", TICKER)]
    demo.database.anomalies.insert_many(named)
    yield "LISTCO"
    demo.database.anomalies.delete_many({"_id": {"$in": [one["_id"] for one in named]}})


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_time_of_an_anomaly_lies_below_its_severity(
    demo: Demo, open_page: Callable[..., Page], hourly: str, width: int
) -> None:
    page = open_page(demo.url, width=width, quiet=False)  # One ticker has no bars to draw.
    for place in (f"ticker/{hourly}?interval=1h", ""):
        page.goto(f"{demo.url}#/{place}")
        # In one step, as a list that is read again is drawn anew.
        line = page.wait_for_function(MEASURE, arg="2 Jan 2024, 15:30").json_value()
        assert line["whenEnds"] <= line["howBegins"], place
    # Two lines, or three of 26 pixels on the narrowest telephone, where it was seven.
    assert page.wait_for_function(MEASURE, arg=TICKER).json_value()["nameHeight"] < 90
